"""SQLite's only writer: a thread that commits waiting commands together.

An fsync for each command is the main cost of writing, in time and, with all that goes with it, in
CPU. So the commands that wait when the thread is free become one transaction, each within a
savepoint: one that is refused or fails is rolled back alone. Callers get their results after the
commit, never before. An error that ends the transaction itself, such as a full disk, fails all of
its commands.

Another program may hold the write lock. All commands wait for it at the same time, each until its
own queue timeout.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from storage.errors import Reason
from storage.sqlite.command_queues import HUNG_SECONDS, Command, CommandQueues, Outcome
from storage.sqlite.error_hints import name_of, reason

T = TypeVar("T")

# Seconds that a command may wait to begin: for those before it, and for another program's
# transaction, such as that of an operator's shell or a backup. A person waits for a question to be
# stored, and after this a 503 serves them better.
QUEUE_TIMEOUT_SECONDS = 5.0

# Milliseconds that SQLite itself waits for the lock; in between, commands past their timeout fail.
BUSY_MS = 250

# Seconds between two such waits: SQLite may report at once that it is busy.
_PAUSE = 0.01

# How many commands may wait in each queue. Questions: more than are stored within their timeout on
# a slow disk, with an fsync of 50 ms. Files: more than are written within it. Endings: as many as
# the relay retries. Of the others the relay sends one at a time.
_QUEUES = {
    "ending": 10_000,
    "chunks": 100,
    "request": 1_000,
    "files": 100,
    "deletion": 100,
    "clearing": 100,
    "counts": 100,
    "webhooks": 100,
    "ping": 100,
}

# The most commands of one transaction. With sixty-four each costs a fifth of what it costs alone,
# and with more hardly less.
_GROUP = 64
# The seconds after which a transaction takes no more, because its first command waits for the last.
_GROUP_SECONDS = 0.05
# The bytes after which it takes no more: a slow disk writes 40 MB a second, and so these in a tenth
# of one. A single command may have more.
_GROUP_BYTES = 4_000_000

# Seconds from a commit to checking whether the file can be tidied, and between two steps of
# tidying, each of which delays other commands.
_UNTIDY_SECONDS = 1.0
_TIDY_SECONDS = 0.1


class Writer:
    """The thread that writes, and its connection.

    `enter` is called in the thread as it begins, `check` before each commit, which it may refuse,
    and `tidy` at times after one; that returns whether it has more to do. `failed` converts
    SQLite's errors into ours.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        *,
        enter: Callable[[sqlite3.Connection], None],
        check: Callable[[], None],
        tidy: Callable[[], bool],
        failed: Callable[[Exception], Exception],
    ) -> None:
        self._database = database
        self._enter = enter
        self._check = check
        self._tidy = tidy
        self._failed = failed
        self._tidy_at: float | None = None
        self._busy: sqlite3.Error | None = None  # set while another program has the lock
        self._commands = CommandQueues(_QUEUES, queue_timeout=QUEUE_TIMEOUT_SECONDS)
        self._thread = threading.Thread(target=self._serve, name="sqlite writer", daemon=True)
        self._thread.start()

    async def run(
        self,
        queue: str,
        work: Callable[[], T],
        *,
        queue_timeout: float | None = None,
        size: int = 0,
    ) -> T:
        """Run `work` in a transaction, together with others, and wait until that is on the disk.

        `size` is about how many bytes it writes.
        """
        return await self._commands.run(queue, work, queue_timeout=queue_timeout, size=size)

    def close(self) -> bool:
        """Carry out the waiting commands, and end.

        Blocks. Returns False if the thread hangs in the disk.
        """
        self._commands.close()
        self._thread.join(QUEUE_TIMEOUT_SECONDS + HUNG_SECONDS)
        return not self._thread.is_alive()

    def _serve(self) -> None:
        self._enter(self._database)
        while not self._commands.is_over:
            waits = self._commands.wait(self._until_tidying())
            if self._tidy_at is not None and time.monotonic() >= self._tidy_at:
                self._tidy_a_step()
            if waits and self._begin():
                self._transact()

    def _begin(self) -> bool:
        """Take the write lock. While another program has it, commands wait until their timeouts."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            is_busy = reason(name_of(error)) is Reason.LOCKED
            self._fail_waiting(error, only_late=is_busy)
            self._busy = error if is_busy else None
            time.sleep(_PAUSE)
            return False
        if self._busy is not None:
            # The program released the lock just after their timeouts.
            self._fail_waiting(self._busy, only_late=True)
            self._busy = None
        return True

    def _fail_waiting(self, error: sqlite3.Error, *, only_late: bool) -> None:
        self._commands.fail_waiting(lambda: self._failed(error), only_late=only_late)

    def _transact(self) -> None:
        """Carry out waiting commands in the transaction that has begun."""
        taken: list[Command] = []
        outcomes: list[Outcome] = []
        try:
            for command in self._group():
                taken.append(command)
                outcomes.append(self._do(command))
            self._check()
            self._database.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - each of them fails with it
            outcomes = [Outcome(each, error=self._failed(error)) for each in taken]
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        self._commands.resolve(outcomes)
        if self._tidy_at is None:
            self._tidy_at = time.monotonic() + _UNTIDY_SECONDS

    def _group(self) -> Iterator[Command]:
        """Return the commands of one transaction: those that wait, within its bounds."""
        until, size = time.monotonic() + _GROUP_SECONDS, 0
        for _ in range(_GROUP):
            command = self._commands.next()
            if command is None:
                return
            yield command
            size += command.size
            if size > _GROUP_BYTES or time.monotonic() > until:
                return

    def _do(self, command: Command) -> Outcome:
        """Carry out one command, completely or not at all.

        Raises an error that ended the transaction.
        """
        execute = self._database.execute
        execute("SAVEPOINT command")
        try:
            outcome = Outcome(command, command.work())
        except Exception as error:
            if not self._database.in_transaction:
                raise
            execute("ROLLBACK TO command")
            outcome = Outcome(command, error=self._failed(error))
        execute("RELEASE command")
        return outcome

    def _tidy_a_step(self) -> None:
        try:
            goes_on = self._tidy()
        except sqlite3.Error:  # another program writes, or the next command fails with it as well
            goes_on = False
        self._tidy_at = time.monotonic() + _TIDY_SECONDS if goes_on else None

    def _until_tidying(self) -> float | None:
        return None if self._tidy_at is None else max(0.0, self._tidy_at - time.monotonic())
