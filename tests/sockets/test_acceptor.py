"""How many connections there may be, what the head of a request may be, and how slow."""

import asyncio
import json
import resource
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.server import Server
from sockets import acceptor
from tests.readers import Connection, Reader, call
from tests.serving import Serving
from tests.steps import JSON, kept_answer, post, sending, until
from tests.upstreams import ScriptedUpstream

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


async def answered(server: Server, data: bytes) -> tuple[int, dict[str, Any]]:
    """The status of a response, and the error in it, of a connection that is closed after it."""
    stream, writer = await sending(server, data)
    head, _, body = (await stream.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body or b"{}")


# How many


@pytest.mark.gen_test
async def test_who_is_one_too_many_is_told_so_and_the_others_stay(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, limits={"connections": 3})
    upstream.tokens("Hel")
    readers = [await Reader.ask(server.url) for _ in range(3)]
    for reader in readers:
        await reader.text("Hel")

    for _ in range(2):
        refused = await call(server.url, "GET", "/api/v1/models")
        assert (503, "overloaded") == (refused.status, refused.body["error"]["code"])
        assert "2" == refused.headers["retry-after"]
    upstream.tokens("lo")
    for reader in readers:
        await reader.text("Hello")

    readers[0].close()
    await until(lambda: server.acceptor.connections == 2)
    assert 200 == (await call(server.url, "GET", "/healthz")).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_rush_is_refused_whole_and_leaves_nothing(serve: Serving) -> None:
    server = await serve.start(limits={"connections": 1})
    kept = await Connection.open(server.url)
    assert 200 == (await kept.call("GET", "/healthz")).status

    async def refused() -> bytes:
        stream, writer = await sending(server, b"")
        try:
            return (await stream.read())[:12]
        finally:
            writer.close()

    assert {b"HTTP/1.1 503"} == set(await asyncio.gather(*(refused() for _ in range(300))))
    assert 200 == (await kept.call("GET", "/healthz")).status
    kept.close()
    await until(lambda: server.acceptor.connections == 0)
    assert 200 == (await call(server.url, "GET", "/healthz")).status


@pytest.mark.parametrize(
    ("descriptors", "affordable"), [(100, 50), (1024, 512), (20_000, 10_000), (12_000, 9_840)]
)
def test_descriptors_are_left_for_answers(descriptors: int, affordable: int) -> None:
    assert affordable == acceptor.affordable_connections(10_000, 2_000, descriptors)


def test_without_a_limit_on_files_there_is_the_setting() -> None:
    unlimited = resource.RLIM_INFINITY
    assert 10_000 == acceptor.affordable_connections(10_000, 2_000, unlimited)


# Heads


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        b"".join(b"X-%d: x\r\n" % number for number in range(100)),  # and Host
        b"X: x\r\n" * 100,
        b"X:\r\n" * 5_000,
        b"X: " + b"x" * 32_768 + b"\r\n",
        b"Cookie: " + b"x" * 60_000 + b"\r\n",
        b"X: a\r\n" + b" folded\r\n" * 100,
    ],
)
@pytest.mark.gen_test
async def test_more_headers_than_are_read_are_refused_in_words(
    serve: Serving, fields: bytes
) -> None:
    server = await serve.start()
    status, error = await answered(server, HEALTH + fields + b"\r\n")
    assert (431, "headers_too_large") == (status, error["error"]["code"])
    assert 0 == server.acceptor.connections


@pytest.mark.gen_test
async def test_as_many_headers_as_may_be_are_read(serve: Serving) -> None:
    server = await serve.start()
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 300) for number in range(98))
    status, _ = await answered(server, HEALTH + fields + b"Connection: close\r\n\r\n")
    assert 200 == status


@pytest.mark.gen_test
async def test_a_head_without_an_end_is_cut_off(serve: Serving) -> None:
    server = await serve.start()
    stream, writer = await sending(server, HEALTH + b"X: " + b"x" * 200_000)
    assert b"" == await _read_all(stream)
    writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\n\r\n",
        b"GET /healthz HTTP/1.1\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\n",
    ],
)
@pytest.mark.gen_test
async def test_a_line_that_ends_in_lf_alone_is_refused(serve: Serving, head: bytes) -> None:
    server = await serve.start()
    assert 400 == (await answered(server, head))[0]


