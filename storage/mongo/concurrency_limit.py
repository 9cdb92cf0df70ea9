"""A limit on how many commands of one kind run at once, also where they cannot be cancelled.

A driver that works in threads does not stop when its caller is cancelled: the thread is taken until
the server answers or the driver gives up. So what counts is the commands that run, not the callers
that still wait. A limit for each kind keeps one kind from waiting behind another.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from storage.errors import Reason, StorageError

T = TypeVar("T")


class ConcurrencyLimit:
    """At most `limit` commands run at once; the next one waits for up to `timeout` seconds."""

    def __init__(self, limit: int, *, timeout: float) -> None:
        self._free = asyncio.Semaphore(limit)
        self._timeout = timeout
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, command: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `command` when one more may run. Once begun it runs to its end, whoever leaves.

        Raises StorageError if none may in time; it has not begun then.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._free.acquire()
        except TimeoutError:
            raise StorageError(
                "too many commands wait for the store", reason=Reason.OVERLOADED
            ) from None
        task = asyncio.create_task(command())
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def wait_until_idle(self) -> None:
        """Wait until nothing runs."""
        while self._running:
            await asyncio.wait(self._running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        self._free.release()
        if not task.cancelled():
            task.exception()  # looked at: its caller may have left, and asyncio would complain
