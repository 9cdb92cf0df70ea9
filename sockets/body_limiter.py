"""Bounds the bodies of requests while they are received, each and all together.

A body is in memory as a whole before a handler reads or authenticates it. Each has a bound, and so
has the number of connections; but ten thousand bodies that stop short of their end would be more
than a machine has. So bodies share a budget beyond their beginnings, and one that finds nothing
left is refused (`body_budget.py`). The body of a question may be longer, since it may bring
files; what is beyond the usual length counts in a budget of its own.

Refusals are responses in the API's format. Tornado would close the connection of a body that is too
long, and its sender would get a reset: here the rest of the body is read and dropped until the
sender has read the response.
"""

import re
import socket
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple, cast

from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from sockets.body_budget import BodyBudget
from sockets.client_connection import ClientConnection
from sockets.error_responses import error_headers_and_body, response_head
from sockets.targets import origin_form

# Bytes of a long body that are read and dropped. Most clients read a response only after sending
# everything, and even a film sent by mistake is smaller. It takes half a second of CPU. Beyond it
# the connection is closed; the time for a body is bounded as well.
_MAX_DISCARDED_BYTES = 1024 * 1024 * 1024

# Seconds for `Retry-After`: by then other bodies are received, or have timed out.
_RETRY_AFTER = 2

# Tornado's own bound, beyond which a length is a mistake that it answers with a bare 400.
UNBOUNDED = 10**12
_LENGTH = re.compile(r"[0-9]{1,12}")


class _BodyRefusal(NamedTuple):
    """Why a request is not passed on, as its response."""

    status: HTTPStatus
    code: str
    message: str
    retry_after: int | None = None


class _Limit:
    """How long the body of a request may be."""

    def __init__(self, max_expected_bytes: int, max_received_bytes: int, setting: str) -> None:
        self.max_expected_bytes = max_expected_bytes  # of a client that waits for `100 Continue`
        self.max_received_bytes = max_received_bytes
        self.too_large = _BodyRefusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            f"The body is longer than {max_expected_bytes:,} bytes ({setting}).",
        )


_OVERLOADED = _BodyRefusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "overloaded",
    f"The server is receiving as many long bodies as it can hold. Try again in {_RETRY_AFTER} s.",
    _RETRY_AFTER,
)
_NO_TARGET = _BodyRefusal(
    HTTPStatus.BAD_REQUEST, "bad_request", "The request's target is not a path of this server."
)


@dataclass(frozen=True)
class LongBodies:
    """The bodies that may have `max_body_bytes`: of POST to the paths that match `paths`.

    Bytes beyond the usual limit count in `budget`.
    """

    paths: re.Pattern[str]
    max_body_bytes: int
    budget: BodyBudget


class BodyLimiter(HTTPServerConnectionDelegate):
    """Passes requests on to `inner`, with `budget` for all their bodies.

    `on_refused` is called with the code of each refusal.
    """

    def __init__(
        self,
        inner: HTTPServerConnectionDelegate,
        *,
        max_body_bytes: int,
        budget: BodyBudget,
        long_bodies: LongBodies | None = None,
        on_refused: Callable[[str], None],
        base_path: str = "",
        cors_headers: Callable[[str | None], Iterable[tuple[str, str]]] = lambda _: (),
    ) -> None:
        self.budget = budget
        self.long_bodies = long_bodies
        # No budget counts these, and no limit is below them.
        self.short_bytes = min(budget.free_bytes, max_body_bytes)
        # Up to twice the limit the handlers refuse, after authentication.
        self.usual = _Limit(max_body_bytes, 2 * max_body_bytes, "limits.max_body_bytes")
        self.long = self.usual
        if long_bodies is not None:
            most = max(long_bodies.max_body_bytes, 2 * max_body_bytes)
            self.long = _Limit(long_bodies.max_body_bytes, most, "limits.max_file_body_bytes")
        self.on_refused = on_refused
        self.base_path = base_path
        self.cors_headers = cors_headers  # by which a page of this origin may read a refusal
        self.inner = inner

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Tornado's hook: a connection's next request."""
        return _LimitedBody(self, self.inner.start_request(server_conn, request_conn), request_conn)

    def on_close(self, server_conn: object) -> None:
        """Tornado's hook: a connection is over."""
        self.inner.on_close(server_conn)


