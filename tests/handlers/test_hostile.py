"""What a hostile review tried: stores that fail or hang at each step, readers and bytes that do not
behave, and races between asking, stopping, deleting and going away."""

import asyncio
import gc
import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tornado.ioloop import IOLoop

import server as composition
from relay.answer import Answer
from relay.asking import Asking
from server import Server
from tests.faults import FaultyStorage, spoiled
from tests.readers import Reader, Response, call, close_all
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

JSON = {"Accept": "application/json"}
LATER = {"Prefer": "respond-async"}
# A text and the finish mark in one event; the body stays open behind it.
LAST_WORD = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'
# A lease must be three checkpoints long; with these an outage soon outlasts it.
SHORT_LEASE = {"checkpoint_seconds": 0.02, "lease_seconds": 0.2}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStorage]:
    """What stands before the store of every server that this test starts."""
    yield from spoiled(monkeypatch)


@pytest.fixture(autouse=True)
def _stops(io_loop: IOLoop, serve: Serving) -> Iterator[None]:
    """Every server stops, whatever was done to it."""
    yield

    async def stop() -> None:
        await close_all()
        async with asyncio.timeout(10):
            await serve.stop_all()

    try:
        io_loop.run_sync(stop)
    except TimeoutError:
        pytest.fail("the server does not stop", pytrace=False)


async def _until(came_true: Callable[[], bool]) -> None:
    """Wait for what happens within the next turns of the loop, and that nothing else tells of."""
    while not came_true():  # noqa: ASYNC110
        await asyncio.sleep(0)


async def _conversation(server: Server) -> str:
    """A new conversation's path."""
    made = await call(server.url, "POST", "/api/v1/conversations", {})
    return f"/api/v1/conversations/{made.body['id']}"


async def _messages(server: Server, path: str) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = (await call(server.url, "GET", f"{path}/messages")).body["data"]
    return data


async def _kept(server: Server, path: str) -> dict[str, Any]:
    """The conversation's last answer, once it is stored with its end."""
    async with asyncio.timeout(5):
        while True:
            messages = await _messages(server, path)
            if messages and messages[-1]["status"] != "live":
                return messages[-1]


def _asking(
    server: Server, body: dict[str, Any], headers: dict[str, str]
) -> asyncio.Task[Response]:
    """A question whose whole response is waited for."""
    request = call(server.url, "POST", "/api/v1/chat", body, headers=headers)
    return asyncio.create_task(request)


