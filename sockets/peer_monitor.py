"""PeerMonitor that are gone, and peers that take nothing: both are found here, and hung up on.

The kernel has a clock for it, TCP_USER_TIMEOUT, which is not set: it runs as well while a peer's
window is shut and every probe of it is answered. So looks a reader who takes half a kilobyte a
second, or two, or eight: of eighteen such the kernel reset twelve before their time. What it knows
of a peer tells those apart (`peer_progress.py`). Where nothing is on the way to a peer, the
kernel's keepalive asks whether it is there, and ends the connection by itself (`listening.py`).
"""

import math
from collections.abc import Collection

from tornado.ioloop import IOLoop, PeriodicCallback

from sockets.client_connection import ClientConnection, log
from sockets.peer_progress import PeerTimeouts, peer_status
from telemetry.log_event import LogEvent
from telemetry.rate_limited_log import RateLimitedLog

# Looks at a connection within the time after which it is cut, which may so be a sixth late.
_LOOKS = 6

# The looks at all connections are dealt out over so many turns: ten thousand at once would hold up
# every token for 20 ms.
_TURNS = 10


class PeerMonitor:
    """Looks at the peers of `connections`, some at a time, until stopped."""

    def __init__(self, connections: Collection[ClientConnection], timeouts: PeerTimeouts) -> None:
        self._connections = connections
        self._timeouts = timeouts
        self._loop = IOLoop.current()
        self._due: list[ClientConnection] = []
        self._share = 1
        seconds = min(timeouts) / _LOOKS / _TURNS
        self._turns = PeriodicCallback(self._look, seconds * 1000)
        self._cut_log = RateLimitedLog(log, example="request")

    def start(self) -> None:
        """Begin to look."""
        self._turns.start()

    def stop(self) -> None:
        """Look no more; doing it twice is harmless."""
        self._turns.stop()
        self._cut_log.close()

    def _look(self) -> None:
        if not self._due:
            self._due = list(self._connections)
            self._share = math.ceil(len(self._due) / _TURNS)
        time = self._loop.time()
        for connection in self._due[-self._share :]:
            if not connection.closed():
                self._judge(connection, time)
        del self._due[-self._share :]

    def _judge(self, connection: ClientConnection, time: float) -> None:
        why = connection.progress.reason_to_close(
            time,
            self._timeouts,
            status=peer_status(connection.socket),
            sent=connection.sent,
            waits=connection.writing(),
        )
        if why is not None:
            self._cut_log.log(
                LogEvent(f"connection cut, its peer {why}", request=connection.request_id)
            )
            connection.close()
