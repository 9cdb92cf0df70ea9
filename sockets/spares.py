"""A few connections beyond those there may be, to ask how the server does and for nothing else.

A supervisor that is told 503 by a server which is full, and well, would kill it, and all that it
carries. So some more are taken in, for a moment each: who asks for something else, or says nothing,
is told that there is no room. When all are taken, the one that has been silent for longest goes:
who connects to ask does so at once, and gets through whoever else is connecting.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Collection

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError

from sockets.connections import Bounds, Connection

# Of a supervisor, of balancers and of people who look, each of whom is answered in milliseconds.
SPARES = 16

# Seconds. Until the head of the request is there, which comes with the connection.
_ASKING_SECONDS = 1.0

# Seconds. All the rest; whoever asks has given up by then.
_ANSWERING_SECONDS = 5.0

# A request line, and the path in it; the target may be a whole address.
_ASKS = re.compile(rb"[\r\n]*(?:GET|HEAD) (?:(?i:https?)://[^/?# ]*)?([^?# ]*)[^ ]* HTTP/1")


class Spares:
    """The spare connections of an acceptor. `http`, which keeps none of them, serves `paths`."""

    def __init__(self, http: HTTPServer, paths: Collection[str]) -> None:
        self.http = http
        self.paths = frozenset(path.encode() for path in paths)
        self._open: dict[Spare, None] = {}  # in the order in which they came

    def has_room(self) -> bool:
        """Whether one more may come; one that says nothing has to make room for it."""
        if len(self._open) >= SPARES:
            silent = next((spare for spare in self._open if not spare.has_asked), None)
            if silent is None:
                return False
            silent.give_up()
        return True

    def connection(
        self,
        accepted: socket.socket,
        bounds: Bounds,
        tell: Callable[[str], None],
        refuse: Callable[[socket.socket], None],
    ) -> "Spare":
        """One of them. `refuse` is given its socket if it is to hear that there is no room."""
        spare = Spare(accepted, bounds, self._closed, tell, self.paths, refuse)
        self._open[spare] = None
        return spare

    def close(self) -> None:
        """Give up those that have not asked."""
        for spare in list(self._open):
            if not spare.has_asked:
                spare.close()

    def _closed(self, spare: Connection) -> None:
        assert isinstance(spare, Spare)
        del self._open[spare]


class Spare(Connection):
    """A connection for one request, for one of some paths."""

    def __init__(
        self,
        accepted: socket.socket,
        bounds: Bounds,
        closed_too: Callable[[Connection], None],
        tell: Callable[[str], None],
        paths: Collection[bytes],
        refuse: Callable[[socket.socket], None],
    ) -> None:
        super().__init__(accepted, bounds, closed_too, tell)
        self.has_asked = False
        self._paths = paths
        self._refuse_it = refuse
        loop = asyncio.get_running_loop()
        self._until = loop.call_later(_ASKING_SECONDS, self.give_up)

    def give_up(self) -> None:
        """Say that there is no room, and hang up."""
        try:
            left = self.socket.dup()
        except OSError:  # no descriptor for it
            self.close()
            return
        self.close()
        self._refuse_it(left)

    def close_fd(self) -> None:
        """Tornado's hook: the connection is over."""
        self._until.cancel()
        super().close_fd()

    async def _read_head(self, reading: Awaitable[bytes]) -> bytes:
        head = await super()._read_head(reading)
        asked = _ASKS.match(head)
        if asked is None or asked[1] not in self._paths:
            self.give_up()
            raise StreamClosedError
        self.has_asked = True
        self._until.cancel()
        loop = asyncio.get_running_loop()
        self._until = loop.call_later(_ANSWERING_SECONDS, self.close)
        return head
