"""Wakes the readers of one answer: some at once, the others by the event loop.

A woken reader may write to its client in the same call stack, which began with bytes from the
provider. So the number of readers that are woken in one call is bounded: an answer that a thousand
people watch must not delay the tokens of all other answers by a thousand writes.
"""

import asyncio
from itertools import islice
from typing import Protocol

# Readers woken in one call. A write takes some 5 µs, so 32 of them take less than 0.2 ms. Nearly
# every answer has one or two readers: the asker, and a second tab.
AT_ONCE = 32


class Wakeable(Protocol):
    """A reader. Its methods raise nothing, since its errors must not concern the other readers."""

    def wake(self) -> None:
        """Look for growth."""

    def disconnect(self) -> None:
        """Read no more."""


class FanOut:
    """The readers of one answer, in the order in which they came."""

    __slots__ = ("_readers", "_waiting")

    def __init__(self) -> None:
        self._readers: dict[Wakeable, None] = {}
        self._waiting: dict[Wakeable, None] = {}  # those that the loop will wake, in this order

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, reader: Wakeable) -> None:
        """Add a reader."""
        self._readers[reader] = None

    def remove(self, reader: Wakeable) -> None:
        """Remove a reader; it is not woken any more."""
        self._readers.pop(reader, None)
        self._waiting.pop(reader, None)

    def wake(self) -> None:
        """Wake the first AT_ONCE readers now, and the others in the loop's next turns."""
        readers = tuple(self._readers)
        for reader in readers[:AT_ONCE]:
            reader.wake()
        if len(readers) > AT_ONCE:
            if not self._waiting:
                asyncio.get_running_loop().call_soon(self._wake_waiting)
            # Those that wait already keep their places, so that all of them have their turn.
            self._waiting.update(dict.fromkeys(readers[AT_ONCE:]))

    def disconnect(self) -> None:
        """Disconnect all readers."""
        for reader in tuple(self._readers):
            reader.disconnect()

    def _wake_waiting(self) -> None:
        due = tuple(islice(self._waiting, AT_ONCE))
        for reader in due:
            del self._waiting[reader]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._wake_waiting)
        for reader in due:
            reader.wake()
