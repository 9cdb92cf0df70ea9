"""The pool that keeps connections while they are idle."""

import asyncio

from http_client.connection import Connection
from http_client.endpoints import Endpoint

# Seconds that a connection may stay idle. AWS's load balancers close one after 60, nginx after 75:
# by closing it first we seldom send a request on a connection that is just being closed.
MAX_IDLE_SECONDS = 50.0

# Idle connections to one endpoint. A hundred allow ten answers of ten seconds each to begin every
# second without a handshake; more would only take memory here (45 KB with TLS) and connections
# there.
MAX_IDLE_CONNECTIONS = 100


class ConnectionPool:
    """Idle connections by endpoint.

    The one used last is taken first, so that surplus ones time out.
    """

    def __init__(self) -> None:
        self._idle: dict[Endpoint, dict[Connection, asyncio.TimerHandle]] = {}
        self.closed = False

    def __len__(self) -> int:
        return sum(map(len, self._idle.values()))

    def take(self, endpoint: Endpoint) -> Connection | None:
        """Return an idle connection to `endpoint` that can be used; None if there is none."""
        idle = self._idle.get(endpoint)
        while idle:
            connection, timer = idle.popitem()
            timer.cancel()
            if connection.leave_idle():
                return connection
            connection.close()
        return None

    def put(self, connection: Connection) -> None:
        """Keep `connection` if it can carry another request; close it if not."""
        if self.closed or not connection.reusable:
            connection.close()
            return
        idle = self._idle.setdefault(connection.endpoint, {})
        if len(idle) >= MAX_IDLE_CONNECTIONS:
            self._drop(next(iter(idle)))
        loop = asyncio.get_running_loop()
        idle[connection] = loop.call_later(MAX_IDLE_SECONDS, self._drop, connection)
        connection.become_idle(self._drop)

    def close(self) -> None:
        """Close all idle connections, and from now on every connection that is put here."""
        self.closed = True
        for idle in self._idle.values():
            for connection in list(idle):
                self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if timer := self._idle[connection.endpoint].pop(connection, None):
            timer.cancel()
        connection.close()
