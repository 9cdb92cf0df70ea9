"""Finds peers that are gone or accept no data, and closes their connections.

The kernel's TCP_USER_TIMEOUT is not used: it also runs while a peer's window is closed and every
probe of it is answered, as with a reader of half a kilobyte a second; of eighteen such readers the
kernel reset twelve too early. The kernel's figures distinguish these cases (`peer_progress.py`).
While no data is sent to a peer, the kernel's keepalive finds out whether it is there
(`listening.py`).
"""

import math
from collections.abc import Collection

from tornado.ioloop import IOLoop, PeriodicCallback

from sockets.client_connection import ClientConnection, log
from sockets.peer_progress import PeerTimeouts, peer_status
from telemetry.log_event import LogEvent
from telemetry.rate_limited_log import RateLimitedLog

# Checks of a connection within its timeout, which may be exceeded by a sixth therefore.
_CHECKS_PER_TIMEOUT = 6

# The checks are spread over so many turns of the loop: ten thousand at once would delay tokens by
# 20 ms.
_SHARES = 10


class PeerMonitor:
    """Checks the peers of `connections`, some at a time, until stopped."""

    def __init__(self, connections: Collection[ClientConnection], timeouts: PeerTimeouts) -> None:
        self._connections = connections
        self._timeouts = timeouts
        self._loop = IOLoop.current()
        self._due: list[ClientConnection] = []
        self._share = 1
        seconds = min(timeouts) / _CHECKS_PER_TIMEOUT / _SHARES
        self._timer = PeriodicCallback(self._check_share, seconds * 1000)
        self._cut_log = RateLimitedLog(log, example="request")

    def start(self) -> None:
        """Begin to check."""
        self._timer.start()

    def stop(self) -> None:
        """Stop checking; further calls have no effect."""
        self._timer.stop()
        self._cut_log.close()

    def _check_share(self) -> None:
        if not self._due:
            self._due = list(self._connections)
            self._share = math.ceil(len(self._due) / _SHARES)
        time = self._loop.time()
        for connection in self._due[-self._share :]:
            if not connection.closed():
                self._check_connection(connection, time)
        del self._due[-self._share :]

    def _check_connection(self, connection: ClientConnection, time: float) -> None:
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
