"""One epoll for the sockets of all connections, which the event loop watches as one descriptor.

A socket that is ready costs one look-up and one call: no handle, no future and no context each.
That counts for sockets that are ready thousands of times a second.
"""

import asyncio
import select
from collections.abc import Callable
from contextvars import Context
from typing import Final

# Events. The numbers are those of EPOLLIN and EPOLLOUT.
READ: Final = select.POLLIN
WRITE: Final = select.POLLOUT

# Sockets served in one iteration of the event loop. Each brings up to 16 KiB, which take a
# millisecond at most. The others are served in the next iteration, after everything else that is
# ready; the kernel keeps their order.
_MAX_PER_TURN: Final = 64


class SocketPoller:
    """Calls back when sockets are ready, in each iteration of the loop until all was read.

    A socket must be removed before it is closed, because the next one may have its number.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        # Linux only; on other systems, used for development, the event loop watches each socket.
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        if self._epoll is not None:
            # In an empty context; otherwise all callbacks would run in that of the first request.
            Context().run(self._loop.add_reader, self._epoll.fileno(), self._serve)

    def close(self) -> None:
        """Stop watching. May be called repeatedly."""
        if self._epoll is None:
            for fd in list(self._callbacks):
                self.remove(fd)
        elif not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
        self._callbacks.clear()

    def add(self, fd: int, callback: Callable[[int], None], events: int) -> None:
        """Call `callback` with the events that the socket is ready for.

        An error and the end of the connection are reported whatever `events` are.
        """
        self._callbacks[fd] = callback
        if self._epoll is not None:
            self._epoll.register(fd, events)
        else:
            self._watch_by_loop(fd, events)

    def modify(self, fd: int, events: int) -> None:
        """Watch the socket for other events."""
        if self._epoll is not None:
            self._epoll.modify(fd, events)
        else:
            self._watch_by_loop(fd, events)

    def remove(self, fd: int) -> None:
        """Stop watching the socket, if it is watched."""
        if self._callbacks.pop(fd, None) is None:
            return
        if self._epoll is not None:
            self._epoll.unregister(fd)
        else:
            self._watch_by_loop(fd, 0)

    async def ready(self, fd: int, events: int) -> None:
        """Wait until a socket that has not been added is ready for one of `events`."""
        ready: asyncio.Future[None] = self._loop.create_future()

        def on_ready(_: int) -> None:
            if not ready.done():
                ready.set_result(None)

        self.add(fd, on_ready, events)
        try:
            await ready
        finally:
            self.remove(fd)

    def _serve(self) -> None:
        assert self._epoll is not None
        callbacks = self._callbacks
        for fd, events in self._epoll.poll(0, _MAX_PER_TURN):
            # An earlier callback may have closed the socket. If a new one has its number by now,
            # that one's callback is called in vain, and finds nothing to read.
            if callback := callbacks.get(fd):
                callback(events)

    def _watch_by_loop(self, fd: int, events: int) -> None:
        callback = self._callbacks.get(fd)
        if callback is not None and events & READ:
            self._loop.add_reader(fd, callback, READ)
        else:
            self._loop.remove_reader(fd)
        if callback is not None and events & WRITE:
            self._loop.add_writer(fd, callback, WRITE)
        else:
            self._loop.remove_writer(fd)
