"""Whether readers are still there, and telling them that we are.

Tornado's own close callback is not enough: while bytes lie unread behind a request's body (a stray
CRLF, a pipelined request) it stays silent, because IOStream stops reading. One epoll for all
readers' sockets, itself watched by the event loop, hears of each hang-up within a millisecond. A
connection that is closed in one direction only counts as left.
"""

import asyncio
import select
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from typing import Protocol

from tornado.ioloop import IOLoop, PeriodicCallback


class Follower(Protocol):
    """A stream of events to somebody."""

    moved_at: float  # by the event loop's clock: when something was written last
    is_writing: bool  # what was written is still on its way out of this process

    def beat(self) -> None:
        """Send a sign of life."""


class Request(Protocol):
    """A request that is being answered."""

    @property
    def api_key_id(self) -> str | None:
        """The API key that let it in, if one did."""

    def expel(self) -> None:
        """Close the connection: its key is no longer good."""


class Presence:
    """The readers of this process: one epoll and one sweep, whatever their number."""

    def __init__(self, *, heartbeat_seconds: float) -> None:
        self._loop = IOLoop.current()
        self._watched: dict[int, Callable[[], None]] = {}
        self._followers: set[Follower] = set()
        self._requests: set[Request] = set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        # Linux only; elsewhere there is Tornado's callback alone, good enough for development.
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            self._loop.add_handler(self._epoll.fileno(), self._heard, IOLoop.READ)
        # Four looks a heartbeat: whoever will be silent for a heartbeat before the next is due.
        self._due_after = heartbeat_seconds * 3 / 4
        self._sweep = PeriodicCallback(self._look, heartbeat_seconds * 1000 / 4)
        self._sweep.start()

    def close(self) -> None:
        """Stop looking."""
        self._sweep.stop()
        if self._epoll is not None:
            self._loop.remove_handler(self._epoll.fileno())
            self._epoll.close()

    @contextmanager
    def watching(self, fd: int, left: Callable[[], None]) -> Iterator[None]:
        """Call `left` once should the socket `fd` hang up while this block runs."""
        if self._epoll is None:
            yield
            return
        self._watched[fd] = left
        self._epoll.register(fd, select.EPOLLRDHUP | select.EPOLLONESHOT)
        try:
            yield
        finally:
            # Closed meanwhile, the number may be another socket's by now, and watched for it.
            if self._watched.get(fd) is left:
                self._forget(fd)

    @contextmanager
    def following(self, follower: Follower) -> Iterator[None]:
        """Have `follower` send a sign of life whenever it has been silent for too long."""
        self._followers.add(follower)
        try:
            yield
        finally:
            self._followers.discard(follower)

    def came(self, request: Request) -> None:
        """A request is being answered."""
        self._requests.add(request)
        self._nobody.clear()

    def went(self, request: Request) -> None:
        """It is answered, or nobody waits for that any more."""
        self._requests.discard(request)
        if not self._requests:
            self._nobody.set()

    async def nobody(self, *, patience: float) -> None:
        """Return when no request is being answered, or after `patience` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._nobody.wait()

    def api_keys_in_use(self) -> set[str]:
        """The API keys that let in what is being answered."""
        return {request.api_key_id for request in self._requests if request.api_key_id is not None}

    def expel(self, key_ids: Set[str]) -> None:
        """End the requests that these API keys let in, streams above all."""
        for request in [each for each in self._requests if each.api_key_id in key_ids]:
            request.expel()

    @property
    def followers(self) -> int:
        """How many streams are open."""
        return len(self._followers)

    def _heard(self, _fd: int, _events: int) -> None:
        assert self._epoll is not None
        for fd, _ in self._epoll.poll(0):
            if left := self._watched.get(fd):
                left()

    def _forget(self, fd: int) -> None:
        assert self._epoll is not None
        del self._watched[fd]
        # Its socket is closed, so the kernel has forgotten it already; or we closed the epoll.
        with suppress(OSError, ValueError):
            self._epoll.unregister(fd)

    def _look(self) -> None:
        time = asyncio.get_running_loop().time()
        for follower in self._followers:
            if not follower.is_writing and time - follower.moved_at >= self._due_after:
                follower.beat()
