"""Queues of commands for a thread, each with a timeout, and dropped when its caller is gone.

SQLite's calls block, so they are made in threads. A command that has begun cannot be cancelled, but
until then it can be dropped: because its caller's task was cancelled, or because its timeout has
passed. A command costs a future, but neither a timer nor a task.
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

# Seconds that a command may run after its queue timeout. A disk that hangs blocks the thread, which
# then cannot resolve any caller's future.
HUNG_SECONDS = 5.0

# The most callers that go on in one turn of the event loop. A question goes on for half a
# millisecond, and the streams that are open wait for that.
_CALLERS = 16


class Command(NamedTuple):
    """A function to call in a thread, and the future of its caller."""

    work: Callable[[], Any]
    future: "asyncio.Future[Any]"
    until: float  # by the monotonic clock: the command does not begin later
    size: int = 0  # about how many bytes it writes


class Outcome(NamedTuple):
    """The result of a command, or its error."""

    command: Command
    result: Any = None
    error: Exception | None = None


class CommandQueues:
    """The waiting commands of a thread, in several queues that take turns.

    So many commands in one queue do not delay those in another. `queues` maps the name of each
    queue to the number of commands that may wait in it. `queue_timeout` is how many seconds a
    command may wait to begin. Create it in the event loop; `next`, `wait`, `fail_waiting` and
    `resolve` are called in the threads.
    """

    def __init__(self, queues: Mapping[str, int], *, queue_timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._most = queues
        self._queue_timeout = queue_timeout
        self._queues: dict[str, deque[Command]] = {name: deque() for name in queues}
        self._turns = deque(self._queues.values())
        self._condition = threading.Condition()
        self._closed = False
        self._outcomes: deque[Outcome] = deque()
        self._is_waking = False  # the event loop, to resolve these
        self._deadlines: dict[asyncio.Future[Any], float] = {}  # of all commands with a caller
        self._timer: asyncio.TimerHandle | None = None  # one for all of them

    async def run(
        self,
        queue: str,
        work: Callable[[], T],
        *,
        queue_timeout: float | None = None,
        size: int = 0,
    ) -> T:
        """Wait until `work` was done in a thread, and return its result.

        If this is cancelled before `work` has begun, it is never called. Raises what `work` raises,
        and StorageError if it could not begin in time.
        """
        waiting = self._queues[queue]
        if len(waiting) >= self._most[queue]:
            raise StorageError("too many commands wait for the store", reason=Reason.OVERLOADED)
        seconds = self._queue_timeout if queue_timeout is None else queue_timeout
        future: asyncio.Future[T] = self._loop.create_future()
        with self._condition:
            if self._closed:  # the threads may have ended
                raise StorageError("the store is closed", reason=Reason.UNREACHABLE)
            waiting.append(Command(work, future, time.monotonic() + seconds, size))
            self._condition.notify()
        self._deadlines[future] = self._loop.time() + seconds + HUNG_SECONDS
        if self._timer is None:
            self._set_timer()
        try:
            return await future
        finally:
            del self._deadlines[future]

    def close(self) -> None:
        """Accept no more commands. Those that wait are still carried out."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether the queues are closed and empty."""
        return self._closed and not any(self._turns)

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until a command waits, `seconds` have passed or the queues are closed.

        Returns whether a command waits.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._closed or any(self._turns), seconds)
            return any(self._turns)

    def next(self) -> Command | None:
        """Return the next command to carry out; None if none waits."""
        late: list[Outcome] = []
        try:
            with self._condition:
                for _ in range(len(self._turns)):
                    queue = self._turns[0]
                    self._turns.rotate(-1)
                    while queue:
                        command = queue.popleft()
                        if command.until < time.monotonic():
                            late.append(Outcome(command, error=_too_late()))
                        elif not command.future.done():
                            return command
        finally:
            self.resolve(late)
        return None

    def fail_waiting(self, error: Callable[[], Exception], *, only_late: bool) -> None:
        """Fail the waiting commands, or only those past their timeout; drop those without a
        caller.
        """
        now = time.monotonic()
        late: list[Outcome] = []
        with self._condition:
            for queue in self._turns:
                waiting = [command for command in queue if not command.future.done()]
                queue.clear()
                for command in waiting:
                    if not only_late or command.until < now:
                        late.append(Outcome(command, error=error()))
                    else:
                        queue.append(command)
        self.resolve(late)

    def resolve(self, outcomes: Sequence[Outcome]) -> None:
        """Give callers their results.

        The event loop is woken once for all that threads have done until it runs.
        """
        self._outcomes.extend(outcomes)
        if outcomes and not self._is_waking:
            self._is_waking = True
            with suppress(RuntimeError):  # the event loop is closed: no caller is left
                self._loop.call_soon_threadsafe(self._resolve)

    def _resolve(self) -> None:
        self._is_waking = False  # first: a thread that adds an outcome afterwards wakes the loop
        for _ in range(_CALLERS):
            if not self._outcomes:
                return
            command, result, error = self._outcomes.popleft()
            if command.future.done():  # the caller was cancelled
                continue
            if error is None:
                command.future.set_result(result)
            else:
                command.future.set_exception(error)
        if self._outcomes:
            self._is_waking = True
            self._loop.call_soon(self._resolve)

    def _set_timer(self) -> None:
        self._timer = self._loop.call_later(HUNG_SECONDS / 4, self._fail_hung)

    def _fail_hung(self) -> None:
        """Fail the commands whose thread hangs in the disk, and look again while there are any."""
        now = self._loop.time()
        for future, deadline in self._deadlines.items():
            if deadline < now and not future.done():
                hung = StorageError("the disk does not respond", reason=Reason.TIMEOUT)
                future.set_exception(hung)
        self._timer = None
        if self._deadlines:
            self._set_timer()


def _too_late() -> StorageError:
    return StorageError("the command could not begin in time", reason=Reason.TIMEOUT)
