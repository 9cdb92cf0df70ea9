"""Leaving, finishing, stopping and deleting, each at the least convenient moment."""

import asyncio
import gc
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.server import Server
from relay.answer import Answer
from sockets.client_connection import ClientConnection
from tests.auth_servers import AuthServers
from tests.faults import FaultyStorage
from tests.readers import Reader, call, close_all
from tests.serving import Serving
from tests.steps import (
    JSON,
    LAST_WORD,
    LATER,
    asking_whole,
    kept_answer,
    messages_of,
    new_conversation,
    post,
    sending,
    until,
)
from tests.upstreams import ScriptedUpstream

# Leaving


@pytest.mark.parametrize("stray", [b"", b"\r\n"])
@pytest.mark.gen_test
async def test_who_leaves_while_their_question_is_being_stored_never_costs_anything(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage, stray: bytes
) -> None:
    server = await serve.start(providers=providers)
    kept = store.hold("ask", done=True)
    unkept = store.hold("ask")
    for gate in (kept, unkept):
        _, writer = await sending(server, post(b'{"content": "q"}') + stray)
        await gate.reached.wait()
        writer.close()
    await call(server.url, "GET", "/healthz")  # the loop has heard of the leaving by then
    await store.called("end_answer", times=2)
    await server.relay.idle()
    listed = await call(server.url, "GET", "/api/v1/conversations")

    [only] = listed.body["data"]  # what was not kept by then is not kept for nobody
    answer = await kept_answer(server, f"/api/v1/conversations/{only['id']}")
    assert ("abandoned", []) == (answer["status"], upstream.requests)


