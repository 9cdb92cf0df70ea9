"""A full server can be asked how it does, and nothing else."""

import asyncio
import socket
from contextlib import ExitStack, suppress

import pytest

from app.server import Server
from sockets import probe_connections
from sockets.probe_connections import MAX_PROBE_CONNECTIONS, is_probe
from tests.faults import FaultyStorage
from tests.readers import Connection, call
from tests.serving import Serving
from tests.sockets.test_acceptor import answered
from tests.steps import post, sending, until

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def full(serve: Serving, **settings: object) -> tuple[Server, Connection]:
    """A server that has its only connection."""
    server = await serve.start(limits={"connections": 1}, **settings)
    kept = await Connection.open(server.url)
    assert 200 == (await kept.call("GET", "/healthz")).status
    return server, kept


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/healthz?why"])
@pytest.mark.gen_test
async def test_a_full_server_says_how_it_does_once_a_connection(serve: Serving, path: str) -> None:
    server, kept = await full(serve)

    for _ in range(2 * MAX_PROBE_CONNECTIONS):
        told = await call(server.url, "GET", path)
        assert (200, "close") == (told.status, told.headers["connection"])

    assert 0 == server.acceptor.refused
    assert 200 == (await kept.call("GET", "/api/v1/models")).status
    kept.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/models?/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz/x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        post(b'{"content": "%s"}' % (b"x" * 20_000)),
    ],
)
@pytest.mark.gen_test
async def test_whatever_else_is_asked_of_it_is_refused(serve: Serving, request_: bytes) -> None:
    server, kept = await full(serve)

    status, body = await answered(server, request_)

    assert (503, "overloaded") == (status, body["error"]["code"])
    assert 1 == server.acceptor.refused
    kept.close()


@pytest.mark.parametrize(
    "header", ["Content-Length: 9", "content-length:0x9", "Transfer-Encoding: chunked"]
)
@pytest.mark.gen_test
async def test_no_body_is_waited_for(serve: Serving, header: str) -> None:
    server, kept = await full(serve)
    for head, status in ((header, 503), ("Content-Length: 0", 200)):
        request = HEALTH[:-2] + f"{head}\r\n\r\n".encode()
        assert status == (await answered(server, request))[0]
    kept.close()


@pytest.mark.parametrize("begun", ["GET /", "GET http://", "GET ", "GET http:///?"])
@pytest.mark.gen_test
async def test_a_long_target_holds_nobody_up(serve: Serving, begun: str) -> None:
    # An expression that tried its parts in all ways took minutes for 4,000 characters.
    server, kept = await full(serve)
    request = begun.encode() + b"a" * 30_000 + b" HTTX/1.1\r\nHost: localhost\r\n\r\n"

    assert 503 == (await answered(server, request))[0]

    kept.close()


@pytest.mark.parametrize(
    ("begun", "expected"),
    [
        (b"", None),
        (b"\r\nGET /healthz HTTP/1.1", None),
        (b"\r\n\r\nGET /healthz HTTP/1.1\r\n", True),
        (b"HEAD /healthz?a=/#b HTTP/1.0\r\n", True),
        (b"GET HTTP://localhost:8080/healthz HTTP/1.1\r\n", True),
        (b"GET http://localhost?/healthz HTTP/1.1\r\n", False),
        (b"GET ftp://localhost/healthz HTTP/1.1\r\n", False),
        (b"GET /x#/healthz HTTP/1.1\r\n", False),
        (b"GET  /healthz HTTP/1.1\r\n", False),
        (b"GET /healthz\r\n", False),
        (b"get /healthz HTTP/1.1\r\n", False),
        (b"\x16\x03\x01\n", False),
    ],
)
def test_what_a_beginning_asks_for(begun: bytes, expected: bool | None) -> None:
    assert expected is is_probe(begun, {b"/healthz"})


@pytest.mark.gen_test
async def test_below_a_path_it_is_asked_there(serve: Serving) -> None:
    server, kept = await full(serve, base_path="/chat")
    assert 200 == (await call(server.url, "GET", "/chat/healthz")).status
    whole = b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert 200 == (await answered(server, whole))[0]
    kept.close()


@pytest.mark.gen_test
async def test_a_second_request_on_one_is_not_read(serve: Serving) -> None:
    server, kept = await full(serve)
    stream, writer = await sending(server, HEALTH + HEALTH)
    assert 1 == (await stream.read()).count(b"HTTP/1.1 ")
    writer.close()
    kept.close()


@pytest.mark.gen_test
async def test_who_asks_gets_through_however_many_say_nothing(serve: Serving) -> None:
    server, kept = await full(serve)
    silent = [await sending(server, b"GET /healthz") for _ in range(3 * MAX_PROBE_CONNECTIONS)]

    assert 200 == (await call(server.url, "GET", "/healthz")).status

    refused = [stream for stream, _ in silent if stream._buffer.startswith(b"HTTP/1.1 503")]  # type: ignore[attr-defined]
    assert 2 * MAX_PROBE_CONNECTIONS + 1 == len(refused) == server.acceptor.refused
    assert silent[0][0] in refused  # the one that was silent for longest
    for _, writer in silent:
        writer.close()
    kept.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "said", [b"", b"GET /he", b"GET /api/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"]
)
@pytest.mark.gen_test
async def test_who_asks_gets_through_a_rush_that_comes_in_the_same_turn(
    serve: Serving, said: bytes
) -> None:
    server, kept = await full(serve)
    port = int(server.url.rpartition(":")[2])

    for _ in range(3):
        with ExitStack() as rush:
            clients = []
            for place in range(100):  # before the server has a turn
                client = rush.enter_context(socket.create_connection(("127.0.0.1", port)))
                client.sendall(HEALTH if place == 10 else said)
                clients.append(client)
            stream, writer = await asyncio.open_connection(sock=clients[10].dup())
            assert (await stream.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()

    kept.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_says_nothing_or_waits_for_long_is_let_go(
    serve: Serving, store: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_connections, "_REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(probe_connections, "_RESPONSE_SECONDS", 0.05)
    server, kept = await full(serve)
    store.hold("ping")

    said = []
    for data in (b"", b"GET", HEALTH.replace(b"health", b"ready")):
        stream, writer = await sending(server, data)
        with suppress(ConnectionResetError):
            async with asyncio.timeout(5):
                said.append((await stream.read())[:12])
        writer.close()

    assert [b"HTTP/1.1 503", b"HTTP/1.1 503", b""] == said
    await until(lambda: not server.acceptor._probes._open)  # type: ignore[union-attr]
    assert 200 == (await call(server.url, "GET", "/healthz")).status
    kept.close()