# Receives the rest of a request that was refused after it was passed on, and ignores it.
_IGNORE = HTTPMessageDelegate()


class _LimitedBody(HTTPMessageDelegate):
    """The body of one request, from its head to its end; Tornado calls the methods."""

    _bytes = 0
    _counted = 0
    _counted_long = 0  # in the budget of long bodies
    _refusal: _BodyRefusal | None = None
    _is_answered = False  # the refusal, if it is refused before its end
    _is_short = False  # by its announced length: no limit and no budget has to do with it
    _is_head = False
    _origin: str | None = None

    def __init__(
        self, limiter: BodyLimiter, inner: HTTPMessageDelegate, connection: HTTPConnection
    ) -> None:
        self._limiter = limiter
        self._inner = inner
        self._connection = connection
        self._limit = limiter.usual

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine), "a server's"
        self._is_head = start_line.method == "HEAD"
        self._origin = headers.get("Origin")
        asked = origin_form(start_line, headers, self._limiter.base_path)
        if asked is not None and self._is_announced_short(headers):
            self._is_short = True
            return self._inner.headers_received(asked, headers)
        if asked is not None and self._may_be_long(asked):
            self._limit = self._limiter.long
        if "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
            self._stream.begin_body(self._times_as_long(headers))
        if self._is_announced_too_large(headers):
            headers.pop(
                "Expect", None
            )  # else Tornado would send 100 Continue for a body that is refused
            self._refuse_at_once(self._limit.too_large)
            return None
        if asked is None:
            self._refusal = _NO_TARGET
            return None
        return self._inner.headers_received(asked, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._is_short:
            return self._inner.data_received(chunk)
        self._bytes += len(chunk)
        if self._bytes > self._limit.max_received_bytes and not self._is_answered:
            self._discard_received()
            self._refuse_at_once(self._limit.too_large)
        too_many = self._limit.max_received_bytes + _MAX_DISCARDED_BYTES
        if self._is_answered and self._bytes > too_many:
            self._stream.close()
        if self._refusal is not None:
            return None
        if not self._count():
            # Refused at its end: there is little more of it, and the connection can go on.
            self._discard_received()
            self._refusal = _OVERLOADED
            return None
        return self._inner.data_received(chunk)

    def finish(self) -> None:
        self._stream.end_body()
        if self._is_answered:
            self._stream.close()
            return
        if self._refusal is not None:
            self._refuse(self._refusal)
            return
        inner, self._inner = self._inner, _IGNORE  # frees the pieces as well
        try:
            inner.finish()
        finally:
            self._release_budget()

    def on_connection_close(self) -> None:
        if self._refusal is not None:
            return  # `inner` never got it, or has dropped it already
        try:
            self._inner.on_connection_close()
        finally:
            self._release_budget()

    @property
    def _stream(self) -> ClientConnection:
        return cast(ClientConnection, cast(HTTP1Connection, self._connection).stream)

    def _is_announced_short(self, headers: HTTPHeaders) -> bool:
        """Whether there is no body or a short one, which then has its deadline.

        Tornado reads no more than is announced.
        """
        length = headers.get("Content-Length", "0")
        if "Transfer-Encoding" in headers or not _LENGTH.fullmatch(length):
            return False
        if int(length) > self._limiter.short_bytes:
            return False
        if length != "0":
            self._stream.begin_body()
        return True

    def _is_announced_too_large(self, headers: HTTPHeaders) -> bool:
        """Whether its length is certainly too large; invalid lengths are left to Tornado."""
        length = headers.get("Content-Length", "")
        if "Transfer-Encoding" in headers or not _LENGTH.fullmatch(length):
            return False
        # A client that waits for 100 Continue does not get it for a body that will be refused.
        limit = self._limit
        return int(length) > (
            limit.max_expected_bytes if "Expect" in headers else limit.max_received_bytes
        )

    def _times_as_long(self, headers: HTTPHeaders) -> float:
        """How many times as long as the longest usual body this one may be, and so may take."""
        usual, limit = self._limiter.usual, self._limit
        length = headers.get("Content-Length", "")
        announced = int(length) if _LENGTH.fullmatch(length) else limit.max_expected_bytes
        return max(1.0, min(announced, limit.max_expected_bytes) / usual.max_expected_bytes)

    def _may_be_long(self, asked: RequestStartLine) -> bool:
        """Whether it is a request whose body may bring files."""
        long_bodies = self._limiter.long_bodies
        if long_bodies is None or asked.method != "POST":
            return False
        path, _, _ = asked.path.partition("?")
        return long_bodies.paths.fullmatch(path) is not None

    def _count(self) -> bool:
        """Count what was received in the budgets; returns False if one has nothing left."""
        long_bodies, budget = self._limiter.long_bodies, self._limiter.budget
        if long_bodies is None or self._limit is self._limiter.usual:
            usual, more_long = self._bytes, 0
        else:
            usual = min(self._bytes, long_bodies.budget.free_bytes)
            more_long = long_bodies.budget.counted(self._bytes) - self._counted_long
            if more_long > long_bodies.budget.left:
                return False
        more = budget.counted(usual) - self._counted
        if more > budget.left:
            return False
        budget.held += more
        self._counted += more
        if long_bodies is not None:
            long_bodies.budget.held += more_long
            self._counted_long += more_long
        return True

    def _discard_received(self) -> None:
        if self._refusal is None:
            self.on_connection_close()  # `inner` drops what it has

    def _release_budget(self) -> None:
        if self._is_short:
            return
        self._limiter.budget.held -= self._counted
        self._counted = 0
        if self._limiter.long_bodies is not None:
            self._limiter.long_bodies.budget.held -= self._counted_long
            self._counted_long = 0

    def _refuse(self, refusal: _BodyRefusal) -> None:
        """Send the refusal. The body was read to its end, so the connection goes on."""
        self._limiter.on_refused(refusal.code)
        headers, body = self._response(refusal)
        del headers["Connection"]
        line = ResponseStartLine("HTTP/1.1", refusal.status, refusal.status.phrase)
        self._connection.write_headers(line, headers, None if self._is_head else body)
        self._connection.finish()

    def _refuse_at_once(self, refusal: _BodyRefusal) -> None:
        """Send the refusal while the body is still received, and close the connection after it.

        It bypasses Tornado, which would close the connection as soon as the response was sent.
        """
        self._refusal = refusal
        self._is_answered = True
        self._limiter.on_refused(refusal.code)
        if self._stream.closed():
            return
        headers, body = self._response(refusal)
        head = response_head(f"{refusal.status.value} {refusal.status.phrase}", headers)
        written = self._stream.write(head if self._is_head else head + body)
        written.add_done_callback(self._end_stream)

    def _response(self, refusal: _BodyRefusal) -> tuple[HTTPHeaders, bytes]:
        headers, body = error_headers_and_body(
            refusal.code, refusal.message, retry_after=refusal.retry_after
        )
        headers.update(self._limiter.cors_headers(self._origin))
        return headers, body

    def _end_stream(self, written: Future[None]) -> None:
        """Close our side, so that a client that reads to the end gets it."""
        if written.exception() is None and not self._stream.closed():
            with suppress(OSError):  # the client disconnected
                self._stream.socket.shutdown(socket.SHUT_WR)
