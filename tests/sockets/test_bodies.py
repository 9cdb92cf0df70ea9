"""Long bodies share what they may hold; usual ones are never kept out."""

import asyncio
from collections.abc import Iterator

import pytest
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from sockets.bodies import Bodies
from tests.readers import Connection, Response, call
from tests.steps import until

LONG = 90_000


class LengthHandler(RequestHandler):
    """Says how long the body was."""

    def post(self) -> None:
        self.write({"length": len(self.request.body)})


class Site:
    """A server with room for one long body and a half."""

    def __init__(self) -> None:
        self.told: list[str] = []
        application = Application([("/", LengthHandler)], log_function=lambda _: None)
        self.bodies = Bodies(application, max_bytes=110_000, tell=self.told.append)
        self.http = HTTPServer(self.bodies)
        listening, port = bind_unused_port()
        self.http.add_sockets([listening])
        self.address = ("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}"

    async def half(self) -> Connection:
        """A connection on which a long body has come in but for its last byte."""
        before = self.bodies.held
        connection = await Connection.open(self.url)
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {LONG}\r\n\r\n"
        connection.writer.write(head.encode() + b"x" * (LONG - 1))
        await until(lambda: self.bodies.held > before + LONG - 20_000)
        return connection

    async def post(self, length: int) -> Response:
        return await call(self.url, "POST", "/", raw=b"x" * length)


@pytest.fixture
def site(io_loop: IOLoop) -> Iterator[Site]:
    site = Site()
    yield site
    site.http.stop()
    io_loop.run_sync(site.http.close_all_connections)


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
    await until(lambda: site.bodies.held == 0)
    assert LONG == (await site.post(LONG)).body["length"]
    held.close()


@pytest.mark.gen_test
async def test_who_leaves_in_the_middle_gives_the_room_back(site: Site) -> None:
    held = await site.half()

    held.writer.transport.abort()

    await until(lambda: site.bodies.held == 0)
    assert LONG == (await site.post(LONG)).body["length"]


@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.gen_test
async def test_who_still_sends_reads_the_refusal(site: Site, method: str) -> None:
    held = await site.half()
    body = b"x" * 1_000_000
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
