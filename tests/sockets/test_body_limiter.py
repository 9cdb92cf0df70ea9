"""Long bodies share what they may hold; usual ones are never kept out."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

import sockets.body_limiter
from app.server import Server
from handlers.streaming import StreamingHandler
from sockets.acceptor import Acceptor
from sockets.body_budget import BodyBudget
from sockets.body_limiter import UNBOUNDED, BodyLimiter, LongBodies
from sockets.client_connection import ConnectionLimits
from sockets.unread_requests import UnreadRequestLog
from tests.issuer import Issuer
from tests.readers import Connection, Reader, Response, call
from tests.serving import Serving
from tests.steps import post, sending, until
from tests.upstreams import ScriptedUpstream

LONG = 90_000
USUAL = "/api/v1/conversations"  # whose bodies bring no files
MOST = 1_000_000
FILES = "/files"
WITH_FILES = 600_000


class LengthHandler(RequestHandler):
    """Says how long the body was."""

    def post(self) -> None:
        self.write({"length": len(self.request.body)})


class Site:
    """A server with room for one long body and a half."""

    def __init__(self, budget: int = 110_000, long_bodies: LongBodies | None = None) -> None:
        self.told: list[str] = []
        routes = [("/", LengthHandler), (FILES, LengthHandler)]
        application = Application(routes, log_function=lambda _: None)
        self.bodies = BodyLimiter(
            application,
            max_body_bytes=MOST // 2,
            budget=BodyBudget(budget),
            long_bodies=long_bodies,
            on_refused=self.told.append,
        )
        self.http = HTTPServer(self.bodies, max_body_size=UNBOUNDED)
        listening, port = bind_unused_port()
        limits = ConnectionLimits(16_384, 100, *[30.0] * 3, 4 * MOST)
        unread_log = UnreadRequestLog()
        self.acceptor = Acceptor(self.http, limits, max_connections=9, unread_log=unread_log)
        self.acceptor.start([listening])
        self.address = ("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}"

    async def half(self) -> Connection:
        """A connection on which a long body has come in but for its last byte."""
        before = self.bodies.budget.held
        connection = await Connection.open(self.url)
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LONG}\r\n\r\n"
        connection.writer.write(head.encode() + b"x" * (LONG - 1))
        await until(lambda: self.bodies.budget.held > before + LONG - 20_000)
        return connection

    async def post(self, length: int, path: str = "/") -> Response:
        return await call(self.url, "POST", path, raw=b"x" * length)


@contextmanager
def started(io_loop: IOLoop, *budgets: Any) -> Iterator[Site]:
    async def start() -> Site:
        return Site(*budgets)

    site = io_loop.run_sync(start)
    yield site
    site.acceptor.stop()
    io_loop.run_sync(site.http.close_all_connections)


@pytest.fixture
def site(io_loop: IOLoop) -> Iterator[Site]:
    with started(io_loop) as site:
        yield site


@pytest.fixture
def file_budget() -> BodyBudget:
    """Room for one body with files and a half."""
    return BodyBudget(150_000, free_bytes=MOST // 2)


@pytest.fixture
def file_site(io_loop: IOLoop, file_budget: BodyBudget) -> Iterator[Site]:
    long_bodies = LongBodies(re.compile(FILES), MOST, file_budget)
    with started(io_loop, 9 * MOST, long_bodies) as site:
        yield site


@pytest.mark.gen_test
async def test_a_long_body_beside_another_is_refused_and_a_usual_one_is_not(site: Site) -> None:
    held = await site.half()

    refused = await site.post(LONG)
    usual = await site.post(15_000)

    assert (503, "overloaded") == (refused.status, refused.body["error"]["code"])
    assert "2" == refused.headers["retry-after"]
    assert ["overloaded"] == site.told
    assert 15_000 == usual.body["length"]
    held.writer.write(b"x")
    assert b"200 OK" in await held.stream.readline()
    await until(lambda: site.bodies.budget.held == 0)
    assert LONG == (await site.post(LONG)).body["length"]
    held.close()


@pytest.mark.gen_test
async def test_bodies_with_files_share_a_budget_that_keeps_no_others_out(
    file_site: Site, file_budget: BodyBudget
) -> None:
    held = await Connection.open(file_site.url)
    head = f"POST {FILES} HTTP/1.1\r\nHost: x\r\nContent-Length: {WITH_FILES}\r\n\r\n"
    held.writer.write(head.encode() + b"x" * (WITH_FILES - 1))
    await until(lambda: file_budget.held == WITH_FILES - 1 - MOST // 2)

    refused = await file_site.post(WITH_FILES, FILES)
    usual = await file_site.post(MOST // 2, FILES)

    assert (503, "overloaded") == (refused.status, refused.body["error"]["code"])
    assert MOST // 2 == usual.body["length"]
    held.writer.write(b"x")
    assert b"200 OK" in await held.stream.readline()
    await until(lambda: file_budget.held == 0)
    assert WITH_FILES == (await file_site.post(WITH_FILES, FILES)).body["length"]
    held.close()


@pytest.mark.gen_test
async def test_who_leaves_in_the_middle_gives_the_room_back(site: Site) -> None:
    held = await site.half()

    held.writer.transport.abort()

    await until(lambda: site.bodies.budget.held == 0)
    assert LONG == (await site.post(LONG)).body["length"]


@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.gen_test
async def test_who_still_sends_reads_the_refusal(site: Site, method: str) -> None:
    held = await site.half()
    body = b"x" * MOST
    stream, writer = await asyncio.open_connection(*site.address)
    head = f"{method} / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"

    writer.write(head.encode() + body)

    assert b"HTTP/1.1 503" == (await stream.readuntil(b"\r\n\r\n"))[:12]
    assert ["overloaded"] == site.told
    writer.close()
    held.close()


@pytest.mark.gen_test
async def test_a_usual_body_passes_byte_by_byte(site: Site) -> None:
    held = await site.half()
    connection = await Connection.open(site.url)
    connection.writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n")
    for _ in range(2000):
        connection.writer.write(b"x")
        await asyncio.sleep(0)  # the server's turn, on the same loop: it reads each by itself

    assert b"200 OK" in await connection.stream.readline()
    connection.close()
    held.close()


def _chunks(length: int, size: int) -> bytes:
    """A body of so many bytes, in chunks."""
    chunk = f"{size:x}\r\n".encode() + b"x" * size + b"\r\n"
    return chunk * (length // size) + b"0\r\n\r\n"


async def _refused(stream: asyncio.StreamReader) -> dict[str, Any]:
    """The error of a 413, which has to be the last thing on its connection."""
    head = await stream.readuntil(b"\r\n\r\n")
    assert b"HTTP/1.1 413 " == head[:13]
    assert b"\r\nConnection: close\r\n" in head
    error: dict[str, Any] = json.loads(await stream.read())["error"]  # to the connection's end
    return error


EXPECT = "Expect: 100-continue\r\n"
TOO_LONG = {
    "at once": (MOST + 1, "", b"x" * (MOST + 1)),
    "many times": (20 * MOST, "", b"x" * 20 * MOST),
    "announced": (20 * MOST, EXPECT, b""),
    "announced, and more than is taken": (MOST // 2 + 1, EXPECT, b""),
    "announced and not sent": (10**11, "", b""),
    "in chunks": (None, "", _chunks(2 * MOST, 1000)),
    "in chunks, announced": (None, EXPECT, _chunks(4 * MOST, 9999)),
    "in one chunk": (None, "", _chunks(8 * MOST, 8 * MOST)),
    "in chunks without end": (None, "", _chunks(3 * MOST, 50_000)[:-5]),
}


@pytest.mark.slow
@pytest.mark.parametrize(("length", "fields", "body"), TOO_LONG.values(), ids=TOO_LONG.keys())
@pytest.mark.gen_test
async def test_a_body_past_all_measure_is_refused_in_words_that_its_sender_reads(
    site: Site, length: int | None, fields: str, body: bytes
) -> None:
    stream, writer = await asyncio.open_connection(*site.address)
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    writer.write(f"POST / HTTP/1.1\r\nHost: x\r\n{framing}\r\n{fields}\r\n".encode())

    async with asyncio.timeout(10):
        if length is None and fields:  # how much will come nobody knows yet
            assert b"HTTP/1.1 100 (Continue)" in await stream.readuntil(b"\r\n\r\n")
        writer.write(body)
        await writer.drain()  # all of it, as most clients do before they look
        error = await _refused(stream)

    assert (
        "body_too_large",
        f"The body is longer than {MOST // 2:,} bytes (limits.max_body_bytes).",
    ) == (
        error["code"],
        error["message"],
    )
    assert ["body_too_large"] == site.told
    assert 0 == site.bodies.budget.held
    writer.close()
    assert 5 == (await site.post(5)).body["length"]


async def _send_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(_chunks(MOST, MOST)[:-5])
        await writer.drain()


@pytest.mark.gen_test
async def test_who_goes_on_sending_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets.body_limiter, "_MAX_DISCARDED_BYTES", 3 * MOST)
    _, writer = await asyncio.open_connection(*site.address)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(_send_for_ever(writer), 10)

    assert ["body_too_large"] == site.told
    writer.close()


@pytest.mark.gen_test
async def test_a_head_request_has_no_words_with_it(site: Site) -> None:
    stream, writer = await asyncio.open_connection(*site.address)
    writer.write(f"HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: {MOST + 1}\r\n\r\n".encode())

    received = await stream.read()

    assert received.startswith(b"HTTP/1.1 413 ")
    assert received.endswith(b"\r\n\r\n")
    writer.close()


@pytest.mark.gen_test
async def test_the_setting_bounds_what_a_server_takes_in(serve: Serving) -> None:
    limits = {"max_body_bytes": 50_000, "max_bodies_bytes": 100_000}
    server = await serve.start(limits=limits)
    head = f"POST {USUAL} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    _, held = await sending(server, f"{head}Content-Length: 99999\r\n\r\n".encode() + b"x" * 99_998)
    await held.drain()

    async with asyncio.timeout(5):
        while True:  # until the other one's bytes have been read
            stream, writer = await sending(
                server, f"{head}Content-Length: 45000\r\n\r\n".encode() + b"x" * 45_000
            )
            status = (await stream.readuntil(b"\r\n")).split()[1]
            writer.close()
            if status == b"503":
                break
    assert 200 == (await call(server.url, "GET", "/api/v1/models")).status
    held.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_body_counts_until_it_is_known_whose_it_is(serve: Serving, issuer: Issuer) -> None:
    issuer.hold = asyncio.Event()  # it takes its time
    limits = {"max_body_bytes": 50_000, "max_bodies_bytes": 100_000}
    server = await serve.start(auth=issuer.settings(), limits=limits)
    key = issuer.token("next")
    _, waiting = await sending(server, post(b"x" * 90_000, key=key, path=USUAL))
    await until(lambda: server.open_requests.count == 1)  # it has all come in

    stream, another = await sending(server, post(b"x" * 45_000, key=key, path=USUAL))

    assert b"HTTP/1.1 503" == (await stream.readuntil(b"\r\n"))[:12]
    waiting.close()
    another.close()
    issuer.hold.set()


@pytest.mark.gen_test
async def test_a_stream_holds_no_body_that_came_with_asking_for_it(
    headrace: Server, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []
    begin = StreamingHandler.write_stream_headers

    def spied(self: StreamingHandler) -> None:
        held.append(len(self.request.body))
        begin(self)

    monkeypatch.setattr(StreamingHandler, "write_stream_headers", spied)
    upstream.tokens("a")
    reader = await Reader.ask(headrace.url)
    await reader.text("a")
    head = (
        f"GET /api/v1/answers/{reader.answer_id}/events HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    )

    stream, writer = await sending(headrace, head.encode() + b" " * 100_000)

    assert b"HTTP/1.1 200" in await stream.readuntil(b"\r\n")
    assert [0, 0] == held
    writer.close()
    upstream.finish()
