"""The reader leaves, and the upstream call stops: at once, in whatever state it is."""

import asyncio
import logging
import os
import socket
from typing import Any

import pytest

from app.server import Server
from tests.readers import Reader, call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream


async def _ended(server: Server, answer_id: str) -> Reader:
    """The answer, read to its end by another reader."""
    reader = await Reader.come_back(server.url, answer_id)
    await reader.end()
    return reader


def _status(reader: Reader) -> str:
    status: str = reader.seen[-1].data["status"]
    return status


@pytest.mark.gen_test
async def test_leaving_in_the_middle_keeps_the_text_so_far(
    headrace: Server, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    upstream.tokens("Hel", "lo")
    reader = await Reader.ask(headrace.url)
    await reader.text("Hello")
    reader.close()
    await upstream.closed.wait()
    kept = await _ended(headrace, reader.answer_id)
    assert ("abandoned", "Hello") == (_status(kept), kept.so_far)
    assert kept.seen[-1].data["usage"]["estimated"] is True
    assert {"INFO"} == {record.levelname for record in caplog.records}


@pytest.mark.parametrize("sends", ["silent", "no_headers"])
@pytest.mark.gen_test
async def test_leaving_while_the_upstream_sends_nothing(
    headrace: Server, upstream: ScriptedUpstream, sends: str
) -> None:
    getattr(upstream, sends)()
    reader = await Reader.ask(headrace.url)
    await reader.start()
    await upstream.request()
    reader.close()
    await upstream.closed.wait()
    assert "abandoned" == _status(await _ended(headrace, reader.answer_id))


@pytest.mark.gen_test
async def test_leaving_while_queued_for_a_connection(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, upstream={"max_connections": 1})
    upstream.tokens("a")
    first = await Reader.ask(server.url)
    await first.text("a")
    second = await Reader.ask(server.url)
    await second.start()
    second.close()
    assert "abandoned" == _status(await _ended(server, second.answer_id))
    upstream.finish()
    assert "complete" == (await first.end())["status"]
    assert 1 == len(upstream.requests)  # the one that left never reached the provider


@pytest.mark.gen_test
async def test_leaving_while_connecting(serve: Serving) -> None:
    with socket.socket() as full:  # accepts nobody: the second connection waits for its SYN-ACK
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.create_connection(address):
            local = {"dialect": "openai", "base_url": f"http://127.0.0.1:{address[1]}/v1"}
            server = await serve.start(providers={"full": local})
            reader = await Reader.ask(server.url)
            await reader.start()
            reader.close()
            assert "abandoned" == _status(await _ended(server, reader.answer_id))


@pytest.mark.parametrize("stray", [b"\r\n", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"])
@pytest.mark.gen_test
async def test_leaving_with_bytes_unread_behind_the_request(
    headrace: Server, upstream: ScriptedUpstream, stray: bytes
) -> None:
    upstream.silent()
    reader = await Reader.open(headrace.url, "POST", "/api/v1/chat", {"content": "hi"}, stray=stray)
    await reader.start()
    await upstream.request()
    reader.close()
    await upstream.closed.wait()
    assert "abandoned" == _status(await _ended(headrace, reader.answer_id))


@pytest.mark.gen_test
async def test_closing_the_sending_side_counts_as_leaving(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.silent()
    reader = await Reader.ask(headrace.url)
    await reader.start()
    await upstream.request()
    reader.writer.write_eof()
    await upstream.closed.wait()
    with pytest.raises(asyncio.IncompleteReadError):  # hung up on, not left to wait
        await reader.end()


@pytest.mark.gen_test
async def test_leaving_while_waiting_for_json(headrace: Server, upstream: ScriptedUpstream) -> None:
    upstream.tokens("a")
    asking = asyncio.ensure_future(
        call(
            headrace.url,
            "POST",
            "/api/v1/chat",
            {"content": "q"},
            headers={"Accept": "application/json"},
        )
    )
    await upstream.request()
    asking.cancel()  # closes its connection
    await upstream.closed.wait()


@pytest.mark.gen_test
async def test_the_answer_goes_on_for_the_other_reader(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    first = await Reader.ask(headrace.url)
    await first.text("a")
    second = await Reader.come_back(headrace.url, first.answer_id)
    await second.text("a")
    first.close()
    upstream.tokens("b")
    await second.text("ab")
    upstream.finish()
    assert "complete" == (await second.end())["status"]
    assert not upstream.closed.is_set()


@pytest.mark.gen_test
async def test_finish_goes_on_without_readers(headrace: Server, upstream: ScriptedUpstream) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(headrace.url, on_disconnect="finish")
    await reader.text("a")
    reader.close()
    upstream.tokens("b")
    upstream.finish()
    kept = await _ended(headrace, reader.answer_id)
    assert ("complete", "ab") == (_status(kept), kept.so_far)


@pytest.mark.gen_test
async def test_grace_waits_for_the_reader_to_come_back(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(headrace.url, on_disconnect={"grace": 20})
    await reader.text("a")
    reader.close()
    back = await Reader.come_back(headrace.url, reader.answer_id, "1")
    upstream.tokens("b")
    upstream.finish()
    await back.end()
    assert "b" == back.so_far
    assert not upstream.closed.is_set()


@pytest.mark.gen_test
async def test_grace_that_runs_out_stops_the_upstream(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(headrace.url, on_disconnect={"grace": 0.05})
    await reader.text("a")
    reader.close()
    await upstream.closed.wait()
    assert "abandoned" == _status(await _ended(headrace, reader.answer_id))


@pytest.mark.gen_test
async def test_stop_ends_the_answer_for_every_reader(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    first = await Reader.ask(headrace.url)
    await first.text("a")
    second = await Reader.come_back(headrace.url, first.answer_id)
    await second.text("a")
    stopped = await call(headrace.url, "POST", f"/api/v1/answers/{first.answer_id}/stop")
    await upstream.closed.wait()
    assert (200, "stopped") == (stopped.status, stopped.body["status"])
    assert [{"type": "text", "text": "a"}] == stopped.body["blocks"]
    for reader in (first, second):
        assert "stopped" == (await reader.end())["status"]
    again = await call(headrace.url, "POST", f"/api/v1/answers/{first.answer_id}/stop")
    assert stopped.body == again.body


@pytest.mark.gen_test
async def test_deleting_a_conversation_stops_its_answer_first(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(headrace.url)
    start = await reader.start()
    path = f"/api/v1/conversations/{start['conversation_id']}"
    assert 204 == (await call(headrace.url, "DELETE", path)).status
    assert "stopped" == (await reader.end())["status"]
    assert upstream.closed.is_set()
    assert 404 == (await Reader.come_back(headrace.url, start["answer_id"])).status


@pytest.mark.gen_test
async def test_a_silent_answer_shows_signs_of_life(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, relay={"heartbeat_seconds": 0.05})
    upstream.silent()
    reader = await Reader.ask(server.url)
    await reader.start()
    assert await reader.next(until_beats=3) is None
    assert 3 == reader.beats
    upstream.tokens("a")
    await reader.text("a")


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_thousand_readers_that_leave_together_leave_nothing_behind(
    serve: Serving, providers: dict[str, dict[str, Any]], upstream: ScriptedUpstream
) -> None:
    headrace = await serve.start(
        providers=providers, limits={"answers_per_user": 0, "questions_per_minute": 0}
    )

    def left_behind() -> tuple[int, int, int]:
        return (
            upstream.open,
            len(asyncio.all_tasks()),
            len(os.listdir("/proc/self/fd")),
        )

    upstream.tokens("a")
    warm = await Reader.ask(headrace.url)
    await warm.text("a")
    warm.close()
    await upstream.closed.wait()
    await headrace.relay.idle()
    before = left_behind()

    readers = await asyncio.gather(*(Reader.ask(headrace.url, str(n)) for n in range(1000)))
    for reader in readers:
        await reader.text("a")
    assert (1000, 1000) == (upstream.open, len(headrace.relay.live_answers))
    for reader in readers:
        reader.close()
    for request in upstream.requests:
        await request.closed.wait()
    await headrace.relay.idle()
    while left_behind() != before:  # noqa: ASYNC110 -- sockets go in the loop's next rounds
        await asyncio.sleep(0)
    assert (0, 0) == (len(headrace.relay.live_answers), headrace.event_streams.open_count)
