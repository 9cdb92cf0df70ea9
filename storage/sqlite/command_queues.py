"""Commands that wait for a thread: in queues, for so long, and only while a caller waits.

SQLite's calls block, so they are made in threads. Such a command cannot be recalled once it has
begun, but it can be dropped before: by whoever waits for it (their task is cancelled), or because
its time is over. What is done for each costs a future and a timer, no task.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from storage.errors import Reason, StorageError

T = TypeVar("T")

# Seconds for one that has begun, beyond its patience. A disk that hangs for longer holds the
# thread, and nobody could tell those who wait.
HUNG_SECONDS = 5.0


class Command(NamedTuple):
    """Something to be done in a thread, and who waits for it."""

    work: Callable[[], Any]
    future: "asyncio.Future[Any]"
    until: float  # by the monotonic clock: when it is too late to begin


class Outcome(NamedTuple):
    """What became of a command."""

    command: Command
    result: Any = None
    error: Exception | None = None


class CommandQueues:
    """Those that wait. Queues take turns, so none waits behind a rush of another's.

    `queues` has for each the number of commands that may wait in it, `patience` is in seconds.
    Made in the event loop; `next`, `wait`, `expire` and `tell` are for the threads.
    """

    def __init__(self, queues: Mapping[str, int], *, patience: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._most = queues
        self._patience = patience
        self._queues: dict[str, deque[Command]] = {name: deque() for name in queues}
        self._turns = deque(self._queues.values())
        self._awake = threading.Condition()
        self._closed = False

    async def run(self, queue: str, work: Callable[[], T], *, patience: float | None = None) -> T:
        """Have `work` done and wait for it. Cancelled before it has begun, it never does.

        Raises what it raises, and StorageError if it could not begin in time.
        """
        waiting = self._queues[queue]
        if len(waiting) >= self._most[queue]:
            raise StorageError("too many commands wait for the store", reason=Reason.OVERLOADED)
        patience = self._patience if patience is None else patience
        future: asyncio.Future[T] = self._loop.create_future()
        with self._awake:
            if self._closed:  # its threads may have seen by now that nothing waits
                raise StorageError("the store is closed", reason=Reason.UNREACHABLE)
            waiting.append(Command(work, future, time.monotonic() + patience))
            self._awake.notify()
        try:
            async with asyncio.timeout(patience + HUNG_SECONDS):
                return await future
        except TimeoutError:
            raise StorageError("the disk does not answer", reason=Reason.TIMEOUT) from None

    def close(self) -> None:
        """Take no more. What waits is still done."""
        with self._awake:
            self._closed = True
            self._awake.notify_all()

    @property
    def is_over(self) -> bool:
        """It is closed, and nothing waits."""
        return self._closed and not any(self._turns)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether something waits; at the latest after `seconds`, or when it is closed."""
        with self._awake:
            self._awake.wait_for(lambda: self._closed or any(self._turns), seconds)
            return any(self._turns)

    def next(self) -> Command | None:
        """The next one that is to be done, if any waits."""
        late: list[Outcome] = []
        try:
            with self._awake:
                for _ in range(len(self._turns)):
                    queue = self._turns[0]
                    self._turns.rotate(-1)
                    while queue:
                        command = queue.popleft()
                        if command.until < time.monotonic():
                            late.append(Outcome(command, error=_too_late()))
                        elif not command.future.cancelled():
                            return command
        finally:
            self.tell(late)
        return None

    def expire(self, error: Callable[[], Exception], *, all_of_them: bool = False) -> None:
        """Tell those whose time is over, or all, why; and drop those nobody waits for."""
        now = time.monotonic()
        late: list[Outcome] = []
        with self._awake:
            for queue in self._turns:
                waiting = [command for command in queue if not command.future.cancelled()]
                queue.clear()
                for command in waiting:
                    if all_of_them or command.until < now:
                        late.append(Outcome(command, error=error()))
                    else:
                        queue.append(command)
        self.tell(late)

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Let those who wait know; one call of the loop for all of them."""
        if outcomes:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: Sequence[Outcome]) -> None:
    for command, result, error in outcomes:
        if command.future.done():  # who waited has left
            continue
        if error is None:
            command.future.set_result(result)
        else:
            command.future.set_exception(error)


def _too_late() -> StorageError:
    return StorageError("the store did not get to it in time", reason=Reason.TIMEOUT)
