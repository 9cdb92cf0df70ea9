"""Has commands that wait at the same time be carried out together, as one batch.

A command that finds nothing under way is carried out at once, so none waits for company.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from storage.errors import overloaded
from storage.mongo.transactions import COMMAND_SECONDS

T = TypeVar("T")
R = TypeVar("R")

# Batches at a time: one collects while another is carried out. More would each find fewer commands
# to take along.
_AT_A_TIME = 2

# Commands in a batch. With 64, what a batch costs by itself is a small part of what it does; with
# more, a conflict would have more of them be carried out again.
_MAX_COMMANDS = 64

# Bytes in a batch: half of what a transaction may have as one entry of the server's log.
_MAX_BYTES = 8_000_000


@dataclass
class _Waiting(Generic[T, R]):
    """A command that is not carried out yet."""

    command: T
    size: int
    deadline: float
    outcome: "asyncio.Future[R]"


class Batches(Generic[T, R]):
    """Carries commands out with `carry_out`, which returns an outcome for each, in their order.

    A command that could not begin within `COMMAND_SECONDS` is refused.
    """

    def __init__(self, carry_out: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> None:
        self._carry_out = carry_out
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
        self._waiting.append(_Waiting(command, size, loop.time() + COMMAND_SECONDS, outcome))
        self._begin()
        return await outcome

    def _begin(self) -> None:
        while self._waiting and len(self._running) < _AT_A_TIME:
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
        while self._waiting and len(batch) < _MAX_COMMANDS:
            first = self._waiting[0]
            if batch and size + first.size > _MAX_BYTES:
                break
            self._waiting.popleft()
            if first.outcome.done():  # its caller was cancelled
                continue
            if now > first.deadline:
                first.outcome.set_exception(overloaded())
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
