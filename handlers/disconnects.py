"""Notices within a millisecond that a client disconnects, also while nothing is written to it.

Tornado's close callback is not enough: while unread bytes follow a request's body (a stray CRLF, a
pipelined request), IOStream stops reading, and the callback is not called. One epoll for all
watched sockets, which the event loop watches, reports each disconnect. A connection of which one
direction is closed counts as disconnected.
"""

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tornado.ioloop import IOLoop


class DisconnectWatcher:
    """Watches clients' sockets with one epoll, however many they are."""

    def __init__(self) -> None:
        self._loop = IOLoop.current()
        self._callbacks: dict[int, Callable[[], None]] = {}
        # Linux only; on other systems only Tornado's callback works, which is enough for
        # development.
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            self._loop.add_handler(self._epoll.fileno(), self._notify, IOLoop.READ)

    def close(self) -> None:
        """Stop watching."""
        if self._epoll is not None:
            self._loop.remove_handler(self._epoll.fileno())
            self._epoll.close()

    @contextmanager
    def watching(self, fd: int, on_disconnect: Callable[[], None]) -> Iterator[None]:
        """Call `on_disconnect` once if the socket `fd` hangs up while this block runs."""
        if self._epoll is None:
            yield
            return
        self._callbacks[fd] = on_disconnect
        self._epoll.register(fd, select.EPOLLRDHUP | select.EPOLLONESHOT)
        try:
            yield
        finally:
            # After a close the number may be that of another socket, which is watched now.
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
        # The socket is closed, so the kernel has removed it already; or the epoll is closed.
        with suppress(OSError, ValueError):
            self._epoll.unregister(fd)
