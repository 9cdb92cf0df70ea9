"""Limits how many commands of one kind run at a time, also if they cannot be cancelled.

A driver that works in threads does not stop when its caller is cancelled: the thread is busy until
the server responds or the driver times out. So running commands are counted, not waiting callers.
With a limit for each kind, one kind does not wait for another.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from storage.errors import overloaded

T = TypeVar("T")


class ConcurrencyLimit:
    """At most `limit` commands run at a time; others wait for up to `timeout` seconds."""

    def __init__(self, limit: int, *, timeout: float) -> None:
        self._free = asyncio.Semaphore(limit)
        self._timeout = timeout
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, command: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `command` once another one may run. Once started it runs to its end, even if
        cancelled.

        Raises StorageError if it could not start in time.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._free.acquire()
        except TimeoutError:
            raise overloaded() from None
        task = asyncio.create_task(command())
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def wait_until_idle(self) -> None:
        """Wait until no command runs."""
        while self._running:
            await asyncio.wait(self._running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        self._free.release()
        if not task.cancelled():
            task.exception()  # retrieved, since its caller may be gone
