"""The other side of a webhook: a server on loopback that checks what it is sent.

Fixtures: `receiver` is one that is up, on a port of its own.

Signatures are checked as Standard Webhooks says, by code that shares nothing with the server's.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, Self

import pytest
from tornado.ioloop import IOLoop

# As a receiver and the settings have it: "whsec_" and base64.
SECRET = "whsec_" + base64.b64encode(b"receivers and senders know this!").decode()

# Receivers refuse times that differ by more seconds from theirs.
_TOLERANCE = 5 * 60


class Received(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def event(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


def is_signed(received: Received, secret: str = SECRET) -> bool:
    """Whether it has a signature of Standard Webhooks, from just now."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    stamp = received.headers["webhook-timestamp"]
    if abs(time.time() - int(stamp)) > _TOLERANCE:
        return False
    signed = f"{received.id}.{stamp}.".encode() + received.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = [each.split(",", 1) for each in received.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and value == expected for version, value in given)


class Receiver:
    """A receiver that responds with `status` until it is told otherwise.

    `respond` replaces the bytes of its response. While `is_silent` it reads and does not respond.
    """

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.status = 200
        self.respond: Callable[[], bytes] = self._response
        self.is_silent = False
        self.connections = 0  # that were made so far
        self._port = port
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._came = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._port}/hooks"

    def settings(self, **more: Any) -> dict[str, Any]:
        """The settings of a webhook that leads here."""
        return {"url": self.url, "secret": SECRET, **more}

    async def start(self) -> Self:
        """Listen, at the same port as before."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Refuse connections, and break those there are."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Break the connections there are."""
        for writer in self._writers:
            writer.transport.abort()

    async def requests(self, count: int, seconds: float = 10) -> list[Received]:
        """Wait until so many requests have come."""
        async with asyncio.timeout(seconds), self._came:
            await self._came.wait_for(lambda: len(self.received) >= count)
        return self.received

    def _response(self) -> bytes:
        return b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % self.status

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._exchange(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (field.partition(":") for field in fields)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        async with self._came:
            self.received.append(Received(line.split()[1], headers, body, time.monotonic()))
            self._came.notify_all()
        if self.is_silent:
            await reader.read()
            return
        writer.write(self.respond())
        await writer.drain()


@pytest.fixture
def receiver(io_loop: IOLoop) -> Iterator[Receiver]:
    yield from receiving(io_loop)


def receiving(io_loop: IOLoop) -> Iterator[Receiver]:
    """A receiver, while a test runs."""
    made = Receiver()
    io_loop.run_sync(made.start)
    yield made
    io_loop.run_sync(made.stop)
