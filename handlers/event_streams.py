"""The event streams that are open, and the heartbeats that they are due.

One timer looks at all of them, so that no stream costs a timer of its own.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tornado.ioloop import PeriodicCallback


class EventStream(Protocol):
    """A stream of events to one client."""

    moved_at: float  # by the event loop's clock: when something was written last
    is_writing: bool  # what was written is still on its way out of this process

    def heartbeat(self) -> None:
        """Send a heartbeat."""


class EventStreams:
    """Those of this process. None stays silent for longer than `heartbeat_seconds`."""

    def __init__(self, *, heartbeat_seconds: float) -> None:
        self._open: set[EventStream] = set()
        # Four looks a heartbeat: whoever will be silent for a heartbeat before the next is due.
        self._due_after = heartbeat_seconds * 3 / 4
        self._timer = PeriodicCallback(self._send_heartbeats, heartbeat_seconds * 1000 / 4)
        self._timer.start()

    def close(self) -> None:
        """Send no more heartbeats."""
        self._timer.stop()

    @contextmanager
    def opened(self, stream: EventStream) -> Iterator[None]:
        """While this block runs, `stream` is open, and gets heartbeats."""
        self._open.add(stream)
        try:
            yield
        finally:
            self._open.discard(stream)

    @property
    def open_count(self) -> int:
        """How many streams are open."""
        return len(self._open)

    def _send_heartbeats(self) -> None:
        time = asyncio.get_running_loop().time()
        for stream in self._open:
            if not stream.is_writing and time - stream.moved_at >= self._due_after:
                stream.heartbeat()