async def _raw(server: Server, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which `data` was sent."""
    parts = urlsplit(server.url)
    stream, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(data)
    return stream, writer


def _post(body: bytes, *, version: str = "1.1", connection: str = "keep-alive") -> bytes:
    head = (
        f"POST /api/v1/chat HTTP/{version}\r\nHost: localhost\r\nConnection: {connection}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


# The store fails or hangs


@pytest.mark.parametrize(
    ("operation", "method", "path", "body"),
    [
        ("conversation", "POST", "{path}/messages", {"content": "q"}),
        ("messages", "POST", "{path}/messages", {"content": "q"}),
        ("ask", "POST", "{path}/messages", {"content": "q"}),
        ("ask", "POST", "/api/v1/chat", {"content": "q"}),
        ("messages", "GET", "{path}/messages", None),
        ("conversation", "GET", "{path}", None),
        ("change_conversation", "PATCH", "{path}", {"title": "t"}),
        ("live_answer", "DELETE", "{path}", None),
        ("delete_conversation", "DELETE", "{path}", None),
        ("create_conversation", "POST", "/api/v1/conversations", {}),
        ("conversations", "GET", "/api/v1/conversations", None),
        ("message", "POST", "/api/v1/answers/none/stop", None),
        ("ping", "GET", "/readyz", None),
    ],
)
@pytest.mark.gen_test
async def test_a_store_that_fails_is_told_as_503_and_the_provider_is_not_asked(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage,
    operation: str, method: str, path: str, body: object,
) -> None:  # fmt: skip
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    conversation = await _conversation(server)
    store.fail(operation)
    refused = await call(server.url, method, path.format(path=conversation), body)
    assert (503, "storage_unavailable") == (refused.status, refused.body["error"]["code"])
    assert "retry-after" in refused.headers
    await server.relay.idle()
    assert [] == upstream.requests


@pytest.mark.gen_test
async def test_a_question_that_was_kept_although_the_store_failed_leaves_the_conversation_free(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await _conversation(server)
    store.fail("ask", kept=True, times=1)
    refused = await call(server.url, "POST", f"{path}/messages", {"content": "q"})
    assert 503 == refused.status
    answer = await _kept(server, path)
    assert ("failed", "storage_unavailable") == (answer["status"], answer["error"]["code"])
    upstream.finish()
    again = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    assert "complete" == (await again.end())["status"]
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_question_that_was_never_kept_is_no_answer_that_lost_its_lease(
    serve: Serving, providers, store: FaultyStorage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headrace")
    server = await serve.start(providers=providers)
    store.fail("ask", times=1)
    assert 503 == (await call(server.url, "POST", "/api/v1/chat", {"content": "q"})).status
    await server.relay.idle()
    assert "lease_lost" not in caplog.text


@pytest.mark.gen_test
async def test_whoever_is_cancelled_while_asking_leaves_the_conversation_free(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await _conversation(server)
    gate = store.hold("ask", done=True)  # kept, but the relay was not told
    asking = Asking(user="local", content="q", conversation_id=path.rpartition("/")[2])
    task = asyncio.create_task(server.relay.ask(asking))
    await gate.reached.wait()
    task.cancel()
    await asyncio.wait([task])
    assert "live" != (await _kept(server, path))["status"]
    assert [] == upstream.requests


@pytest.mark.gen_test
async def test_an_answer_whose_end_could_not_be_kept_for_a_lease_does_not_block_its_conversation(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    path = await _conversation(server)
    store.fail("end_answer")
    upstream.tokens("a")
    upstream.finish()
    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    end = await reader.end()
    assert ("interrupted", "storage_unavailable") == (end["status"], end["error"]["code"])
    store.heal()
    assert "interrupted" == (await _kept(server, path))["status"]
    again = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    assert 200 == again.status
    await again.end()
    assert 204 == (await call(server.url, "DELETE", path)).status


@pytest.mark.gen_test
async def test_json_never_tells_an_answer_that_ended_as_live(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    store.fail("end_answer")
    upstream.tokens("a")
    upstream.finish()
    answer = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)
    assert (502, "storage_unavailable") == (answer.status, answer.body["error"]["code"])
    assert "interrupted" == answer.body["message"]["status"]


@pytest.mark.gen_test
async def test_json_tells_how_an_answer_ended_also_when_its_conversation_is_gone_by_then(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await _conversation(server)
    upstream.tokens("a")
    gate = store.hold("message")
    body = {"content": "q", "conversation_id": path.rpartition("/")[2]}
    waiting = _asking(server, body, JSON)
    await upstream.request()
    assert 204 == (await call(server.url, "DELETE", path)).status
    gate.open.set()
    answer = await waiting
    assert (200, "stopped") == (answer.status, answer.body.get("status"))


@pytest.mark.gen_test
async def test_an_answer_ends_for_its_readers_whatever_the_store_raises(
    serve: Serving,
    providers,
    upstream: ScriptedUpstream,
    store: FaultyStorage,
    expect_log: Callable[[str, str], None],
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    store.fail("end_answer", error=OverflowError("MongoDB can only handle up to 8-byte ints"))
    expect_log("headrace.relay", "")
    upstream.tokens("a")
    upstream.finish()
    reader = await Reader.ask(server.url)
    async with asyncio.timeout(5):
        assert (await reader.end())["status"] in ("failed", "interrupted")
        await server.relay.idle()


@pytest.mark.gen_test
async def test_half_a_character_in_a_tool_calls_name_spoils_nothing(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    upstream.raw(
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"\\ud83d","function":'
        b'{"name":"\\ud83d","arguments":"{}"}}]}}]}\n\n'
    )
    reader = await Reader.ask(server.url)
    async with asyncio.timeout(5):
        await reader.start()
        assert await reader.next() is not None
        upstream.finish()
        assert "complete" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_checkpoints_of_other_answers_go_on_when_one_cannot_be_written(
    serve: Serving,
    providers,
    upstream: ScriptedUpstream,
    store: FaultyStorage,
    expect_log: Callable[[str, str], None],
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    upstream.tokens("abc")
    spoiled_one = await Reader.ask(server.url)
    await spoiled_one.start()
    store.fail(
        "append_chunks",
        error=UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "no"),
        when=lambda chunks: spoiled_one.answer_id in {chunk.answer_id for chunk in chunks},
    )
    expect_log("headrace.checkpoints", "")
    path = await _conversation(server)
    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    for grown, so_far in (("", "abc"), ("d", "abcd")):  # what comes later is written as well
        upstream.tokens(*grown)
        await reader.text(so_far)
        async with asyncio.timeout(5):
            while (await _messages(server, path))[-1]["blocks"] != [
                {"type": "text", "text": so_far}
            ]:
                pass  # each look is a request


@pytest.mark.gen_test
async def test_questions_that_an_outage_refused_do_not_pile_up(
    serve: Serving, providers, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    store.fail("ask")
    store.fail("end_answer")
    await call(server.url, "POST", "/api/v1/chat", {"content": "q"})
    before = len(asyncio.all_tasks())
    for _ in range(50):
        assert 503 == (await call(server.url, "POST", "/api/v1/chat", {"content": "q"})).status
    assert len(asyncio.all_tasks()) < before + 10


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.gen_test
async def test_checkpoints_that_failed_lose_nothing_and_say_nothing_twice(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage, kept: bool
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    path = await _conversation(server)
    store.fail("append_chunks", kept=kept)
    upstream.tokens("ab")
    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    await reader.text("ab")
    await store.called("append_chunks", 2)
    upstream.tokens("cd")
    await reader.text("abcd")  # streaming goes on meanwhile
    await store.called("append_chunks", store.calls.count("append_chunks") + 2)
    store.heal()
    async with asyncio.timeout(5):
        while (await _messages(server, path))[-1]["blocks"] != [{"type": "text", "text": "abcd"}]:
            pass
    upstream.finish()
    await reader.end()
    assert [{"type": "text", "text": "abcd"}] == (await _kept(server, path))["blocks"]


@pytest.mark.gen_test
async def test_a_chunk_that_arrives_behind_its_answers_end_changes_nothing(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    path = await _conversation(server)
    gate = store.hold("append_chunks")
    upstream.tokens("ab")
    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    await gate.reached.wait()
    upstream.tokens("cd")
    upstream.finish()
    await reader.end()
    gate.open.set()
    await store.called("append_chunks", 1)
    assert [{"type": "text", "text": "abcd"}] == (await _kept(server, path))["blocks"]


@pytest.mark.gen_test
async def test_readiness_does_not_wait_for_a_store_that_hangs(
    serve: Serving, store: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.health._PING_SECONDS", 0.02)
    server = await serve.start()
    store.hold("ping")
    assert 503 == (await call(server.url, "GET", "/readyz")).status


# Leaving


@pytest.mark.parametrize("stray", [b"", b"\r\n"])
@pytest.mark.gen_test
async def test_who_leaves_while_their_question_is_being_stored_never_costs_anything(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage, stray: bytes
) -> None:
    server = await serve.start(providers=providers)
    gate = store.hold("ask")
    _, writer = await _raw(server, _post(b'{"content": "q"}') + stray)
    await gate.reached.wait()
    writer.close()
    await call(server.url, "GET", "/healthz")  # the loop has heard of the leaving by then
    gate.open.set()
    await store.called("end_answer")
    await server.relay.idle()
    listed = await call(server.url, "GET", "/api/v1/conversations")
    answer = await _kept(server, f"/api/v1/conversations/{listed.body['data'][0]['id']}")
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
    await call(server.url, "GET", "/api/v1/conversations")  # which the store reads behind it
    await _until(lambda: not server.presence.followers)


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
        answer_id = (await _asking(server, body, LATER)).body["answer_id"]
        await gate.reached.wait()
    else:
        reader = await Reader.open(server.url, "POST", "/api/v1/chat", body)
        await reader.text("a")
        answer_id = reader.answer_id
        await gate.reached.wait()
        reader.close()
        await _until(lambda: not server.presence.followers)
    gate.open.set()
    await server.relay.idle()
    await call(server.url, "GET", "/healthz")  # another turn for what is on its way out
    gc.collect()
    held = [thing for thing in gc.get_objects() if isinstance(thing, Answer)]
    assert answer_id not in {answer.id for answer in held}


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
        await loop.sock_sendall(never, _post(b'{"content": "q"}'))
        listed: list[dict[str, Any]] = []
        while not listed:
            listed = (await call(server.url, "GET", "/api/v1/conversations")).body["data"]
        path = f"/api/v1/conversations/{listed[0]['id']}"
        answer_id = (await _messages(server, path))[-1]["id"]
        other = await Reader.come_back(server.url, answer_id)
        for number in range(2, 300):
            upstream.tokens(text)
            await other.text(text * number)
        # The other one is done with 1.8 MB; nothing of it waits in the process for the first.
        queued = sum(
            len(thing._write_buffer)
            for thing in gc.get_objects()
            if type(thing).__name__ == "IOStream" and thing._write_buffer is not None
        )
        assert queued < 128 * 1024
        other.close()
        await _until(lambda: server.presence.followers == 1)
        assert not upstream.closed.is_set()  # one reader is left, reading or not
    await upstream.closed.wait()
    assert "abandoned" == (await _kept(server, path))["status"]


@pytest.mark.gen_test
async def test_a_second_question_on_the_same_connection_is_streamed_and_left_like_the_first(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    upstream.finish()
    upstream.next_request()
    upstream.tokens("b")
    # Both at once: the second lies unread behind the first, with stray bytes behind it.
    question = _post(b'{"content": "q"}')
    stream, writer = await _raw(headrace, question + question + b"\r\n")
    assert b'"status":"complete"' in await stream.readuntil(b"0\r\n\r\n")
    assert b'{"text":"b"}' in await stream.readuntil(b'{"text":"b"}')
    assert 2 == len(upstream.requests)
    writer.close()
    await upstream.closed.wait()


@pytest.mark.gen_test
async def test_nothing_is_asked_behind_the_answer_of_an_http_1_0_client(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    upstream.finish()
    question = _post(b'{"content": "q"}', version="1.0")
    stream, writer = await _raw(headrace, question + question)
    await stream.read()  # to the end: the connection is closed behind the first answer
    writer.close()
    await call(headrace.url, "GET", "/healthz")
    await headrace.relay.idle()
    listed = await call(headrace.url, "GET", "/api/v1/conversations")
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
    _, early = await _raw(server, head)
    await gate.reached.wait()
    early.close()
    await call(server.url, "GET", "/healthz")  # its descriptor is free by then
    later = await Reader.open(server.url, "POST", "/api/v1/chat", {"content": "q"}, stray=b"\r\n")
    await later.start()
    await upstream.request(1)
    gate.open.set()
    await _until(lambda: server.presence.followers == 1)
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


@pytest.mark.parametrize("tokens", [-5, 10**30])
@pytest.mark.gen_test
async def test_figures_that_no_provider_can_mean_are_not_taken_for_usage(
    headrace: Server, upstream: ScriptedUpstream, tokens: int
) -> None:
    upstream.tokens("a")
    upstream.finish(usage=(tokens, 1))
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


# Deleting while asking


@pytest.mark.gen_test
async def test_a_question_that_slips_in_while_its_conversation_is_deleted_is_stopped(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await _conversation(server)
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
    path = await _conversation(server)
    gate = store.hold("ask")
    body = {"content": "q"}
    asking = asyncio.create_task(call(server.url, "POST", f"{path}/messages", body))
    await gate.reached.wait()
    assert 204 == (await call(server.url, "DELETE", path)).status
    gate.open.set()
    assert (404, []) == ((await asking).status, upstream.requests)
    assert 0 == server.relay.live


# Going away


@pytest.mark.gen_test
async def test_who_waits_for_json_is_told_of_a_shutdown(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers)
    upstream.tokens("half")
    waiting = _asking(server, {"content": "q"}, JSON)
    await upstream.request()
    await serve.stop(server)
    answer = await waiting
    assert 502 == answer.status  # as docs/api.md has it of what was interrupted
    assert "interrupted" == answer.body["message"]["status"]


@pytest.mark.gen_test
async def test_a_question_that_crosses_a_shutdown_is_refused_or_interrupted_never_lost(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await _conversation(server)
    gate = store.hold("conversation")
    upstream.tokens("a")
    question = json.dumps({"content": "q", "conversation_id": path.rpartition("/")[2]})
    _, writer = await _raw(server, _post(question.encode()))
    await gate.reached.wait()
    stopping = asyncio.create_task(serve.stop(server))
    await _until(lambda: server.relay.closing)
    gate.open.set()
    await stopping
    writer.close()
    assert 0 == server.relay.live
    again = await serve.start(providers=providers)
    messages = await _messages(again, path)
    # Nothing was kept, or its end was, by the process that took it and not by the next one's sweep.
    assert [] == messages or upstream.requests == []


@pytest.mark.gen_test
async def test_a_question_being_stored_at_a_shutdown_is_kept_with_its_end(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await _conversation(server)
    gate = store.hold("ask")
    body = {"content": "q", "conversation_id": path.rpartition("/")[2]}
    asking = asyncio.create_task(Reader.open(server.url, "POST", "/api/v1/chat", body))
    await gate.reached.wait()
    stopping = asyncio.create_task(serve.stop(server))
    await _until(lambda: server.relay.closing)
    gate.open.set()
    assert "interrupted" == (await (await asking).end())["status"]
    await stopping
    again = await serve.start(providers=providers)
    assert ["complete", "interrupted"] == [m["status"] for m in await _messages(again, path)]
    assert [] == upstream.requests


@pytest.mark.gen_test
async def test_whoever_asks_during_a_shutdown_is_told_to_come_back(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    upstream.tokens("a")
    reader = await Reader.ask(server.url)
    await reader.text("a")
    # A connection from before: the server listens no more.
    stream, writer = await _raw(server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await stream.readuntil(b"}")
    gate = store.hold("end_answer")
    stopping = asyncio.create_task(serve.stop(server))
    await gate.reached.wait()
    writer.write(_post(b'{"content": "q"}'))
    refused = await stream.readuntil(b"}}")
    assert b"503 Service Unavailable" in refused
    assert b"Retry-After" in refused
    assert b"shutting_down" in refused
    gate.open.set()
    assert "interrupted" == (await reader.end())["status"]
    writer.close()
    await stopping


@pytest.mark.gen_test
async def test_a_reader_who_reads_nothing_does_not_hold_up_a_shutdown(
    serve: Serving, providers, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "_LAST_WORDS_SECONDS", 0.05)
    server = await serve.start(providers=providers)
    _, writer = await _raw(server, _post(b'{"content": "q"}'))
    (await upstream.request()).connection.transport.pause_reading()
    writer.transport.pause_reading()
    upstream.tokens(*["水" * 10_000] * 30)
    async with asyncio.timeout(5):
        await serve.stop(server)
    writer.close()


@pytest.mark.gen_test
async def test_a_shutdown_without_a_store_ends_within_a_lease_and_tells_the_readers(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    upstream.tokens("a")
    reader = await Reader.ask(server.url)
    await reader.text("a")
    store.fail("end_answer")
    async with asyncio.timeout(5):
        await serve.stop(server)
    end = await reader.end()
    assert ("interrupted", "storage_unavailable") == (end["status"], end["error"]["code"])


# What comes in


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "http://]", "//", "%"])
@pytest.mark.gen_test
async def test_an_origin_that_is_no_address_is_refused_like_any_other(
    headrace: Server, origin: str
) -> None:
    refused = await call(headrace.url, "GET", "/api/v1/models", headers={"Origin": origin})
    assert (403, "foreign_origin") == (refused.status, refused.body["error"]["code"])


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-Proto",  # nginx as most people set it up, with Host left at its default
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Original-Forwarded-For",
        "CF-Connecting-IP",
        "True-Client-IP",
        "X-Client-IP",
        "X-Envoy-External-Address",
    ],
)
@pytest.mark.gen_test
async def test_whatever_a_proxy_adds_gives_it_away(headrace: Server, header: str) -> None:
    refused = await call(headrace.url, "GET", "/api/v1/models", headers={header: "x"})
    assert (403, "forwarded_request") == (refused.status, refused.body["error"]["code"])


@pytest.mark.parametrize("limit", ["9" * 5000, "%D9%A3", "%2B3", "3_0", "1e1", "-1", "0x3", "%00"])
@pytest.mark.gen_test
async def test_a_limit_that_is_no_small_number_is_refused(headrace: Server, limit: str) -> None:
    refused = await call(headrace.url, "GET", f"/api/v1/conversations?limit={limit}")
    assert (400, "invalid_limit") == (refused.status, refused.body["error"]["code"])


@pytest.mark.parametrize(
    "raw",
    [
        b'{"content": "x", "max_tokens": 1e30}',
        b'{"content": "x", "max_tokens": 0}',
        b'{"content": "x", "max_tokens": true}',
        b'{"content": "x", "temperature": 1e400}',
        b'{"content": "x", "temperature": NaN}',
        b'{"content": "x", "top_p": Infinity}',
        b'{"content": "x", "top_p": 0}',
        b'{"content": "x", "stop": ["a", "b", "c", "d", "e"]}',
        b'{"content": "x", "stop": [""]}',
        b'{"content": "x", "stop": "END"}',
        b'{"content": "x", "on_disconnect": {"grace": -1}}',
        b'{"content": "x", "on_disconnect": {"grace": 3601}}',
        b'{"content": "x", "on_disconnect": {"grace": "1"}}',
        b'{"content": "x", "on_disconnect": {"grace": 1, "more": 1}}',
        b'{"content": "x", "model": ""}',
        b'{"content": "x", "conversation_id": 7}',
        b'{"content": "x"} {}',
        b'\xef\xbb\xbf{"content": "x"}',
        b'{"content": "\xed\xa0\xbd"}',
        b'{"content": ' + b"[" * 100_000,
        b'{"x": ' + b'{"a":' * 100_000,
        b'{"content": [{"type": "text", "text": "x", "more": ' + b"[" * 100_000,
    ],
)
@pytest.mark.gen_test
async def test_a_strange_body_is_refused_before_anything_is_kept(
    headrace: Server, upstream: ScriptedUpstream, raw: bytes
) -> None:
    refused = await call(headrace.url, "POST", "/api/v1/chat", raw=raw)
    assert 400 == refused.status
    listed = await call(headrace.url, "GET", "/api/v1/conversations")
    assert ([], []) == (listed.body["data"], upstream.requests)


@pytest.mark.gen_test
async def test_an_error_names_the_field_and_does_not_repeat_its_value(headrace: Server) -> None:
    for raw in (
        b'{"content": "x", "on_disconnect": "canary"}',
        b'{"content": [{"type": "canary"}]}',
    ):
        refused = await call(headrace.url, "POST", "/api/v1/chat", raw=raw)
        assert "canary" not in str(refused.body)


@pytest.mark.gen_test
async def test_any_character_comes_back_as_it_was_sent(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    text = "\x00\x01\x1f\x7f\x85\u2028\u2029\ufeff\uffff👨‍👩‍👧\U0010ffff$.\\\"'"
    metadata = {text: text, "$where": "1", "": "", "a.b": ""}
    body = {"title": text, "system": text, "metadata": metadata}
    made = await call(headrace.url, "POST", "/api/v1/conversations", body)
    assert (201, body) == (made.status, {key: made.body[key] for key in body})
    path = f"/api/v1/conversations/{made.body['id']}"
    upstream.tokens(*text)
    upstream.finish()
    reader = await Reader.open(headrace.url, "POST", f"{path}/messages", {"content": text})
    await reader.text(text)
    await reader.end()
    asked = (await upstream.request()).json["messages"]
    assert [("system", text), ("user", text)] == [(each["role"], each["content"]) for each in asked]
    blocks = [{"type": "text", "text": text}]
    assert [blocks, blocks] == [message["blocks"] for message in await _messages(headrace, path)]
    assert made.body["metadata"] == (await call(headrace.url, "GET", path)).body["metadata"]


@pytest.mark.parametrize("end", ["\nERROR headrace.relay forged", "\n", "\r", "\x9b2J", "\x1b[2J"])
@pytest.mark.gen_test
async def test_a_model_that_nobody_has_cannot_write_lines_into_the_log(
    headrace: Server, upstream: ScriptedUpstream, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    caplog.set_level(logging.INFO, "headrace")
    upstream.finish()
    body = {"content": "q", "model": f"openai/m{end}"}
    await call(headrace.url, "POST", "/api/v1/chat", body, headers=JSON)
    await headrace.relay.idle()
    assert all(record.getMessage().isprintable() for record in caplog.records)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/event-stream;q=0, application/json", "application/json"),
        ("application/json;q=0, text/event-stream", "text/event-stream"),
        ("TEXT/EVENT-STREAM", "text/event-stream"),
        ("text/*", "text/event-stream"),
        ("application/*;q=0.5", "application/json"),
    ],
)
@pytest.mark.gen_test
async def test_a_form_that_is_not_wanted_is_not_sent(
    headrace: Server, upstream: ScriptedUpstream, accept: str, kind: str
) -> None:
    upstream.finish()
    headers = {"Accept": accept}
    answer = await call(headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers=headers)
    assert kind == answer.headers["content-type"].partition(";")[0]


@pytest.mark.parametrize(
    "prefer", ["respond-async", "Respond-Async", "wait=10, respond-async", "respond-async; x=1"]
)
@pytest.mark.gen_test
async def test_a_preference_is_understood_however_it_is_written(
    headrace: Server, upstream: ScriptedUpstream, prefer: str
) -> None:
    upstream.finish()
    headers = {"Prefer": prefer}
    answer = await call(headrace.url, "POST", "/api/v1/chat", {"content": "q"}, headers=headers)
    assert 202 == answer.status


_HEAD = b"POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_CHUNKED = b'10\r\n{"content": "q"}\r\n0\r\n\r\n'


@pytest.mark.parametrize(
    "request_bytes",
    [
        _HEAD + b"Content-Length: 16\r\nTransfer-Encoding: chunked\r\n\r\n" + _CHUNKED,
        _HEAD + b'Content-Length: 16\r\nContent-Length: 17\r\n\r\n{"content": "q"} ',
        _HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + _CHUNKED,
        _HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + _CHUNKED,
        _HEAD + b'Content-Length: +16\r\n\r\n{"content": "q"}',
        _HEAD + b'Content-Length: 0x10\r\n\r\n{"content": "q"}',
        _HEAD + b"Transfer-Encoding: chunked\r\n\r\n+10\r\n" + _CHUNKED[4:],
        _HEAD + b'Content-Length : 16\r\n\r\n{"content": "q"}',
        _HEAD + b'X: a\r\n\x00Content-Length: 16\r\n\r\n{"content": "q"}',
        _HEAD + b'Host: example.org\r\nContent-Length: 16\r\n\r\n{"content": "q"}',
    ],
)
@pytest.mark.gen_test
async def test_a_request_that_two_servers_would_read_differently_is_refused(
    headrace: Server, upstream: ScriptedUpstream, request_bytes: bytes
) -> None:
    stream, writer = await _raw(headrace, request_bytes)
    head = await stream.readuntil(b"\r\n")
    writer.close()
    assert int(head.split()[1]) in (400, 403)
    listed = await call(headrace.url, "GET", "/api/v1/conversations")
    assert ([], []) == (listed.body["data"], upstream.requests)


@pytest.mark.gen_test
async def test_an_allowed_page_can_read_why_it_was_refused(serve: Serving) -> None:
    page = {"Origin": "https://app.example.org"}
    server = await serve.start(
        cors={"allow_origins": [page["Origin"]]}, limits={"max_body_bytes": 100}
    )
    for method, path, body, status in (
        ("GET", "/api/v1/nothing", None, 404),
        ("PUT", "/api/v1/conversations", {}, 405),
        ("POST", "/api/v1/chat", {}, 400),
        ("POST", "/api/v1/chat", {"content": "x" * 120}, 413),
        ("GET", "/api/v1/conversations/%ff", None, 400),
        ("GET", "/api/v1/answers/none/events", None, 404),
    ):
        refused = await call(server.url, method, path, body, headers=page)
        assert (status, page["Origin"], "Origin") == (
            refused.status,
            refused.headers["access-control-allow-origin"],
            refused.headers["vary"],
        )


@pytest.mark.gen_test
async def test_every_code_that_is_sent_is_in_the_documentation(headrace: Server) -> None:
    documented = (Path(__file__).parents[2] / "docs/api.md").read_text("utf-8")
    for method, path in (
        ("GET", "/api/v1/conversations/%ff"),
        ("GET", "/api/v1/conversations?after=%ff"),
        ("PUT", "/api/v1/chat"),
        ("GET", "/api/v1/nothing"),
    ):
        refused = await call(headrace.url, method, path)
        assert f"`{refused.body['error']['code']}`" in documented
