"""Reading an answer from any position, live or ended: nothing lost, nothing twice."""

import pytest

from app.server import Server
from tests.readers import Reader, call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream


@pytest.mark.gen_test
async def test_every_position_of_a_live_answer_goes_on_exactly_there(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    text = "你好 👨‍👩‍👧 café"
    upstream.tokens(*text)
    reader = await Reader.ask(headrace.url)
    await reader.text(text)
    back = [
        await Reader.come_back(headrace.url, reader.answer_id, str(position))
        for position in range(len(text) + 1)
    ]
    upstream.tokens("!")
    upstream.finish()
    for position, reader_back in enumerate(back):
        await reader_back.end()
        assert text[position:] + "!" == reader_back.so_far
        assert f"{len(text) + 1}-end" == reader_back.seen[-1].id


@pytest.mark.gen_test
async def test_an_ended_answer_goes_on_from_the_middle_of_a_block(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("想", "一想")
    upstream.tokens("答", "案")
    upstream.finish()
    reader = await Reader.ask(headrace.url)
    await reader.end()
    back = await Reader.come_back(headrace.url, reader.answer_id, "2")
    await back.end()
    assert [("3", {"reasoning": "想"}), ("5", {"text": "答案"})] == [
        (seen.id, seen.data) for seen in back.seen if seen.event == "delta"
    ]
    assert "start" == back.seen[0].event


@pytest.mark.gen_test
async def test_last_event_id_beats_the_query(headrace: Server, upstream: ScriptedUpstream) -> None:
    upstream.tokens("abc")
    upstream.finish()
    reader = await Reader.ask(headrace.url)
    await reader.end()
    path = f"/api/v1/answers/{reader.answer_id}/events?after=1"
    by_query = await Reader.open(headrace.url, "GET", path)
    by_header = await Reader.open(headrace.url, "GET", path, headers={"Last-Event-ID": "2"})
    await by_query.end()
    await by_header.end()
    assert ["bc", "c"] == [by_query.so_far, by_header.so_far]


@pytest.mark.gen_test
async def test_a_query_that_is_beaten_is_no_less_refused(headrace: Server) -> None:
    path = "/api/v1/answers/none/events?after=x"
    refused = await call(headrace.url, "GET", path, headers={"Last-Event-ID": "2"})
    assert (400, "invalid_position") == (refused.status, refused.body["error"]["code"])


@pytest.mark.gen_test
async def test_who_has_seen_the_end_is_told_to_stop(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("abc")
    upstream.finish()
    reader = await Reader.ask(headrace.url)
    await reader.end()
    last = reader.seen[-1].id
    assert 204 == (await Reader.come_back(headrace.url, reader.answer_id, last)).status


@pytest.mark.gen_test
async def test_a_position_that_was_never_kept_is_reset(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("abc")
    upstream.finish()
    reader = await Reader.ask(headrace.url)
    await reader.end()
    ahead = await Reader.come_back(headrace.url, reader.answer_id, "99")
    await ahead.end()
    assert ["start", "reset", "end"] == [seen.event for seen in ahead.seen]
    reset = ahead.seen[1]
    assert ("3", {"blocks": [{"type": "text", "text": "abc"}]}) == (reset.id, reset.data)


@pytest.mark.gen_test
async def test_a_position_ahead_of_a_live_answer_is_reset_and_goes_on(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("abc")
    reader = await Reader.ask(headrace.url)
    await reader.text("abc")
    ahead = await Reader.come_back(headrace.url, reader.answer_id, "99")
    await ahead.start()
    reset = await ahead.next()
    assert reset is not None
    assert ("reset", "3") == (reset.event, reset.id)
    upstream.tokens("d")
    upstream.finish()
    await ahead.end()
    assert "d" == ahead.so_far


@pytest.mark.gen_test
async def test_a_question_is_no_answer(headrace: Server, upstream: ScriptedUpstream) -> None:
    upstream.finish()
    reader = await Reader.ask(headrace.url)
    await reader.end()
    question_id = reader.seen[0].data["question_id"]
    assert 404 == (await Reader.come_back(headrace.url, question_id)).status
    stop = await call(headrace.url, "POST", f"/api/v1/answers/{question_id}/stop")
    assert 404 == stop.status


@pytest.mark.gen_test
async def test_an_ended_answer_is_the_same_after_a_restart(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("hm")
    upstream.tokens("a", "b")
    upstream.finish()
    server = await serve.start(providers=providers)
    reader = await Reader.ask(server.url)
    await reader.end()
    before = await Reader.come_back(server.url, reader.answer_id)
    await before.end()
    before.close()
    reader.close()
    await serve.stop(server)
    server = await serve.start(providers=providers)
    after = await Reader.come_back(server.url, reader.answer_id)
    await after.end()
    assert [seen._replace(data=None) for seen in before.seen] == [
        seen._replace(data=None) for seen in after.seen
    ]
    assert before.seen[:-1] == after.seen[:-1]