@pytest.mark.gen_test
async def test_who_leaves_while_an_old_answer_is_being_read_for_them_leaves_nothing_behind(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    upstream.finish()
    reader = await Reader.ask(server.url)
    await reader.end()
    gate = store.hold("message")
    back = asyncio.create_task(Reader.come_back(server.url, reader.answer_id))
    await gate.reached.wait()
    back.cancel()
    await close_all()
    await call(server.url, "GET", "/healthz")
    gate.open.set()
    await call(server.url, "GET", "/api/v1/conversations")  # which the store reads after it
    await until(lambda: not server.event_streams.open_count)


@pytest.mark.parametrize("how", ["leaves at the end", "comes never"])
@pytest.mark.gen_test
async def test_an_ended_answer_is_let_go_of_whatever_patience_it_had(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage, how: str
) -> None:
    server = await serve.start(providers=providers, relay={"attach_seconds": 3600})
    gate = store.hold("end_answer")
    upstream.tokens("a")
    upstream.finish()
    body = {"content": "q", "on_disconnect": {"grace": 3600}}
    if how == "comes never":
        answer_id = (await asking_whole(server, body, LATER)).body["answer_id"]
        await gate.reached.wait()
    else:
        reader = await Reader.open(server.url, "POST", "/api/v1/chat", body)
        await reader.text("a")
        answer_id = reader.answer_id
        await gate.reached.wait()
        reader.close()
        await until(lambda: not server.event_streams.open_count)
    assert answer_id in _answers_in_memory()

    gate.open.set()
    await server.relay.idle()
    await call(server.url, "GET", "/healthz")  # another turn for what is on its way out

    assert answer_id not in _answers_in_memory()


def _answers_in_memory() -> set[str]:
    gc.collect()
    return {each.id for each in gc.get_objects() if issubclass(type(each), Answer)}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_reader_who_never_reads_is_sent_little_and_their_leaving_is_noticed(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers)
    text = "水" * 2000
    upstream.tokens(text)
    never = socket.socket()
    never.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    never.setblocking(False)
    address = urlsplit(server.url)
    loop = asyncio.get_running_loop()
    with never:
        await loop.sock_connect(never, (address.hostname, address.port))
        await loop.sock_sendall(never, post(b'{"content": "q"}'))
        listed: list[dict[str, Any]] = []
        while not listed:
            listed = (await call(server.url, "GET", "/api/v1/conversations")).body["data"]
        path = f"/api/v1/conversations/{listed[0]['id']}"
        answer_id = (await messages_of(server, path))[-1]["id"]
        other = await Reader.come_back(server.url, answer_id)
        for number in range(2, 300):
            upstream.tokens(text)
            await other.text(text * number)
        # The other one is done with 1.8 MB; nothing of it waits in the process for the first.
        unwritten = [
            len(each._write_buffer)
            for each in gc.get_objects()
            if issubclass(type(each), ClientConnection) and each._write_buffer is not None
        ]
        assert 2 == len(unwritten)
        assert sum(unwritten) < 128 * 1024
        other.close()
        await until(lambda: server.event_streams.open_count == 1)
        assert not upstream.closed.is_set()  # one reader is left, reading or not
    await upstream.closed.wait()
    assert "abandoned" == (await kept_answer(server, path))["status"]


@pytest.mark.gen_test
async def test_a_second_question_on_the_same_connection_is_streamed_and_left_like_the_first(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    upstream.finish()
    upstream.next_request()
    upstream.tokens("b")
    # Both at once: the second is unread while the first is answered, and stray bytes follow it.
    question = post(b'{"content": "q"}')
    stream, writer = await sending(headrace, question + question + b"\r\n")
    assert b'"status":"complete"' in await stream.readuntil(b"0\r\n\r\n")
    assert b'{"text":"b"}' in await stream.readuntil(b'{"text":"b"}')
    assert 2 == len(upstream.requests)
    writer.close()
    await upstream.closed.wait()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_nothing_is_asked_behind_the_answer_of_an_http_1_0_client(
    auth_servers: AuthServers, providers, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    upstream.finish()
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    question = post(b'{"content": "q"}', version="1.0", key=alice.key)
    stream, writer = await sending(server, question + question)
    await stream.read()  # to the end: the connection is closed after the first answer
    writer.close()
    await call(server.url, "GET", "/healthz")
    await server.relay.idle()
    listed = await call(server.url, "GET", "/api/v1/conversations", headers=alice.headers)
    assert 1 == len(listed.body["data"])


@pytest.mark.gen_test
async def test_a_reader_is_still_watched_when_an_earlier_one_of_the_same_descriptor_goes(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    upstream.finish()
    upstream.next_request()
    upstream.silent()
    first = await Reader.ask(server.url)
    await first.end()
    gate = store.hold("message")
    path = f"/api/v1/answers/{first.answer_id}/events"
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    _, early = await sending(server, head)
    await gate.reached.wait()
    early.close()
    await call(server.url, "GET", "/healthz")  # its descriptor is free by then
    later = await Reader.open(server.url, "POST", "/api/v1/chat", {"content": "q"}, stray=b"\r\n")
    await later.start()
    await upstream.request(1)
    gate.open.set()
    await until(lambda: server.event_streams.open_count == 1)
    await call(server.url, "GET", "/healthz")
    later.close()
    await upstream.closed.wait()


# Endings


@pytest.mark.gen_test
async def test_a_question_that_never_left_for_the_provider_has_cost_nothing(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, upstream={"max_connections": 1})
    upstream.tokens("a")
    first = await Reader.ask(server.url)
    await first.text("a")
    queued = await Reader.ask(server.url, "a question of some length", on_disconnect="finish")
    await queued.start()
    stop = await call(server.url, "POST", f"/api/v1/answers/{queued.answer_id}/stop")
    assert {"input_tokens": 0, "output_tokens": 0, "estimated": True} == stop.body["usage"]
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_refusal_in_the_middle_of_an_answer_does_not_make_its_tokens_free(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("half an answer")
    upstream.raw(b'data: {"error": {"code": "rate_limit_exceeded"}}\n\n')
    upstream.end()
    reader = await Reader.ask(headrace.url)
    end = await reader.end()
    assert ("failed", "provider_rate_limited") == (end["status"], end["error"]["code"])
    assert end["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("usage", [(-5, 1), (10**30, 1), (0, 0)])
@pytest.mark.gen_test
async def test_figures_that_no_provider_can_mean_are_not_taken_for_usage(
    headrace: Server, upstream: ScriptedUpstream, usage: tuple[int, int]
) -> None:
    upstream.tokens("a")
    upstream.finish(usage=usage)
    reader = await Reader.ask(headrace.url)
    end = await reader.end()
    # MongoDB takes nothing beyond 8 bytes: such an ending could never be kept.
    assert ("complete", True) == (end["status"], end["usage"].get("estimated"))


@pytest.mark.parametrize("how", ["stop", "leave"])
@pytest.mark.gen_test
async def test_what_the_provider_finished_is_complete_although_somebody_stopped_it_then(
    headrace: Server, upstream: ScriptedUpstream, how: str
) -> None:
    upstream.raw(LAST_WORD)
    reader = await Reader.ask(headrace.url)
    await reader.text("x")  # and with it came the finish mark
    if how == "stop":
        await call(headrace.url, "POST", f"/api/v1/answers/{reader.answer_id}/stop")
    else:
        reader.close()
    await headrace.relay.idle()
    kept = await Reader.come_back(headrace.url, reader.answer_id)
    end = await kept.end()
    assert ("complete", "stop") == (end["status"], end["finish_reason"])


@pytest.mark.gen_test
async def test_what_breaks_behind_the_finish_mark_does_not_unmake_the_answer(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.raw(LAST_WORD)
    reader = await Reader.ask(headrace.url)
    await reader.text("x")
    (await upstream.request()).connection.write(b"no chunk size\r\n")
    assert "complete" == (await reader.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_upstream_that_never_falls_silent_behind_its_finish_mark_has_finished(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    relay = {"heartbeat_seconds": 0.1}
    server = await serve.start(providers=providers, relay=relay, timeouts={"answer": 1})
    upstream.raw(LAST_WORD)
    reader = await Reader.ask(server.url)
    await reader.text("x")
    async with asyncio.timeout(6):
        while (seen := await reader.next(until_beats=reader.beats + 1)) is None:
            upstream.raw(b'data: {"choices": []}\n\n')
    assert ("end", "complete") == (seen.event, seen.data["status"])


@pytest.mark.parametrize("part", ["id", "name"])
@pytest.mark.gen_test
async def test_the_names_of_tool_calls_are_bounded_like_all_of_an_answer(
    serve: Serving, providers, upstream: ScriptedUpstream, part: str
) -> None:
    server = await serve.start(providers=providers, relay={"max_answer_chars": 1000})
    for number in range(20):
        names = {"id": str(number), "name": "n"}
        names[part] += "x" * 100_000
        function = {"name": names["name"], "arguments": "{}"}
        piece = {"index": number, "id": names["id"], "function": function}
        event = {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}
        upstream.raw(f"data: {json.dumps(event)}\n\n".encode())
    upstream.finish("tool_calls")
    answer = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)
    assert (502, "failed") == (answer.status, answer.body["message"]["status"])
    assert len(json.dumps(answer.body["message"]["blocks"])) < 10_000


@pytest.mark.gen_test
async def test_everybody_who_stops_an_answer_is_told_the_same(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(headrace.url)
    await reader.text("a")
    path = f"/api/v1/answers/{reader.answer_id}/stop"
    stopped = await asyncio.gather(*(call(headrace.url, "POST", path) for _ in range(5)))
    assert [(200, "stopped")] * 5 == [(each.status, each.body["status"]) for each in stopped]
    assert "stopped" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_a_stop_waits_for_a_store_that_fails_no_longer_than_a_person_does(
    serve: Serving,
    providers,
    upstream: ScriptedUpstream,
    store: FaultyStorage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for room in ("stopping", "conversations"):
        monkeypatch.setattr(f"relay.{room}.STOP_TIMEOUT", 0.1)
    server = await serve.start(providers=providers)
    upstream.tokens("a")
    reader = await Reader.ask(server.url)
    start = await reader.start()
    await reader.text("a")
    store.fail("end_answer")

    stopped = await call(server.url, "POST", f"/api/v1/answers/{start['answer_id']}/stop")
    path = f"/api/v1/conversations/{start['conversation_id']}"
    deleted = await call(server.url, "DELETE", path)

    assert (202, "live") == (stopped.status, stopped.body["status"])
    assert 1 == len(server.relay.live_answers)  # its end is still being tried
    assert (204, 404) == (deleted.status, (await call(server.url, "GET", path)).status)
    await upstream.closed.wait()
    store.heal()
    assert "stopped" == (await reader.end())["status"]


# Deleting while asking


@pytest.mark.gen_test
async def test_a_question_that_slips_in_while_its_conversation_is_deleted_is_stopped(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await new_conversation(server)
    gate = store.hold("delete_conversation")
    deleting = asyncio.create_task(call(server.url, "DELETE", path))
    await gate.reached.wait()
    upstream.tokens("a")
    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    if reader.status == 200:
        await reader.text("a")
    gate.open.set()
    assert 204 == (await deleting).status
    assert 404 == (await call(server.url, "GET", path)).status
    async with asyncio.timeout(3):
        await server.relay.idle()  # nobody can ever read what would still be generated
    assert 0 == upstream.open


@pytest.mark.gen_test
async def test_a_conversation_deleted_while_a_question_is_on_its_way_is_404_and_costs_nothing(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await new_conversation(server)
    gate = store.hold("ask")
    body = {"content": "q"}
    asking = asyncio.create_task(call(server.url, "POST", f"{path}/messages", body))
    await gate.reached.wait()
    assert 204 == (await call(server.url, "DELETE", path)).status
    gate.open.set()
    assert (404, []) == ((await asking).status, upstream.requests)
    assert 0 == len(server.relay.live_answers)
