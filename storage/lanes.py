"""Commands that cannot be recalled, so many at a time.

A driver that works in threads does not stop when its caller is cancelled: the thread is taken until
the server answers or the driver gives up. A lane counts such commands by what they take, not by who
still waits for them, and keeps one kind of command from waiting behind another.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from storage.base import Reason, StorageError

T = TypeVar("T")


class Lane:
    """Room for `width` commands at once; the next one waits for at most `patience` seconds."""

    def __init__(self, width: int, *, patience: float) -> None:
        self._room = asyncio.Semaphore(width)
        self._patience = patience
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, command: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `command` when there is room. Once begun it runs to its end, whoever leaves.

        Raises StorageError if there is no room in time; it has not begun then.
        """
        try:
            async with asyncio.timeout(self._patience):
                await self._room.acquire()
        except TimeoutError:
            raise StorageError(
                "too many commands wait for the store", reason=Reason.OVERLOADED
            ) from None
        task = asyncio.create_task(command())
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def empty(self) -> None:
        """Wait until nothing runs."""
        while self._running:
            await asyncio.wait(self._running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        self._room.release()
        if not task.cancelled():
            task.exception()  # looked at: its caller may have left, and asyncio would complain
