"""Readers for benchmarks, with as little code as possible between the socket and the clock."""

import asyncio
import json
import re
import time
from collections.abc import Iterator

from load import events_in

_ANSWER_ID = re.compile(rb'"answer_id":"([^"]+)"')
_EVENT_ID = re.compile(rb"^id: ([0-9]+)$", re.MULTILINE)


class Reader(asyncio.Protocol):
    """Sends one request and keeps what it receives, to be parsed when the stream is over."""

    def __init__(self, request: bytes, tag: str) -> None:
        self.request = request
        self.tag = tag
        self.received: list[bytes] = []
        self.received_at: list[float] = []  # the time of each
        self.started = asyncio.Event()
        self.closed = asyncio.Event()
        self.first_token_seconds: float | None = None
        self.disconnected_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.requested_at = time.monotonic()
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        self.received_at.append(time.monotonic())
        if not self.received[0].startswith(b"HTTP/1.1 200"):
            self.transport.abort()  # refused: the benchmark counts it as not right
        if not self.started.is_set() and b"event: start" in data:
            self.started.set()
        if self.first_token_seconds is None and b"event: delta" in data:
            self.first_token_seconds = time.monotonic() - self.requested_at
        if data.endswith(b"0\r\n\r\n"):
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.started.set()
        self.closed.set()

    def disconnect(self) -> None:
        """Close the connection at once."""
        self.disconnected_at = time.monotonic()
        self.transport.abort()

    @property
    def answer_id(self) -> str:
        """The answer's id, once `started` is set."""
        found = _ANSWER_ID.search(b"".join(self.received))
        assert found is not None
        return found[1].decode()

    def positions(self) -> Iterator[tuple[int, float]]:
        """The positions that were received, each with its time."""
        for data, at in zip(self.received, self.received_at, strict=True):
            for position in _EVENT_ID.findall(data):
                yield int(position), at

    def answer(self) -> tuple[str, str]:
        """The text that was received, and the status it ended with."""
        text, status = [], ""
        for data in events_in(b"".join(self.received)):
            fields = json.loads(data)
            text.append(fields.get("text", ""))
            status = fields.get("status", status)
        return "".join(text), status


async def ask(port: int, model: str, tag: str) -> Reader:
    """Ask a question that ends with `tag`, on a new connection."""
    body = json.dumps({"content": f"bench {tag}", "model": f"bench/{model}"}).encode()
    request = (
        b"POST /api/v1/chat HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: text/event-stream\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (port, len(body), body)
    )
    return await _open(port, request, tag)


async def resume(port: int, answer_id: str, tag: str) -> Reader:
    """Read an answer from its beginning, on a new connection."""
    line = f"GET /api/v1/answers/{answer_id}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    return await _open(port, line.encode(), tag)


async def _open(port: int, request: bytes, tag: str) -> Reader:
    loop = asyncio.get_running_loop()
    _, reader = await loop.create_connection(lambda: Reader(request, tag), "127.0.0.1", port)
    return reader
