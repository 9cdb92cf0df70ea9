"""A connection that carries one request after another.

Its socket is read in the poller's callback: what was received is parsed and passed on in the same
call stack, without a task, a future or a second system call per read. The task of the fetch wakes
up when the response is over.

The socket is watched while the connection is open. An idle connection notices at once that the
other side closes it or sends something unrequested: no descriptor stays in CLOSE_WAIT, and no stray
byte becomes part of the next response.
"""

import asyncio
from collections.abc import Awaitable, Callable

from http_client.endpoints import Endpoint
from http_client.http1 import ResponseHead, ResponseParser
from http_client.poller import READ, WRITE, SocketPoller
from http_client.reasons import ClosedByPeer
from http_client.streams import READ_BYTES, SocketStream

# Seconds. A request sent while the other side was closing is answered by a reset within a round
# trip, or two and a retransmission. A later close comes from a provider that had received the
# request.
STALE_SECONDS = 2.0

OnHead = Callable[[ResponseHead], None]
OnBody = Callable[[bytes], Awaitable[None] | None]


class StaleConnection(Exception):
    """The other side had closed the connection: the request may be sent again on another one."""


class Connection:
    """A connection to `endpoint`, which carries one exchange at a time."""

    __slots__ = (
        "_asked_at",
        "_failure",
        "_fd",
        "_has_come",
        "_is_over",
        "_loop",
        "_on_body",
        "_on_head",
        "_on_idle_end",
        "_poller",
        "_recv",
        "_response",
        "_stream",
        "_turn",
        "_waiting",
        "_was_used",
        "endpoint",
        "reusable",
    )

    def __init__(self, stream: SocketStream, endpoint: Endpoint, poller: SocketPoller) -> None:
        self.endpoint = endpoint
        self.reusable = False  # the last response was complete, and another request may follow
        self._loop = asyncio.get_running_loop()
        self._stream = stream
        self._recv = stream.recv
        self._fd = stream.fileno()
        self._poller = poller
        self._is_over = False  # the other side closed it or sent something unrequested
        self._was_used = False  # it has carried a request before
        self._on_idle_end: Callable[[Connection], None] | None = None
        # The exchange in progress:
        self._turn: _Turn | None = None
        self._response: ResponseParser | None = None  # while it is read
        self._on_head: OnHead | None = None  # until it is called
        self._on_body: OnBody = _ignore
        self._waiting: Awaitable[None] | None = None  # what `on_body` returned
        self._failure: BaseException | None = None  # what a callback raised
        self._asked_at = 0.0
        self._has_come = False  # whether a byte of the response was received
        poller.add(self._fd, self._on_ready, READ)

    async def exchange(self, request: bytes, on_head: OnHead, on_body: OnBody) -> None:
        """Send `request`, and call back with the response as it arrives, until its end.

        Cancelling it closes the connection in the same call stack, unless it is awaiting what
        `on_body` returned.

        Raises StaleConnection if the other side closed the connection or sent something before the
        request was sent. It also raises it if the connection had been idle and was closed soon
        after the request, without a byte of a response. The request might have crashed the server,
        but far more often the server closed while the request was on its way, and every client with
        a pool sends the request again (RFC 9112, 9.3.1).

        Raises ConnectionLost, InvalidResponse, and whatever the callbacks raise.
        """
        if self._is_over:
            raise StaleConnection
        self.reusable = self._has_come = False
        self._asked_at = self._loop.time()
        response = self._response = ResponseParser()
        self._on_head, self._on_body = on_head, on_body
        # Not awaited: a server may respond before it has read all of a long request.
        self._stream.write(request)
        del request  # the conversation in it is not needed while the answer lasts
        if self._stream.is_sending:
            self._poller.modify(self._fd, READ | WRITE)
        try:
            await self._read_to_end(response)
            response.raise_for_failure()
            self._was_used = True
            blocked = self._is_over or self._stream.is_sending
            self.reusable = response.reusable and not blocked
        finally:
            response.close()
            if asyncio.iscoroutine(self._waiting):  # cancelled before it could be awaited
                self._waiting.close()
            self._turn = self._response = self._on_head = self._waiting = None
            self._on_body = _ignore

    def become_idle(self, on_end: Callable[["Connection"], None]) -> None:
        """Call `on_end` once if the other side closes the idle connection or sends something."""
        self._on_idle_end = on_end

    def leave_idle(self) -> bool:
        """Stop calling `on_end`; returns False if the other side has closed the connection or sent
        something.
        """
        self._on_idle_end = None
        self.reusable = False
        self._on_ready(READ)  # events since the event loop last polled
        return not self._is_over

    def close(self) -> None:
        """Close the connection at once, also in the middle of an exchange.

        May be called repeatedly.
        """
        self.reusable = False
        self._is_over = True
        self._response = None
        self._on_body = _ignore  # also for the rest of a read whose head made someone cancel
        self._poller.remove(self._fd)
        self._fd = -1  # the number may be another socket's from now on
        self._stream.close()

    async def _read_to_end(self, response: ResponseParser) -> None:
        """Wait until `_on_ready` has read the response, and await what `on_body` returns."""
        while True:
            turn = self._turn = _Turn(self)
            await turn
            if self._failure is not None:
                failure, self._failure = self._failure, None
                try:
                    raise failure
                finally:
                    del failure, turn  # whose frames refer to this connection
            if self._waiting is None:
                return
            waiting, self._waiting = self._waiting, None
            await waiting
            self._poller.add(self._fd, self._on_ready, self._events)
            if response.done:
                return

    def _on_ready(self, events: int) -> None:
        """Read from the socket, once, and pass on what was received. Every token comes this way.

        If there is more to read, the poller calls again, after other connections.
        """
        if events & WRITE:
            self._stream.flush()
            self._poller.modify(self._fd, self._events)
        try:
            data = self._recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        response = self._response
        if not data or response is None:
            self._end(None)
            return
        self._has_come = True
        try:
            body = response.feed(data)
            if self._on_head is not None and response.head is not None:
                on_head, self._on_head = self._on_head, None
                on_head(response.head)
            if body and (waiting := self._on_body(body)) is not None:
                self._poller.remove(self._fd)  # nothing is read while the callback is awaited
                self._waiting = waiting
                self._finish_turn()
        except BaseException as error:  # noqa: BLE001 -- raised by a callback; `exchange` raises it again
            self._fail(error)
        else:
            if response.done:
                self._response = None
                self._finish_turn()

    @property
    def _events(self) -> int:
        return READ | WRITE if self._stream.is_sending else READ

    def _end(self, error: OSError | None) -> None:
        """Take note that the connection ended, without an error if the other side closed it or sent
        something unrequested.
        """
        self._is_over = True
        self._poller.remove(self._fd)
        response = self._response
        if response is None:
            if self._on_idle_end is not None:
                self._on_idle_end(self)
            return
        is_soon = self._loop.time() - self._asked_at < STALE_SECONDS
        if self._was_used and not self._has_come and is_soon:
            self._fail(StaleConnection())
            return
        error = error or self._stream.send_error
        response.end(error or ClosedByPeer(), in_order=error is None)
        self._response = None
        self._finish_turn()

    def _fail(self, error: BaseException) -> None:
        self._response = None
        self._failure = error
        self._finish_turn()

    def _finish_turn(self) -> None:
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)


class _Turn(asyncio.Future[None]):
    """What an exchange awaits; cancelling it closes the connection.

    `Task.cancel` cancels what the task awaits in the same call stack, but the task itself runs
    later: under load by milliseconds, in which the provider would go on generating.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        super().__init__(loop=connection._loop)
        self._connection = connection

    def cancel(self, msg: object = None) -> bool:
        """Close the connection; the exchange raises CancelledError."""
        self._connection.close()
        return super().cancel(msg)


def _ignore(_: bytes) -> None:
    """Do nothing: the `on_body` while there is no exchange, and once the connection is closed."""
