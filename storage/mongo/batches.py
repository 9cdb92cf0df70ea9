"""Has commands that wait at the same time be carried out together, as one batch.

A command that finds nothing under way is carried out at once, so none waits for company. It imports
no driver.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from storage.errors import Reason, StorageError

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Waiting(Generic[T, R]):
    """A command that is not carried out yet."""

    command: T
    size: int
    deadline: float
    outcome: "asyncio.Future[R]"


class Batches(Generic[T, R]):
    """Carries commands out with `carry_out`, which returns an outcome for each, in their order.

    At most `at_a_time` batches run, of at most `limit` commands with `max_bytes` together. A
    command that could not be begun within `timeout` seconds is refused.
    """

    def __init__(
        self,
        carry_out: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        at_a_time: int,
        limit: int,
        max_bytes: int,
        timeout: float,
    ) -> None:
        self._carry_out = carry_out
        self._at_a_time = at_a_time
        self._limit = limit
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, command: T, size: int) -> R:
        """The outcome of a command of `size` bytes.

        A caller that is cancelled leaves the queue; a command that was begun is carried out to its
        end. Raises StorageError if it could not begin in time, and whatever `carry_out` raised,
        which it raises to all commands of a batch.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[R] = loop.create_future()
        self._waiting.append(_Waiting(command, size, loop.time() + self._timeout, outcome))
        self._begin()
        return await outcome

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._at_a_time:
            if batch := self._next():
                task = asyncio.create_task(self._run(batch))
                self._running.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._begin()

    def _next(self) -> list[_Waiting[T, R]]:
        """The commands that have waited longest, as many as fit in a batch."""
        now = asyncio.get_running_loop().time()
        batch: list[_Waiting[T, R]] = []
        size = 0
        while self._waiting and len(batch) < self._limit:
            first = self._waiting[0]
            if batch and size + first.size > self._max_bytes:
                break
            self._waiting.popleft()
            if first.outcome.done():  # its caller was cancelled
                continue
            if now > first.deadline:
                first.outcome.set_exception(
                    StorageError("too many commands wait for the store", reason=Reason.OVERLOADED)
                )
                continue
            batch.append(first)
            size += first.size
        return batch

    async def _run(self, batch: Sequence[_Waiting[T, R]]) -> None:
        try:
            outcomes = await self._carry_out([each.command for each in batch])
        except BaseException as error:  # noqa: BLE001 -- it is raised where it was waited for
            for each in batch:
                if not each.outcome.done():
                    each.outcome.set_exception(error)
            return
        for each, outcome in zip(batch, outcomes, strict=True):
            if not each.outcome.done():
                each.outcome.set_result(outcome)
