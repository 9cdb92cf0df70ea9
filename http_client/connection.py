"""A connection that carries one request after another, and the pool that keeps idle ones.

An idle connection has a pending read, and so notices at once that the other side closes it or sends
something unrequested: no descriptor stays in CLOSE_WAIT, and no stray byte becomes part of the next
response.
"""

import asyncio
import select
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import cast

from tornado.iostream import IOStream

from http_client.connecting import READ_BYTES, Endpoint, stream_error
from http_client.http1 import ResponseHead, ResponseParser

# Seconds that a connection may stay idle. AWS's load balancers close one after 60, nginx after 75:
# by closing it first we seldom send a request on a connection that is just being closed.
MAX_IDLE_SECONDS = 50.0

# Idle connections to one endpoint. A hundred allow ten answers of ten seconds each to begin every
# second without a handshake; more would only take memory here (40 KB with TLS) and connections
# there.
MAX_IDLE_CONNECTIONS = 100

# Seconds. A request sent while the other side was closing is answered by a reset within a round
# trip, or two and a retransmission. A later close comes from a provider that had received the
# request.
STALE_SECONDS = 2.0


class StaleConnection(Exception):
    """The other side had closed the connection: the request may be sent again on another one."""


class Connection:
    """A connection to `endpoint`, which carries one exchange at a time."""

    def __init__(self, stream: IOStream, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.reusable = False  # the last response was complete, and another request may follow
        self._stream = stream
        self._was_used = False  # it has carried a request before
        self._reading = self._read()
        self._on_idle_end: Callable[[object], None] | None = None

    async def exchange(
        self,
        request: bytes,
        on_head: Callable[[ResponseHead], None],
        on_body: Callable[[bytes], Awaitable[None] | None],
    ) -> None:
        """Send `request`, and call back with the response as it arrives, until its end.

        Raises StaleConnection if the other side closed the connection or sent something before the
        request was sent. It also raises it if the connection had been idle and was closed soon
        after the request, without a byte of a response. The request might have crashed the server,
        but far more often the server closed while the request was on its way, and every client with
        a pool sends the request again (RFC 9112, 9.3.1).

        Raises ConnectionLost, InvalidResponse, and whatever the callbacks raise.
        """
        if self._reading.done():
            raise StaleConnection
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        self.reusable = False
        # Not awaited: a server may respond before it has read all of a long request.
        self._stream.write(request)
        del request  # the conversation in it is not needed while the answer lasts
        with closing(ResponseParser()) as response:
            reading = self._reading
            came = announced = False
            while not response.done:
                try:
                    data = await reading
                except OSError as error:
                    if self._was_used and not came and clock() - asked_at < STALE_SECONDS:
                        raise StaleConnection from error
                    response.end(error, in_order=stream_error(error) is None)
                    break
                came = True
                body = response.feed(data)
                if not announced and response.head is not None:
                    announced = True
                    on_head(response.head)
                if body and (waiting := on_body(body)) is not None:
                    await waiting
                reading = self._read()
                if reading.done():  # awaiting a result that is there would not yield to other tasks
                    await asyncio.sleep(0)
            response.raise_for_failure()
            self._reading = reading
            self._was_used = True
            self.reusable = response.reusable and not self._stream.writing()

    def become_idle(self, on_end: Callable[["Connection"], None]) -> None:
        """Watch the idle connection; `on_end` is called once if the other side closes it or
        sends something.
        """
        self._on_idle_end = lambda _: on_end(self)
        self._reading.add_done_callback(self._on_idle_end)

    def leave_idle(self) -> bool:
        """Stop watching; returns False if the other side has closed the connection or sent
        something.
        """
        assert self._on_idle_end is not None
        self._reading.remove_done_callback(self._on_idle_end)
        self._on_idle_end = None
        self.reusable = False
        if self._reading.done():
            return False
        # Events since the event loop last polled. (poll, because select.select stops at descriptor
        # 1023.)
        poll = select.poll()
        poll.register(self._stream.fileno(), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Close the connection at once, also in the middle of an exchange.

        May be called repeatedly.
        """
        self.reusable = False
        self._stream.close()

    def _read(self) -> asyncio.Future[bytes]:
        try:
            return cast("asyncio.Future[bytes]", self._stream.read_bytes(READ_BYTES, partial=True))
        except OSError as error:  # closed, with everything received read
            reading: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            reading.set_exception(error)
            reading.exception()  # retrieved, so that asyncio does not log it
            return reading


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
