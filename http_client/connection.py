"""One connection that carries request after request, and the pool in which it rests in between.

A resting connection has a read under way, and so learns at once that the other side closed it or
speaks out of turn: no descriptor lingers in CLOSE_WAIT, no stray byte becomes somebody's answer.
"""

import asyncio
import select
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import cast

from tornado.iostream import IOStream

from http_client.connecting import READ_BYTES, Origin, break_of
from http_client.http1 import Head, ResponseParser

# AWS's load balancers close after 60 s of rest, nginx after 75: going first, we seldom send a
# request to meet a connection on its way out.
REST_SECONDS = 50.0

# Connections that rest for one origin. A hundred let ten answers begin each second, of ten seconds
# each, without a handshake; more would only hold memory here (40 KB with TLS) and slots there.
MAX_RESTING = 100

# A request that crossed the other side's closing is answered by a reset within a round trip, or two
# and a retransmission. A close that comes later is one of a provider that had the request.
STALE_SECONDS = 2.0


class Stale(Exception):
    """The connection was of no use, and the request may go to another without being asked twice."""


class Connection:
    """A stream to `origin`, for one exchange at a time."""

    def __init__(self, stream: IOStream, origin: Origin) -> None:
        self.origin = origin
        self.reusable = False  # the last exchange left it at the border of two responses
        self._stream = stream
        self._served = False
        self._reading = self._read()
        self._alarm: Callable[[object], None] | None = None

    async def exchange(
        self,
        request: bytes,
        on_head: Callable[[Head], None],
        on_body: Callable[[bytes], Awaitable[None] | None],
    ) -> None:
        """Send `request` and hand over what comes back until it is whole.

        Raises Stale if the other side closed the connection or spoke before the request was sent,
        or if it closed, without a byte and soon, a connection that had rested. The latter could
        mean that it took the request and died of it; far more often it closed while the request was
        on its way, and every client with a pool asks again (RFC 9112, 9.3.1).
        Raises ConnectionLost, InvalidResponse, and what the callbacks raise.
        """
        if self._reading.done():
            raise Stale
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        self.reusable = False
        # Not awaited: a server may answer before it took all of a long request, or without that.
        self._stream.write(request)
        del request  # the history in it need not stay for as long as the answer lasts
        with closing(ResponseParser()) as response:
            reading = self._reading
            came = announced = False
            while not response.done:
                try:
                    data = await reading
                except OSError as error:
                    if self._served and not came and clock() - asked_at < STALE_SECONDS:
                        raise Stale from error
                    response.end(error, in_order=break_of(error) is None)
                    break
                came = True
                body = response.feed(data)
                if not announced and response.head is not None:
                    announced = True
                    on_head(response.head)
                if body and (waiting := on_body(body)) is not None:
                    await waiting
                reading = self._read()
                if reading.done():  # awaiting it would give nobody else a turn
                    await asyncio.sleep(0)
            response.verdict()
            self._reading = reading
            self._served = True
            self.reusable = response.reusable and not self._stream.writing()

    def rest(self, alarm: Callable[["Connection"], None]) -> None:
        """Call `alarm` once if the other side closes the connection or says something."""
        self._alarm = lambda _: alarm(self)
        self._reading.add_done_callback(self._alarm)

    def wake(self) -> bool:
        """End the rest. False: something came from the other side, so it is fit for nothing."""
        assert self._alarm is not None
        self._reading.remove_done_callback(self._alarm)
        self._alarm = None
        self.reusable = False
        if self._reading.done():
            return False
        # What came since the event loop last looked. (poll: select.select ends at descriptor 1023.)
        poll = select.poll()
        poll.register(self._stream.fileno(), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Close the stream at once, whatever goes on. May be called again."""
        self.reusable = False
        self._stream.close()

    def _read(self) -> asyncio.Future[bytes]:
        try:
            return cast("asyncio.Future[bytes]", self._stream.read_bytes(READ_BYTES, partial=True))
        except OSError as error:  # closed, and everything received has been read
            reading: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            reading.set_exception(error)
            reading.exception()  # looked at: unlike one that nobody saw, it is not logged
            return reading


class Pool:
    """Connections at rest. The latest is used first, so that those too many grow old and go."""

    def __init__(self) -> None:
        self._resting: dict[Origin, dict[Connection, asyncio.TimerHandle]] = {}
        self.closed = False

    def __len__(self) -> int:
        return sum(map(len, self._resting.values()))

    def take(self, origin: Origin) -> Connection | None:
        """A connection to `origin` that is fit for use, if one rests here."""
        resting = self._resting.get(origin)
        while resting:
            connection, timer = resting.popitem()
            timer.cancel()
            if connection.wake():
                return connection
            connection.close()
        return None

    def put(self, connection: Connection) -> None:
        """Let `connection` rest if it can serve again, or close it."""
        if self.closed or not connection.reusable:
            connection.close()
            return
        resting = self._resting.setdefault(connection.origin, {})
        if len(resting) >= MAX_RESTING:
            self._drop(next(iter(resting)))
        loop = asyncio.get_running_loop()
        resting[connection] = loop.call_later(REST_SECONDS, self._drop, connection)
        connection.rest(self._drop)

    def close(self) -> None:
        """Close what rests here, and from now on what is put here."""
        self.closed = True
        for resting in self._resting.values():
            for connection in list(resting):
                self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if timer := self._resting[connection.origin].pop(connection, None):
            timer.cancel()
        connection.close()
