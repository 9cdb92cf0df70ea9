"""A few connections beyond those there may be, to ask how the server does and for nothing else.

A supervisor that is told 503 by a server which is full, and well, would kill it, and all that it
carries. So some more are taken in, for a moment each: who asks for something else, or says nothing,
is told that there is no room. When all are taken, the one that has been silent for longest goes:
who connects to ask does so at once, and gets through whoever else is connecting. A hundred may come
in one turn of the loop, before any of them is read: so what has come of a request is looked at
where it lies.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError

from sockets.client_connection import ClientConnection, ConnectionLimits

# Of a supervisor, of balancers and of people who look, each of whom is answered in milliseconds.
MAX_PROBE_CONNECTIONS = 16

# Seconds. Until the head of the request is there, which comes with the connection.
_ASKING_SECONDS = 1.0

# Seconds. All the rest; whoever asks has given up by then.
_ANSWERING_SECONDS = 5.0

# What says that a body follows, and how long it is.
_BODY = re.compile(rb"\r\n(?:transfer-encoding|content-length):([^\r]*)", re.IGNORECASE)

# As much of a request is looked at before it is read; a probe's has some hundred.
_GLANCE_BYTES = 1024


class ProbeConnections:
    """The spare connections of an acceptor. `http`, which keeps none of them, serves `paths`."""

    def __init__(self, http: HTTPServer, paths: Collection[str]) -> None:
        self.http = http
        self.paths = frozenset(path.encode() for path in paths)
        self._open: dict[ProbeConnection, None] = {}  # in the order in which they came

    def has_room(self, accepted: socket.socket) -> bool:
        """Whether it may come; one that says nothing has to make room for it."""
        if asks(_came_on(accepted), self.paths) is False:
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
        """One of them. `refuse` is given its socket if it is to hear that there is no room."""
        probe = ProbeConnection(accepted, limits, self._closed, on_refused, self.paths, refuse)
        self._open[probe] = None
        return probe

    def close(self) -> None:
        """Give up those that have not asked."""
        for probe in list(self._open):
            if not probe.has_asked:
                probe.close()

    def _closed(self, probe: ClientConnection) -> None:
        assert isinstance(probe, ProbeConnection)
        del self._open[probe]


class ProbeConnection(ClientConnection):
    """A connection for one request, for one of some paths."""

    def __init__(
        self,
        accepted: socket.socket,
        limits: ConnectionLimits,
        on_closed: Callable[[ClientConnection], None],
        on_refused: Callable[[str], None],
        paths: Collection[bytes],
        refuse: Callable[[socket.socket], None],
    ) -> None:
        super().__init__(accepted, limits, on_closed, on_refused)
        self._begun = b""  # the beginning of the request, as far as it was read
        self._paths = paths
        self._refuse_it = refuse
        loop = asyncio.get_running_loop()
        self._until = loop.call_later(_ASKING_SECONDS, self.give_up)

    @property
    def has_asked(self) -> bool:
        """Whether it asked for what it may, be that read or not."""
        return asks(self._begun + _came_on(self.socket), self._paths) is True

    def give_up(self) -> None:
        """Say that there is no room, and hang up."""
        try:
            left = self.socket.dup()
        except OSError:  # no descriptor for it
            self.close()
            return
        self.close()
        self._refuse_it(left)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Tornado's hook for every read."""
        count = super().read_from_fd(buf)
        self._begun += bytes(buf[: min(count or 0, _GLANCE_BYTES - len(self._begun))])
        return count

    def close_fd(self) -> None:
        """Tornado's hook: the connection is over."""
        self._until.cancel()
        super().close_fd()

    async def _read_head(self, reading: Awaitable[bytes]) -> bytes:
        head = await super()._read_head(reading)
        if self.closed():  # it had to make room when all of the head was there
            raise StreamClosedError
        if not asks(head, self._paths) or any(each.strip(b" \t0") for each in _BODY.findall(head)):
            self.give_up()  # a body might never come
            raise StreamClosedError
        self._until.cancel()
        loop = asyncio.get_running_loop()
        self._until = loop.call_later(_ANSWERING_SECONDS, self.close)
        return head


def asks(begun: bytes, paths: Collection[bytes]) -> bool | None:
    """Whether a request that begins so asks for one of `paths`; None if that is not said yet.

    Its target may be a whole address. It may also be thirty thousand characters long, and the loop
    waits: so there is nothing here that would look at any of them often.
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


def _came_on(accepted: socket.socket) -> bytes:
    """What lies there of a request, and stays there to be read."""
    with suppress(OSError):  # nothing does
        return accepted.recv(_GLANCE_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return b""
