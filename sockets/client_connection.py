"""One accepted connection: bounds the head of a request before Tornado parses it, and how long its
parts may take.

Tornado bounds only the bytes of a head, and then needs 0.1 s for 8,000 fields of 32 KiB. Here the
lines of a head are bounded too. A line that ends in LF alone is refused, because servers disagree
whether that ends a head.

A connection has one deadline at a time: for the first byte of a request, from there for the end of
its head, and for the end of its body. Tornado has two timeouts of its own, of which the first does
not tell an idle connection from a head that has begun, and each costs a request a task, futures and
three callbacks; they are off.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import NamedTuple

from tornado.httputil import HTTPInputError
from tornado.iostream import IOStream, StreamClosedError

from sockets.error_responses import error_response
from sockets.peer_credentials import PeerUser
from sockets.peer_progress import PeerProgress
from sockets.request_turns import RequestTurns

log = logging.getLogger("headrace.connections")

# The first bytes of a TLS client; no HTTP method begins so.
_TLS = b"\x16\x03"

# The request line and the empty line at the end, in addition to the fields.
_OTHER_LINES = 2


class ConnectionLimits(NamedTuple):
    """The limits of a connection. Times are seconds."""

    max_header_bytes: int
    max_headers: int
    idle_seconds: float  # until the first byte of a request
    head_seconds: float
    body_seconds: float
    max_buffer_bytes: int


class ClientConnection(IOStream):
    """A client's connection. `on_closed` is called once its descriptor is free again.

    `on_refused` is called with a code for each request that is refused here. `turns` is shared by
    the connections whose requests begin in turns.
    """

    request_id: str | None = None  # the id of the current or last request, for the log
    sent = 0  # bytes that the kernel has accepted

    def __init__(
        self,
        accepted: socket.socket,
        limits: ConnectionLimits,
        on_closed: Callable[["ClientConnection"], None],
        on_refused: Callable[[str], None],
        turns: RequestTurns,
    ) -> None:
        super().__init__(accepted, max_buffer_size=limits.max_buffer_bytes)
        self.peer_user: PeerUser | None = None  # the user at the other end, if it is needed
        self._limits = limits
        self._on_closed = on_closed
        self.progress = PeerProgress()
        self._on_refused = on_refused
        self._turns = turns
        self._awaits_head = False
        self._sent_at_once = _done(asyncio.get_running_loop())
        self._deadline: asyncio.TimerHandle | None = None

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        """Tornado's method for reading a head, used for nothing else."""
        if self.closed():
            # After a last request Tornado must not read another one from its buffer.
            raise StreamClosedError
        self._awaits_head = True  # until its first byte
        self._set_deadline(self._limits.idle_seconds, self.close)
        return self._read_head(super().read_until_regex(regex, max_bytes))

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Tornado's hook for every read."""
        count = super().read_from_fd(buf)
        if count and self._awaits_head:
            self._awaits_head = False
            self._set_deadline(self._limits.head_seconds, partial(self._drop, "head_too_slow"))
            if bytes(buf[: len(_TLS)]) == _TLS:
                # A TLS client waits for a TLS response, not for the end of a head.
                asyncio.get_running_loop().call_soon(self._drop, "tls")
        return count

    def begin_body(self, times: float = 1.0) -> None:
        """The body of a request follows, which may be so many times as long as usual ones. It has
        a deadline until `end_body`.
        """
        self._set_deadline(times * self._limits.body_seconds, partial(self._drop, "body_too_slow"))

    def end_body(self) -> None:
        """The body has ended; a request without one may say so, too."""
        self._clear_deadline()

    def write(self, data: bytes | memoryview) -> "asyncio.Future[None]":
        """Tornado's method. If nothing waits to be sent, the kernel is asked at once, without the
        buffer, future and callback that Tornado makes for every write.
        """
        if self.writing() or self.closed() or not data:
            return super().write(data)
        try:
            sent = self.write_to_fd(memoryview(data))
        except OSError:  # would block, or is broken: Tornado waits, or closes the connection
            sent = 0
        if sent == len(data):
            return self._sent_at_once
        return super().write(memoryview(data)[sent:])

    def write_to_fd(self, data: memoryview) -> int:
        """Tornado's hook for every write."""
        try:
            sent = self.socket.send(data)
        finally:
            del data  # as in Tornado: a traceback that refers to it would lock the buffer
        self.sent += sent
        return sent

    def set_nodelay(self, value: bool) -> None:
        """Tornado's hook; Nagle's algorithm stays off, as on the listening socket.

        Tornado turns it on between two requests. From the second request of a connection on, which
        browsers and proxies reuse, each token would wait for the acknowledgement of the one before.
        """

    def close_fd(self) -> None:
        """Tornado's hook: the connection is over."""
        super().close_fd()
        if self.error is not None:
            # What failed may be a write in the call stack that brought a token: its frames would
            # hold this connection, and the answers of that stack, until garbage is collected.
            self.error = self.error.with_traceback(None)
        self._clear_deadline()
        self._on_closed(self)

    async def _read_head(self, reading: Awaitable[bytes]) -> bytes:
        try:
            head = await reading
        finally:
            del reading  # an error in it would refer to this frame, and so to the connection
            self._clear_deadline()
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
            # HTTP/1.0 has no chunked bodies, so another server may see another end of the request
            # (RFC 9112, 6.1).
            raise HTTPInputError("chunks in HTTP/1.0")
        await self._turns.begin()
        return head

    def _drop(self, reason: str) -> None:
        """Close the connection without a response, which would not be understood or waited for."""
        if not self.closed():
            self._on_refused(reason)
            self.close()

    def _set_deadline(self, seconds: float, expire: Callable[[], None]) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self.closed():  # its descriptor is gone, and nobody would cancel the timer
            self._deadline = None
            return
        self._deadline = asyncio.get_running_loop().call_later(seconds, expire)

    def _clear_deadline(self) -> None:
        self._awaits_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    async def _refuse(self, status: str, code: str, message: str) -> None:
        """Send the refusal and close: it is unknown where a body would begin."""
        self._on_refused(code)
        await self.write(error_response(status, code, message))
        self.close()
        raise StreamClosedError


@lru_cache(maxsize=1)
def _done(loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None]":
    """The result of all writes that are done when they return."""
    done: asyncio.Future[None] = loop.create_future()
    done.set_result(None)
    return done
