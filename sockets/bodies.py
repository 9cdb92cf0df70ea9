"""The bodies of requests as they come in: what all of them together may hold in memory.

A body is held whole before anybody reads it, or asks for a key. Each has a bound, and so has the
number of connections; but ten thousand that stop short of the end of a long one would be more than
a machine has. So bodies share what they take beyond their beginnings, and one that finds nothing
left is refused. Beginnings are free: whoever holds long bodies keeps no usual question out.
"""

from collections.abc import Awaitable, Callable

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from sockets.connections import refused

# Of each body, and more than a usual question has: 160 MB with ten thousand connections.
_FREE_BYTES = 16 * 1024

# What a piece takes beside its bytes: a body may come one byte at a time.
_PIECE_BYTES = 64

# What people are told to wait: bodies come in, or their time is over.
_RETRY_AFTER = 2

_STATUS = ResponseStartLine("HTTP/1.1", 503, "Service Unavailable")


class Bodies(HTTPServerConnectionDelegate):
    """Hands requests on to `inner`, with a bound on all their bodies. `tell` hears of refusals."""

    def __init__(
        self,
        inner: HTTPServerConnectionDelegate,
        *,
        max_bytes: int,
        tell: Callable[[str], None],
    ) -> None:
        self.held = 0  # bytes beyond beginnings, of bodies that are on their way
        self.max_bytes = max_bytes
        self.tell = tell
        self.inner = inner

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Tornado's hook: a connection's next request."""
        return _Body(self, self.inner.start_request(server_conn, request_conn), request_conn)

    def on_close(self, server_conn: object) -> None:
        """Tornado's hook: a connection is over."""
        self.inner.on_close(server_conn)


class _Body(HTTPMessageDelegate):
    """One request's, from its head to its end; Tornado calls the methods."""

    def __init__(
        self, bodies: Bodies, inner: HTTPMessageDelegate, connection: HTTPConnection
    ) -> None:
        self._bodies = bodies
        self._inner = inner
        self._connection = connection
        self._bytes = 0
        self._counted = 0

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._bytes += len(chunk) + _PIECE_BYTES
        more = max(0, self._bytes - _FREE_BYTES) - self._counted
        if more > self._bodies.max_bytes - self._bodies.held:
            self._refuse()
            return None
        self._bodies.held += more
        self._counted += more
        return self._inner.data_received(chunk)

    def finish(self) -> None:
        try:
            self._inner.finish()
        finally:
            self._let_go()

    def on_connection_close(self) -> None:
        try:
            self._inner.on_connection_close()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        self._bodies.held -= self._counted
        self._counted = 0

    def _refuse(self) -> None:
        """Say so, which ends the connection: its request has not been read."""
        headers, said = refused(
            "overloaded",
            "The server holds as much of requests as it can. Try again shortly.",
            retry_after=_RETRY_AFTER,
        )
        self._bodies.tell("overloaded")
        self._connection.write_headers(_STATUS, headers, said)
        self._connection.finish()
