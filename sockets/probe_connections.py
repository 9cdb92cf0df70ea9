"""A few connections beyond the limit, for health checks only.

A supervisor that gets a 503 from a full but healthy server would kill it. So a few more connections
are accepted for a moment each; those that request something else, or send nothing, get the 503.
When all are taken, the one that has been silent for longest is closed: a health check is sent at
once after connecting, and so gets through. A hundred may connect in one turn of the loop, before
any is read, so what has arrived is peeked at in the socket.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError

from sockets.client_connection import ClientConnection, ConnectionLimits
from sockets.request_turns import RequestTurns

# For a supervisor, load balancers and people, each of which is answered in milliseconds.
MAX_PROBE_CONNECTIONS = 16

# Seconds for the head of the request, which is sent right after connecting.
_REQUEST_SECONDS = 1.0

# Seconds for the rest; clients have given up by then.
_RESPONSE_SECONDS = 5.0

# What says that a body follows, and how long it is.
_BODY = re.compile(rb"\r\n(?:transfer-encoding|content-length):([^\r]*)", re.IGNORECASE)

# Bytes of a request that are peeked at; a probe's has some hundred.
_PEEK_BYTES = 1024


class ProbeConnections:
    """The probe connections of an acceptor. `http`, without keep-alive, serves `paths`."""

    def __init__(self, http: HTTPServer, paths: Collection[str]) -> None:
        self.http = http
        self.paths = frozenset(path.encode() for path in paths)
        self._open: dict[ProbeConnection, None] = {}  # in the order in which they came

    def has_room(self, accepted: socket.socket) -> bool:
        """Whether another one may be accepted; a silent one is closed for it if necessary."""
        if is_probe(_received_bytes(accepted), self.paths) is False:
            return False
        if len(self._open) >= MAX_PROBE_CONNECTIONS:
            silent = next((probe for probe in self._open if not probe.has_asked), None)
            if silent is None:
                return False
            silent.give_up()
        return True

    def connection(
        self,
        accepted: socket.socket,
        limits: ConnectionLimits,
        on_refused: Callable[[str], None],
        refuse: Callable[[socket.socket], None],
    ) -> "ProbeConnection":
        """A new one. `refuse` gets its socket if it is to be refused."""
        probe = ProbeConnection(accepted, limits, self._closed, on_refused, self.paths, refuse)
        self._open[probe] = None
        return probe

    def close(self) -> None:
        """Close those that have not asked yet."""
        for probe in list(self._open):
            if not probe.has_asked:
                probe.close()

    def _closed(self, probe: ClientConnection) -> None:
        assert isinstance(probe, ProbeConnection)
        del self._open[probe]


class ProbeConnection(ClientConnection):
    """A connection for one request to one of a few paths."""

    def __init__(
        self,
        accepted: socket.socket,
        limits: ConnectionLimits,
        on_closed: Callable[[ClientConnection], None],
        on_refused: Callable[[str], None],
        paths: Collection[bytes],
        refuse: Callable[[socket.socket], None],
    ) -> None:
        super().__init__(accepted, limits, on_closed, on_refused, RequestTurns())  # waits for none
        self._begun = b""  # the beginning of the request, as far as it was read
        self._paths = paths
        self._send_refusal = refuse
        loop = asyncio.get_running_loop()
        self._until = loop.call_later(_REQUEST_SECONDS, self.give_up)

    @property
    def has_asked(self) -> bool:
        """Whether it sent a request that it may, read or not."""
        return is_probe(self._begun + _received_bytes(self.socket), self._paths) is True

    def give_up(self) -> None:
        """Refuse it and close it."""
        try:
            left = self.socket.dup()
        except OSError:  # no descriptor for it
            self.close()
            return
        self.close()
        self._send_refusal(left)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Tornado's hook for every read."""
        count = super().read_from_fd(buf)
        self._begun += bytes(buf[: min(count or 0, _PEEK_BYTES - len(self._begun))])
        return count

    def close_fd(self) -> None:
        """Tornado's hook: the connection is over."""
        self._until.cancel()
        super().close_fd()

    async def _read_head(self, reading: Awaitable[bytes]) -> bytes:
        head = await super()._read_head(reading)
        if self.closed():  # it had to make room when all of the head was there
            raise StreamClosedError
        if not is_probe(head, self._paths) or any(
            each.strip(b" \t0") for each in _BODY.findall(head)
        ):
            self.give_up()  # a body might never come
            raise StreamClosedError
        self._until.cancel()
        loop = asyncio.get_running_loop()
        self._until = loop.call_later(_RESPONSE_SECONDS, self.close)
        return head


def is_probe(begun: bytes, paths: Collection[bytes]) -> bool | None:
    """Whether a request that begins so is for one of `paths`; None if that is not clear yet.

    Its target may be an absolute URL, or thirty thousand characters long, and the loop waits: so
    nothing here takes more than linear time.
    """
    line, ends, _ = begun.lstrip(b"\r\n").partition(b"\n")
    if not ends:
        return None
    method, _, rest = line.partition(b" ")
    target, _, version = rest.partition(b" ")
    path = target.partition(b"?")[0].partition(b"#")[0]
    scheme, is_address, place = path.partition(b"://")
    if is_address and scheme.lower() in (b"http", b"https"):
        _, slash, below = place.partition(b"/")
        path = slash + below
    return method in (b"GET", b"HEAD") and path in paths and version.startswith(b"HTTP/1")


def _received_bytes(accepted: socket.socket) -> bytes:
    """The bytes of a request that have arrived; they stay to be read."""
    with suppress(OSError):  # nothing does
        return accepted.recv(_PEEK_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return b""
