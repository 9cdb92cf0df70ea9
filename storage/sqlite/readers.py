"""SQLite's readers: a few threads with a connection each, which wait for no writer.

In WAL mode a reader sees what was committed when it began, whoever writes meanwhile. Each command
is one such look.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from storage.sqlite.command_queues import HUNG_SECONDS, Command, CommandQueues, Outcome

T = TypeVar("T")

# Three: a page of long messages takes some 20 ms, and a short look need not wait for that of one or
# two ahead of it. More would wait for the same interpreter.
THREADS = 3

# Seconds that a command may wait to begin.
_QUEUE_TIMEOUT_SECONDS = 5.0

# What may wait, by queues: requests' own reads, looks at keys, and what the relay asks for itself.
_QUEUES = {"request": 1_000, "api_keys": 100, "relay": 100}


class Readers:
    """Owns the connections that read, a thread for each.

    `enter` is called in each thread as it begins; `failed` makes our errors of SQLite's.
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
        """Have `work` done on what is committed by now."""
        return await self._commands.run(queue, work)

    def close(self) -> bool:
        """Carry out what waits, and end. Blocks. False: the disk hangs, and a thread stays."""
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
                    database.execute("ROLLBACK")  # there is nothing to keep
        except Exception as error:  # noqa: BLE001 - its caller gets it
            return Outcome(command, error=self._failed(error))
