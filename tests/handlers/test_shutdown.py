"""The server stops: clients are informed, and nothing is lost or left half done."""

import asyncio
import json

import pytest

from app import composition
from app.server import Server
from tests.faults import FaultyStorage
from tests.readers import Connection, Reader
from tests.serving import Serving
from tests.steps import (
    JSON,
    SHORT_LEASE,
    asking_whole,
    messages_of,
    new_conversation,
    post,
    sending,
    until,
)
from tests.upstreams import ScriptedUpstream


@pytest.mark.gen_test
async def test_who_waits_for_json_is_told_of_a_shutdown(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers)
    upstream.tokens("half")
    waiting = asking_whole(server, {"content": "q"}, JSON)
    await upstream.request()
    await serve.stop(server)
    answer = await waiting
    assert 502 == answer.status  # as docs/api.md has it of what was interrupted
    assert "interrupted" == answer.body["message"]["status"]


@pytest.mark.gen_test
async def test_a_question_that_crosses_a_shutdown_ahead_of_being_stored_is_refused(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await new_conversation(server)
    gate = store.hold("conversation")
    upstream.tokens("a")
    question = json.dumps({"content": "q", "conversation_id": path.rpartition("/")[2]})
    _, writer = await sending(server, post(question.encode()))
    await gate.reached.wait()
    stopping = asyncio.create_task(serve.stop(server))
    await until(lambda: server.relay.is_draining)
    gate.open.set()
    await stopping
    writer.close()
    assert 0 == len(server.relay.live_answers)
    again = await serve.start(providers=providers)
    messages = await messages_of(again, path)
    assert ([], []) == (messages, upstream.requests)


@pytest.mark.gen_test
async def test_a_question_being_stored_at_a_shutdown_is_kept_with_its_end(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await new_conversation(server)
    gate = store.hold("ask")
    body = {"content": "q", "conversation_id": path.rpartition("/")[2]}
    asking = asyncio.create_task(Reader.open(server.url, "POST", "/api/v1/chat", body))
    await gate.reached.wait()
    stopping = asyncio.create_task(serve.stop(server))
    await until(lambda: server.relay.is_draining)
    gate.open.set()
    assert "interrupted" == (await (await asking).end())["status"]
    await stopping
    again = await serve.start(providers=providers)
    assert ["complete", "interrupted"] == [m["status"] for m in await messages_of(again, path)]
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
    stream, writer = await sending(server, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await stream.readuntil(b"}")
    gate = store.hold("end_answer")
    stopping = asyncio.create_task(serve.stop(server))
    await gate.reached.wait()
    writer.write(post(b'{"content": "q"}'))
    refused = await stream.readuntil(b"}}")
    assert b"503 Service Unavailable" in refused
    assert b"Retry-After" in refused
    assert b"shutting_down" in refused
    assert b"Connection: close" in refused  # what comes next is for another process
    gate.open.set()
    assert "interrupted" == (await reader.end())["status"]
    writer.close()
    await stopping


@pytest.mark.gen_test
async def test_a_reader_who_reads_nothing_does_not_hold_up_a_shutdown(
    serve: Serving, providers, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composition, "_ENDINGS_SECONDS", 0.05)
    server = await serve.start(providers=providers)
    _, writer = await sending(server, post(b'{"content": "q"}'))
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


@pytest.mark.gen_test
async def test_who_was_accepted_before_the_listening_ended_is_still_answered(
    headrace: Server, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.server._STRAGGLERS_SECONDS", 60.0)
    upstream.tokens("a")
    upstream.finish()
    connection = await Connection.open(headrace.url)
    await connection.call("GET", "/healthz")
    cut_short = asyncio.Event()
    draining = asyncio.create_task(headrace.drain(60.0, cut_short=cut_short))
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        await Connection.open(headrace.url)

    asked = await connection.call(
        "POST", "/api/v1/chat", {"content": "q"}, headers={"Accept": "application/json"}
    )

    assert (200, "complete") == (asked.status, asked.body["status"])
    assert "close" == asked.headers["connection"]  # what comes next is for another process
    cut_short.set()
    await draining
    refused = await connection.call("POST", "/api/v1/chat", {"content": "q"})
    assert (503, "shutting_down") == (refused.status, refused.body["error"]["code"])
    connection.close()
