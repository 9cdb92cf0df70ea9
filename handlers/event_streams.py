"""The open event streams, and their heartbeats.

One timer serves all of them, so that no stream has a timer of its own.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tornado.ioloop import PeriodicCallback


class EventStream(Protocol):
    """A stream of events to one client."""

    last_write_at: float  # when something was last written, by the event loop's clock

    @property
    def is_writing(self) -> bool:
        """Whether something that was written has not left this process yet."""

    def heartbeat(self) -> None:
        """Send a heartbeat."""


class EventStreams:
    """The open streams of this process. None is silent for longer than `heartbeat_seconds`."""

    def __init__(self, *, heartbeat_seconds: float) -> None:
        self._open: set[EventStream] = set()
        # Four checks in each heartbeat's time: a stream gets one if it would be due before the next
        # check.
        self._due_after = heartbeat_seconds * 3 / 4
        self._timer = PeriodicCallback(self._send_heartbeats, heartbeat_seconds * 1000 / 4)
        self._timer.start()

    def close(self) -> None:
        """Stop sending heartbeats."""
        self._timer.stop()

    @contextmanager
    def opened(self, stream: EventStream) -> Iterator[None]:
        """While this block runs, `stream` is open and gets heartbeats."""
        self._open.add(stream)
        try:
            yield
        finally:
            self._open.discard(stream)

    @property
    def open_count(self) -> int:
        """The number of open streams."""
        return len(self._open)

    def _send_heartbeats(self) -> None:
        time = asyncio.get_running_loop().time()
        for stream in self._open:
            if not stream.is_writing and time - stream.last_write_at >= self._due_after:
                stream.heartbeat()
