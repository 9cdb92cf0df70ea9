"""Bounds the bodies of requests while they are received, each and all together.

A body is in memory as a whole before a handler reads or authenticates it. Each has a bound, and so
has the number of connections; but ten thousand bodies that stop short of their end would be more
than a machine has. So bodies share a budget beyond their beginnings, and one that finds nothing
left is refused (`body_budget.py`).

Refusals are responses in the API's format. Tornado would close the connection of a body that is too
long, and its sender would get a reset: here the rest of the body is read and dropped until the
sender has read the response.
"""

import re
import socket
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
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

from sockets.body_budget import BodyBudget, beyond_free
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


_OVERLOADED = _BodyRefusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "overloaded",
    f"The server is receiving as many long bodies as it can hold. Try again in {_RETRY_AFTER} s.",
    _RETRY_AFTER,
)
_NO_TARGET = _BodyRefusal(
    HTTPStatus.BAD_REQUEST, "bad_request", "The request's target is not a path of this server."
)


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
        on_refused: Callable[[str], None],
        base_path: str = "",
        cors_headers: Callable[[str | None], Iterable[tuple[str, str]]] = lambda _: (),
    ) -> None:
        self.budget = budget
        self.max_expected_bytes = max_body_bytes  # of a client that waits for `100 Continue`
        # Up to twice the limit the handlers refuse, after authentication.
        self.max_received_bytes = 2 * max_body_bytes
        self.too_large = _BodyRefusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "body_too_large",
            f"The body is longer than {max_body_bytes:,} bytes (limits.max_body_bytes).",
        )
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

    def __init__(
        self, limiter: BodyLimiter, inner: HTTPMessageDelegate, connection: HTTPConnection
    ) -> None:
        self._limiter = limiter
        self._inner = inner
        self._connection = connection
        self._bytes = 0
        self._counted = 0
        self._refusal: _BodyRefusal | None = None
        self._is_answered = False  # the refusal, if it is refused before its end
        self._is_head = False
        self._origin: str | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine), "a server's"
        if "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
            self._stream.begin_body()
        self._is_head = start_line.method == "HEAD"
        self._origin = headers.get("Origin")
        if self._is_announced_too_large(headers):
            headers.pop(
                "Expect", None
            )  # else Tornado would send 100 Continue for a body that is refused
            self._refuse_at_once(self._limiter.too_large)
            return None
        asked = origin_form(start_line, headers, self._limiter.base_path)
        if asked is None:
            self._refusal = _NO_TARGET
            return None
        return self._inner.headers_received(asked, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._bytes += len(chunk)
        if self._bytes > self._limiter.max_received_bytes and not self._is_answered:
            self._discard_received()
            self._refuse_at_once(self._limiter.too_large)
        too_many = self._limiter.max_received_bytes + _MAX_DISCARDED_BYTES
        if self._is_answered and self._bytes > too_many:
            self._stream.close()
        if self._refusal is not None:
            return None
        more = beyond_free(self._bytes) - self._counted
        if more > self._limiter.budget.left:
            # Refused at its end: there is little more of it, and the connection can go on.
            self._discard_received()
            self._refusal = _OVERLOADED
            return None
        self._limiter.budget.held += more
        self._counted += more
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

    def _is_announced_too_large(self, headers: HTTPHeaders) -> bool:
        """Whether its length is certainly too large; invalid lengths are left to Tornado."""
        length = headers.get("Content-Length", "")
        if "Transfer-Encoding" in headers or not _LENGTH.fullmatch(length):
            return False
        # A client that waits for 100 Continue does not get it for a body that will be refused.
        limiter = self._limiter
        return int(length) > (
            limiter.max_expected_bytes if "Expect" in headers else limiter.max_received_bytes
        )

    def _discard_received(self) -> None:
        if self._refusal is None:
            self.on_connection_close()  # `inner` drops what it has

    def _release_budget(self) -> None:
        self._limiter.budget.held -= self._counted
        self._counted = 0

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
