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
        self.held = 0  # bytes beyond beginnings, of bodies that are coming in
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
        self._is_refused = False
        self._is_head = False

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._is_head = isinstance(start_line, RequestStartLine) and start_line.method == "HEAD"
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._is_refused:
            return None
        self._bytes += len(chunk)
        more = max(0, self._bytes - _FREE_BYTES) - self._counted
        if more > self._bodies.max_bytes - self._bodies.held:
            # Said at its end: who still sends would see a reset connection and no response. What
            # comes until then is dropped; its length and its time have bounds.
            self._is_refused = True
            self._bodies.tell("overloaded")
            self.on_connection_close()  # `inner` lets go of what it has
            return None
        self._bodies.held += more
        self._counted += more
        return self._inner.data_received(chunk)

    def finish(self) -> None:
        if self._is_refused:
            self._refuse()
            return
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
        """Say so. The body was read to its end, so the connection goes on."""
        headers, said = refused(
            "overloaded",
            "The server is taking in as many long requests as it can. Try again shortly.",
            retry_after=_RETRY_AFTER,
        )
        del headers["Connection"]
        self._connection.write_headers(_STATUS, headers, None if self._is_head else said)
        self._connection.finish()
