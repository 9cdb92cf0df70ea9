"""One accepted connection: what the head of a request may be, looked at before anybody parses it.

Tornado limits a head's bytes alone, after which it takes 0.1 s to make 8,000 fields of 32 KiB, and
its patience for the next request is also that for the rest of a begun one. Here a head has a number
of lines too, and once begun an end in sight. A line that ends in LF alone is refused: what one
server takes for the end of a head, another may not.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
from tornado.httputil import HTTPHeaders, HTTPInputError
from tornado.iostream import IOStream, StreamClosedError

from sockets.peer_credentials import PeerUser
from sockets.peer_progress import PeerProgress

log = logging.getLogger("headrace.connections")

# How a TLS client begins: no method does.
_TLS = b"\x16\x03"

# The request line and the empty line at the end, beside the fields.
_OTHER_LINES = 2


class ConnectionLimits(NamedTuple):
    """What a connection may bring. Times are seconds."""

    max_header_bytes: int
    max_headers: int
    head_seconds: float
    max_buffer_bytes: int


class ClientConnection(IOStream):
    """A client's connection. `on_closed` is called once its descriptor is free again.

    `on_refused` hears, by a code, of a request that is refused here.
    """

    request_id: str | None = None  # of the request answered on it, or the last one: for the log
    sent = 0  # bytes that the kernel has taken

    def __init__(
        self,
        accepted: socket.socket,
        limits: ConnectionLimits,
        on_closed: Callable[["ClientConnection"], None],
        on_refused: Callable[[str], None],
    ) -> None:
        super().__init__(accepted, max_buffer_size=limits.max_buffer_bytes)
        self.peer_user: PeerUser | None = None  # at the other end, where that matters
        self._limits = limits
        self._on_closed = on_closed
        self.progress = PeerProgress()
        self._on_refused = on_refused
        self._awaits_head = False
        self._deadline: asyncio.TimerHandle | None = None

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Tornado's way to read a head, and nothing else."""
        if self.closed():
            # Tornado would read on in what it has: but behind a last request there is none.
            raise StreamClosedError
        self._awaits_head = True  # from here on: what is there already is read at once
        return self._read_head(super().read_until_regex(regex, max_bytes))

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Tornado's hook for every read."""
        count = super().read_from_fd(buf)
        if count and self._awaits_head and self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self._limits.head_seconds, self._drop, "head_too_slow")
            if bytes(buf[: len(_TLS)]) == _TLS:
                # Who speaks it waits for an answer in kind, and not for the end of a head.
                loop.call_soon(self._drop, "tls")
        return count

    def write_to_fd(self, data: memoryview) -> int:
        """Tornado's hook for every write."""
        try:
            sent = self.socket.send(data)
        finally:
            del data  # as Tornado's own: kept by a traceback, it would keep the buffer from growing
        self.sent += sent
        return sent

    def set_nodelay(self, value: bool) -> None:
        """Tornado's hook; Nagle's algorithm stays off, as the listening socket has it.

        Tornado turns it on between two requests. From the second one on a connection, a browser's
        or a proxy's, each token would wait until the one before it was acknowledged.
        """

    def close_fd(self) -> None:
        """Tornado's hook: the connection is over."""
        super().close_fd()
        self._head_is_here()
        self._on_closed(self)

    async def _read_head(self, reading: Awaitable[bytes]) -> bytes:
        try:
            head = await reading
        finally:
            del reading  # an error in it has this frame, and with it the connection
            self._head_is_here()
        lines = head.count(b"\n")
        if len(head) > self._limits.max_header_bytes or lines > (
            self._limits.max_headers + _OTHER_LINES
        ):
            await self._refuse(
                "431 Request Header Fields Too Large",
                "headers_too_large",
                f"The request has more than {self._limits.max_headers:,} headers "
                f"(limits.max_headers), or they are longer than {self._limits.max_header_bytes:,} "
                "bytes (limits.max_header_bytes).",
            )
        if lines != head.count(b"\r\n"):
            raise HTTPInputError("a line of the head ends in LF alone")
        is_old = head.partition(b"\r\n")[0].endswith(b" HTTP/1.0")
        if is_old and b"\ntransfer-encoding:" in head.lower():
            # Who speaks it may not know chunks, and end the request elsewhere (RFC 9112, 6.1).
            raise HTTPInputError("chunks in HTTP/1.0")
        return head

    def _drop(self, reason: str) -> None:
        """Hang up without a word: none would be understood, or waited for."""
        if not self.closed():
            self._on_refused(reason)
            self.close()

    def _head_is_here(self) -> None:
        self._awaits_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    async def _refuse(self, status: str, code: str, message: str) -> None:
        """Say why, and hang up: where a body would begin is not known."""
        self._on_refused(code)
        await self.write(refusal(status, code, message))
        self.close()
        raise StreamClosedError


def refusal(status: str, code: str, message: str, *, retry_after: int | None = None) -> bytes:
    """A whole response, in the API's words, for a request that nobody handles."""
    headers, body = refused(code, message, retry_after=retry_after)
    return response_head(status, headers) + body


def response_head(status: str, headers: HTTPHeaders) -> bytes:
    """The bytes ahead of a response's body."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.get_all())]
    return "\r\n".join([*lines, "", ""]).encode()


def refused(
    code: str, message: str, *, retry_after: int | None = None
) -> tuple[HTTPHeaders, bytes]:
    """The headers and the body of such a response."""
    body = msgspec.json.encode({"error": {"code": code, "message": message, "request_id": None}})
    headers = HTTPHeaders(
        {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
    )
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return headers, body
