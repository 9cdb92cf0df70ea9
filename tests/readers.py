"""A reader of Headrace as tests need it: plain HTTP/1.1 over one socket, with nothing hidden.

`call` makes one request and reads all of its response; `Reader` asks or comes back and reads the
events one by one, as they arrive. Both are given the server's address by the `headrace` fixture.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

# Every connection made here. `serve` closes those that its test left open.
_connections: set[asyncio.StreamWriter] = set()


async def close_all() -> None:
    """Close every connection that is still open."""
    while _connections:
        writer = _connections.pop()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


class Response(NamedTuple):
    """A whole response; `body` is parsed if it is JSON."""

    status: int
    headers: dict[str, str]
    body: Any
    length: int  # of the body, in bytes

    @property
    def code(self) -> str:
        """The code of an error; where the body is text alone, a header has it."""
        code: str = self.headers.get("headrace-error") or self.body["error"]["code"]
        return code


class Seen(NamedTuple):
    """One event as it came over the wire."""

    event: str
    data: Any
    id: str | None


async def call(
    url: str,
    method: str,
    path: str,
    body: object = None,
    *,
    headers: dict[str, str] | None = None,
    raw: bytes | None = None,
) -> Response:
    """One request on a connection of its own."""
    connection = await Connection.open(url)
    try:
        return await connection.call(method, path, body, headers=headers, raw=raw)
    finally:
        connection.close()


@dataclass
class Connection:
    """A connection for one request after the other."""

    url: str
    stream: asyncio.StreamReader
    writer: asyncio.StreamWriter
    headers: dict[str, str] = field(default_factory=dict)  # of each of its requests

    @classmethod
    async def open(cls, url: str, sock: socket.socket | None = None) -> Self:
        """A new one, or the one that `sock` has to `url` already."""
        return cls(url, *await _connect(url, sock))

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Response:
        """One request, and all of its response."""
        sent = {**self.headers, **(headers or {})}
        self.writer.write(_request(self.url, method, path, body, sent, raw))
        status, received = await _head(self.stream)
        content = b"" if method == "HEAD" else await _body(self.stream, received)
        if content and received.get("content-type", "").startswith("application/json"):
            return Response(status, received, json.loads(content), len(content))
        return Response(status, received, content, len(content))

    def close(self) -> None:
        self.writer.close()


@dataclass
class Reader:
    """A stream of events, read as it comes."""

    status: int
    headers: dict[str, str]
    stream: asyncio.StreamReader
    writer: asyncio.StreamWriter
    seen: list[Seen] = field(default_factory=list)
    beats: int = 0
    retries: list[int] = field(default_factory=list)  # ms, as an EventSource is told to wait
    _buffer: bytes = b""

    @classmethod
    async def ask(
        cls,
        url: str,
        content: str = "hi",
        *,
        headers: dict[str, str] | None = None,
        **fields: object,
    ) -> Self:
        """Ask by POST /chat and read the answer."""
        body = {"content": content, **fields}
        return await cls.open(url, "POST", "/api/v1/chat", body, headers=headers)

    @classmethod
    async def come_back(cls, url: str, answer_id: str, last_event_id: str | None = None) -> Self:
        """Read an answer from after an event on."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id is not None else {}
        return await cls.open(url, "GET", f"/api/v1/answers/{answer_id}/events", headers=headers)

    @classmethod
    async def open(
        cls,
        url: str,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        stray: bytes = b"",
    ) -> Self:
        """Send a request, and `stray` bytes after it, and read the response's head."""
        connection = await Connection.open(url)
        return await cls.on(connection, method, path, body, headers=headers, stray=stray)

    @classmethod
    async def on(
        cls,
        connection: Connection,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        stray: bytes = b"",
    ) -> Self:
        """The same, on a connection that is there."""
        sent = {"Accept": "text/event-stream", **connection.headers, **(headers or {})}
        request = _request(connection.url, method, path, body, sent, None)
        connection.writer.write(request + stray)
        status, received = await _head(connection.stream)
        return cls(status, received, connection.stream, connection.writer)

    async def next(self, *, until_beats: float = inf) -> Seen | None:
        """The next event; None once the response is over, or so many signs of life have come."""
        while self.beats < until_beats and (block := await self._block()):
            fields = {}
            for line in block.split("\n"):
                name, _, value = line.partition(": ")
                fields[name] = value
            if "retry" in fields:
                self.retries.append(int(fields["retry"]))
            if "data" in fields:
                seen = Seen(fields["event"], json.loads(fields["data"]), fields.get("id"))
                self.seen.append(seen)
                return seen
            self.beats += block == ": beat"
        return None

    async def blocks(self) -> AsyncIterator[str]:
        """The lines of each event up to the response's end, for protocols of others."""
        while block := await self._block():
            yield block

    async def _block(self) -> str:
        """The lines up to the next empty one; an empty string once the response is over."""
        while b"\n\n" not in self._buffer:
            chunk = await _chunk(self.stream, self.headers)
            if not chunk:
                return ""
            self._buffer += chunk
        block, self._buffer = self._buffer.split(b"\n\n", 1)
        return block.decode()

    async def start(self) -> dict[str, str]:
        """The data of the `start` event, which has to be the first."""
        seen = await self.next()
        assert seen is not None
        assert (seen.event, self.seen) == ("start", [seen])
        start: dict[str, str] = seen.data
        return start

    async def text(self, expected: str) -> None:
        """Read until `expected` has arrived; fail if anything else comes."""
        while self.so_far != expected:
            assert expected.startswith(self.so_far)
            assert await self.next() is not None, f"over after {self.so_far!r}"

    async def end(self) -> dict[str, Any]:
        """Read to the end; the data of the `end` event, which has to be the last."""
        while await self.next() is not None:
            pass
        assert "end" == self.seen[-1].event
        end: dict[str, Any] = self.seen[-1].data
        return end

    @property
    def so_far(self) -> str:
        """The text that arrived."""
        return "".join(s.data.get("text", "") for s in self.seen if s.event == "delta")

    @property
    def answer_id(self) -> str:
        """Of the `start` event, which has to have been read."""
        answer_id: str = self.seen[0].data["answer_id"]
        return answer_id

    def close(self) -> None:
        """Leave."""
        self.writer.close()


async def _connect(
    url: str, sock: socket.socket | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    place = {"sock": sock} if sock else {"host": parts.hostname, "port": parts.port or 443}
    if parts.scheme == "https":
        place |= {"ssl": _unverified(), "server_hostname": parts.hostname if sock else None}
    stream, writer = await asyncio.open_connection(**place, limit=2**20)
    _connections.add(writer)
    return stream, writer


def _unverified() -> ssl.SSLContext:
    """Who it is that answers is not what tests with a proxy in between are about."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _request(
    url: str, method: str, path: str, body: object, headers: dict[str, str], raw: bytes | None
) -> bytes:
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    lines = {"Host": urlsplit(url).netloc, **headers}
    if content:
        lines = {"Content-Type": "application/json", **lines}
    lines["Content-Length"] = str(len(content))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content


async def _head(stream: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = (await stream.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")
    headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines if line)}
    return int(first.split()[1]), headers


async def _body(stream: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    content = b""
    while chunk := await _chunk(stream, headers):
        content += chunk
    return content


async def _chunk(stream: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    """The next piece of a body; empty at its end."""
    if headers.get("transfer-encoding") == "chunked":
        size = int(await stream.readuntil(b"\r\n"), 16)
        content = await stream.readexactly(size)
        await stream.readexactly(2)
        return content
    length = int(headers.pop("content-length", "0"))
    return await stream.readexactly(length)