# How slow


async def _read_all(stream: asyncio.StreamReader) -> bytes:
    """What comes until the connection is over, in whichever way."""
    try:
        return await stream.read()
    except ConnectionResetError:
        return b""


async def _trickle(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while not writer.is_closing():
        writer.write(piece)
        await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (HEALTH, b"X-a: b\r\n"),
        (b"G", b""),
        (b"\r\n", b"\r\n"),
        (post(b"x" * 1000)[:-1000], b"x"),
        (post(b"x" * 1000)[:-1000], b""),
        (
            b"POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
        ),
    ],
)
@pytest.mark.gen_test
async def test_who_sends_a_request_too_slowly_is_cut_off(
    serve: Serving, beginning: bytes, piece: bytes
) -> None:
    server = await serve.start(
        limits={"head_seconds": 0.2, "body_seconds": 0.2, "idle_seconds": 60}
    )
    stream, writer = await sending(server, beginning)
    trickling = asyncio.create_task(_trickle(writer, piece))
    refused = await _read_all(stream)
    trickling.cancel()
    writer.close()
    assert refused in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert 0 == server.acceptor.connections


@pytest.mark.gen_test
async def test_a_head_that_was_begun_before_it_was_accepted_has_as_long(serve: Serving) -> None:
    server = await serve.start(limits={"head_seconds": 0.2, "idle_seconds": 60})
    host, port = urlsplit(server.url).netloc.split(":")
    with socket.create_connection((host, int(port))) as waiting:
        waiting.sendall(HEALTH)  # the loop has not turned since
        async with asyncio.timeout(5):
            while server.acceptor.connections == 0:  # noqa: ASYNC110
                await asyncio.sleep(0)
            while server.acceptor.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_time_for_a_head_is_each_requests_own(serve: Serving) -> None:
    server = await serve.start(limits={"head_seconds": 0.2, "idle_seconds": 60})
    connection = await Connection.open(server.url)
    for _ in range(3):
        assert 200 == (await connection.call("GET", "/healthz")).status
        await asyncio.sleep(0.15)
    connection.writer.write(HEALTH)
    assert b"" == await _read_all(connection.stream)


@pytest.mark.slow
@pytest.mark.parametrize("first", [b"", HEALTH + b"\r\n"])
@pytest.mark.gen_test
async def test_who_asks_for_nothing_is_cut_off(serve: Serving, first: bytes) -> None:
    server = await serve.start(limits={"idle_seconds": 0.2})
    stream, writer = await sending(server, first)
    async with asyncio.timeout(5):
        await _read_all(stream)
    writer.close()
    assert 0 == server.acceptor.connections


@pytest.mark.gen_test
async def test_a_reader_may_take_longer_than_any_of_these(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    limits = {"idle_seconds": 0.1, "head_seconds": 0.1, "body_seconds": 0.1}
    relay = {"heartbeat_seconds": 0.1}
    server = await serve.start(providers=providers, limits=limits, relay=relay)
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url)
    await reader.text("Hel")
    await reader.next(until_beats=4)
    upstream.tokens("lo")
    upstream.finish()
    assert "complete" == (await reader.end())["status"]
    path = f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}"
    assert "complete" == (await kept_answer(server, path))["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_takes_nothing_of_a_long_list_is_cut_off(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    relay = {"heartbeat_seconds": 0.1, "reader_stall_seconds": 1.2}
    server = await serve.start(providers=providers, relay=relay)
    upstream.tokens(*["x" * 100_000] * 9)
    upstream.finish()
    asked = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)
    path = f"/api/v1/conversations/{asked.body['conversation_id']}/messages"
    for _ in range(8):
        await call(server.url, "POST", path, {"content": "q"}, headers=JSON)
    with socket.create_connection(tuple(urlsplit(server.url).netloc.split(":"))) as silent:
        silent.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async with asyncio.timeout(20):
            while server.acceptor.connections == 0:  # noqa: ASYNC110
                await asyncio.sleep(0)
            while server.acceptor.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
