"""SQLite's readers: a few threads with a connection each, which wait for no writer.

In WAL mode a reader sees what was committed when its transaction began, while others write. Each
command is one such transaction.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from storage.sqlite.command_queues import HUNG_SECONDS, Command, CommandQueues, Outcome

T = TypeVar("T")

# Threads. A page of long messages takes some 20 ms, and with three a short query need not wait for
# one or two of those. More would wait for the same interpreter.
THREADS = 3

# Seconds that a command may wait to begin.
_QUEUE_TIMEOUT_SECONDS = 5.0

# How many commands may wait in each queue: requests' reads, those of files, queries for API keys,
# and the relay's own queries.
_QUEUES = {"request": 1_000, "files": 100, "api_keys": 100, "relay": 100}


class Readers:
    """The threads that read, and their connections.

    `enter` is called in each thread as it begins; `failed` converts SQLite's errors into ours.
    """

    def __init__(
        self,
        databases: Sequence[sqlite3.Connection],
        *,
        enter: Callable[[sqlite3.Connection], None],
        failed: Callable[[Exception], Exception],
    ) -> None:
        self._enter = enter
        self._failed = failed
        self._commands = CommandQueues(_QUEUES, queue_timeout=_QUEUE_TIMEOUT_SECONDS)
        self._threads = [
            threading.Thread(
                target=self._serve, args=(database,), name="sqlite reader", daemon=True
            )
            for database in databases
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, queue: str, work: Callable[[], T]) -> T:
        """Run `work` on what is committed by now."""
        return await self._commands.run(queue, work)

    def close(self) -> bool:
        """Carry out the waiting commands, and end.

        Blocks. Returns False if a thread hangs in the disk.
        """
        self._commands.close()
        until = time.monotonic() + _QUEUE_TIMEOUT_SECONDS + HUNG_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _serve(self, database: sqlite3.Connection) -> None:
        self._enter(database)
        while not self._commands.is_over:
            self._commands.wait()
            if (command := self._commands.next()) is not None:
                self._commands.resolve([self._do(database, command)])

    def _do(self, database: sqlite3.Connection, command: Command) -> Outcome:
        try:
            database.execute("BEGIN")
            try:
                return Outcome(command, command.work())
            finally:
                if database.in_transaction:
                    database.execute("ROLLBACK")  # a reader has nothing to commit
        except Exception as error:  # noqa: BLE001 - its caller gets it
            return Outcome(command, error=self._failed(error))
