"""The open event streams, and their heartbeats.

One timer serves all of them, so that no stream has a timer of its own.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tornado.ioloop import PeriodicCallback


class EventStream(Protocol):
    """A stream of events to one client, or a response that waits for the end of an answer."""

    last_write_at: float  # when something was last written, by the event loop's clock

    @property
    def is_writing(self) -> bool:
        """Whether something that was written has not left this process yet."""

    def heartbeat(self) -> None:
        """Send a heartbeat."""


class EventStreams:
    """The open streams of this process. None is silent for longer than `heartbeat_seconds`.

    `first_sign_seconds` is how long a client that waits for JSON gets nothing; 0: to the end.
    """

    def __init__(self, *, heartbeat_seconds: float, first_sign_seconds: float) -> None:
        self.first_sign_seconds = first_sign_seconds
        self._open: set[EventStream] = set()
        self._waiting: set[EventStream] = set()
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

    @contextmanager
    def waiting(self, response: EventStream) -> Iterator[None]:
        """While this block runs, the client of `response` waits for the end of an answer and gets
        heartbeats as streams do.
        """
        self._waiting.add(response)
        try:
            yield
        finally:
            self._waiting.discard(response)

    @property
    def open_count(self) -> int:
        """The number of open streams."""
        return len(self._open)

    def _send_heartbeats(self) -> None:
        time = asyncio.get_running_loop().time()
        for stream in (*self._open, *self._waiting):
            if not stream.is_writing and time - stream.last_write_at >= self._due_after:
                stream.heartbeat()
