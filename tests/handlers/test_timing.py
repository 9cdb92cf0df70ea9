"""How long an answer took is a fact of it: the same for every reader, whenever they ask."""

import asyncio
from typing import Any

import pytest

from app.server import Server
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, asking_whole, messages_of
from tests.upstreams import ScriptedUpstream


def _now_ms() -> float:
    return 1000 * asyncio.get_running_loop().time()


@pytest.mark.gen_test
async def test_it_is_what_a_reader_could_have_measured(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    asked = _now_ms()
    reader = await Reader.ask(headrace.url)
    await reader.start()
    started = _now_ms()
    upstream.reasoning("hm")
    await reader.next()
    reasoned = _now_ms()
    upstream.reasoning("ha")
    await reader.next()
    reasoned_more = _now_ms()
    upstream.tokens("yes")
    await reader.text("yes")
    spoken = _now_ms()
    upstream.finish()
    timing = (await reader.end())["timing"]
    ended = _now_ms()

    assert {"first_token_ms", "reasoning_ms", "total_ms"} == timing.keys()
    # Whole milliseconds may be one less than what they were cut from.
    assert timing["first_token_ms"] <= reasoned - asked
    assert reasoned_more - reasoned - 1 <= timing["reasoning_ms"] <= spoken - started
    assert spoken - started - 1 <= timing["total_ms"] <= ended - asked
    assert timing["first_token_ms"] + timing["reasoning_ms"] <= timing["total_ms"]


@pytest.mark.gen_test
async def test_while_an_answer_is_live_nothing_is_said_and_then_everybody_is_told_the_same(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("hm")
    upstream.tokens("yes")
    reader = await Reader.ask(headrace.url)
    await reader.text("yes")
    path = f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}"
    live = await messages_of(headrace, path)
    second = await Reader.come_back(headrace.url, reader.answer_id, "2")
    upstream.finish()
    timing = (await reader.end())["timing"]
    replay = await Reader.come_back(headrace.url, reader.answer_id)
    stop = await call(headrace.url, "POST", f"/api/v1/answers/{reader.answer_id}/stop")

    assert [None, None] == [message["timing"] for message in live]
    assert None not in timing.values()
    assert timing == (await second.end())["timing"] == (await replay.end())["timing"]
    assert timing == stop.body["timing"]
    assert [None, timing] == [message["timing"] for message in await messages_of(headrace, path)]


@pytest.mark.gen_test
async def test_who_waits_for_the_whole_message_gets_what_is_stored(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("yes")
    upstream.finish()
    whole = await asking_whole(headrace, {"content": "hi"}, JSON)
    path = f"/api/v1/conversations/{whole.body['conversation_id']}"

    timing = whole.body["timing"]
    assert None is timing["reasoning_ms"]
    assert 0 <= timing["first_token_ms"] <= timing["total_ms"]
    assert timing == (await messages_of(headrace, path))[-1]["timing"]


@pytest.mark.gen_test
async def test_a_failure_before_the_first_token_has_no_time_to_it(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.fail(429, {"error": {"code": "rate_limit_exceeded", "message": "slow down"}})
    timing = (await (await Reader.ask(headrace.url)).end())["timing"]

    assert (None, None) == (timing["first_token_ms"], timing["reasoning_ms"])
    assert 0 <= timing["total_ms"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_readers_at_another_process_are_told_what_its_owner_measured(
    serve: Serving, upstream: ScriptedUpstream, providers: dict[str, Any], mongo_url: str
) -> None:
    settings = {"storage": {"url": mongo_url}, "providers": providers}
    owner, other = await serve.start(**settings), await serve.start(**settings)
    upstream.reasoning("hm")
    upstream.tokens("yes")
    reader = await Reader.ask(owner.url)
    await reader.text("yes")
    elsewhere = await Reader.come_back(other.url, reader.answer_id)
    await elsewhere.text("yes")
    upstream.finish()
    timing = (await reader.end())["timing"]
    replay = await Reader.come_back(other.url, reader.answer_id)

    assert None not in timing.values()
    assert timing == (await elsewhere.end())["timing"] == (await replay.end())["timing"]
