"""Hang-ups of clients, noticed within a millisecond, also while nothing is written to them.

Tornado's own close callback is not enough: while bytes lie unread behind a request's body (a stray
CRLF, a pipelined request) it stays silent, because IOStream stops reading. One epoll for all
watched sockets, itself watched by the event loop, hears of each hang-up. A connection that is
closed in one direction only counts as disconnected.
"""

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tornado.ioloop import IOLoop


class DisconnectWatcher:
    """The clients' sockets that are watched: one epoll, whatever their number."""

    def __init__(self) -> None:
        self._loop = IOLoop.current()
        self._callbacks: dict[int, Callable[[], None]] = {}
        # Linux only; elsewhere there is Tornado's callback alone, good enough for development.
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            self._loop.add_handler(self._epoll.fileno(), self._notify, IOLoop.READ)

    def close(self) -> None:
        """Watch no longer."""
        if self._epoll is not None:
            self._loop.remove_handler(self._epoll.fileno())
            self._epoll.close()

    @contextmanager
    def watching(self, fd: int, on_disconnect: Callable[[], None]) -> Iterator[None]:
        """Call `on_disconnect` once should the socket `fd` hang up while this block runs."""
        if self._epoll is None:
            yield
            return
        self._callbacks[fd] = on_disconnect
        self._epoll.register(fd, select.EPOLLRDHUP | select.EPOLLONESHOT)
        try:
            yield
        finally:
            # Closed meanwhile, the number may be another socket's by now, and watched for it.
            if self._callbacks.get(fd) is on_disconnect:
                self._forget(fd)

    def _notify(self, _fd: int, _events: int) -> None:
        assert self._epoll is not None
        for fd, _ in self._epoll.poll(0):
            if on_disconnect := self._callbacks.get(fd):
                on_disconnect()

    def _forget(self, fd: int) -> None:
        assert self._epoll is not None
        del self._callbacks[fd]
        # Its socket is closed, so the kernel has forgotten it already; or we closed the epoll.
        with suppress(OSError, ValueError):
            self._epoll.unregister(fd)
