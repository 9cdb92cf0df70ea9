"""SQLite's one writer: a thread that commits what waits together.

An fsync for each command is what writing costs, in time and, with all that is around it, in CPU. So
whatever waits when the thread gets to it becomes one transaction, each command within a savepoint:
one that is refused or fails takes back what it did and no other's. Who waits is told behind the
commit, never before. What ends the transaction itself (a full disk) takes all of them with it, and
each is told.

Another program may hold the right to write. All wait for it together, each for as long as it has
patience, and no command's time begins with the end of another's.
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

# Seconds to wait for another program's transaction, an operator's shell or a backup, and for one's
# turn: a person waits for a question to be kept, and a 503 serves them better then.
PATIENCE = 5.0

# Milliseconds that SQLite itself waits for it; in between those are told whose time is over.
BUSY_MS = 250

# Seconds between two such waits: SQLite may say at once that it is busy.
_PAUSE = 0.01

# What may wait, by queues. Questions: more than are kept within their patience on a slow disk, with
# an fsync of 50 ms. Endings: as many as go on being tried late. Of the others the relay sends one
# at a time.
_QUEUES = {
    "ending": 10_000,
    "chunks": 100,
    "request": 1_000,
    "deletion": 100,
    "clearing": 100,
    "counts": 100,
    "ping": 100,
}

# One transaction takes no more commands than this, or than begin within these seconds: the first of
# them waits for the last. Sixty-four to a transaction cost a fifth of what each costs alone.
_GROUP = 64
_GROUP_SECONDS = 0.05

# Seconds from a commit to a look at whether the file has something to be tidied, and between two
# steps of that, which hold up who writes.
_UNTIDY_SECONDS = 1.0
_TIDY_SECONDS = 0.1


class Writer:
    """Owns the connection that writes.

    `enter` is called in the thread as it begins, `check` ahead of each commit, which it may refuse,
    and `tidy` now and then behind one; it says whether it has more to do. `failed` makes our errors
    of SQLite's.
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
        self._busy: sqlite3.Error | None = None  # since then another program has the right to write
        self._commands = CommandQueues(_QUEUES, patience=PATIENCE)
        self._thread = threading.Thread(target=self._serve, name="sqlite writer", daemon=True)
        self._thread.start()

    async def run(self, queue: str, work: Callable[[], T], *, patience: float | None = None) -> T:
        """Have `work` done, in one transaction with others, and wait until that is on the disk."""
        return await self._commands.run(queue, work, patience=patience)

    def close(self) -> bool:
        """Do what waits, and end. Blocks. False: the thread hangs in the disk, and stays there."""
        self._commands.close()
        self._thread.join(PATIENCE + HUNG_SECONDS)
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
        """Get the right to write. While another program has it, those wait who still have time."""
        try:
            self._database.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            is_busy = reason(name_of(error)) is Reason.LOCKED
            self._tell_late(error, all_of_them=not is_busy)
            self._busy = error if is_busy else None
            time.sleep(_PAUSE)
            return False
        if self._busy is not None:
            self._tell_late(self._busy)  # the program let go just behind their time
            self._busy = None
        return True

    def _tell_late(self, error: sqlite3.Error, *, all_of_them: bool = False) -> None:
        self._commands.expire(lambda: self._failed(error), all_of_them=all_of_them)

    def _transact(self) -> None:
        """Do what waits in the transaction that has begun."""
        taken: list[Command] = []
        outcomes: list[Outcome] = []
        try:
            for command in self._group():
                taken.append(command)
                outcomes.append(self._do(command))
            self._check()
            self._database.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - each of them is told
            outcomes = [Outcome(each, error=self._failed(error)) for each in taken]
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        self._commands.tell(outcomes)
        if self._tidy_at is None:
            self._tidy_at = time.monotonic() + _UNTIDY_SECONDS

    def _group(self) -> Iterator[Command]:
        until = time.monotonic() + _GROUP_SECONDS
        for _ in range(_GROUP):
            command = self._commands.next()
            if command is None:
                return
            yield command
            if time.monotonic() > until:
                return

    def _do(self, command: Command) -> Outcome:
        """Do it wholly or not at all. Raises what has ended the transaction."""
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
        except sqlite3.Error:  # another program writes, or what is wrong is told to commands
            goes_on = False
        self._tidy_at = time.monotonic() + _TIDY_SECONDS if goes_on else None

    def _until_tidying(self) -> float | None:
        return None if self._tidy_at is None else max(0.0, self._tidy_at - time.monotonic())
