"""SQLite's file with its threads: what all of the store's commands stand on.

SQLite calls block, so they run in threads of their own: one that writes (`writer.py`), a few that
read (`readers.py`). Each has a connection, and a method finds that of the thread which it runs in.
A caller that is cancelled leaves: its command is dropped, or runs to its end once it has begun.

A lock says that one server has the file (`lock.py`). It is gone with the process however that
ends, so whoever holds it knows that the owners of all other live answers are dead. A command that
manages API keys works beside the server, or without one: it owns no answers, takes no lock, so that
it keeps no server from starting, and neither makes nor changes tables. SQLite's own locks keep its
transactions and the server's apart.
"""

import asyncio
import functools
import sqlite3
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from storage.contract import Storage
from storage.errors import Reason, StorageError
from storage.sqlite.file import SQLiteFile
from storage.sqlite.integrity_monitor import IntegrityMonitor
from storage.sqlite.readers import Readers
from storage.sqlite.rows import Row, insertion
from storage.sqlite.writer import Writer
from storage.values import PeerRequests, StoreReport

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="SQLiteConnection")
Part = TypeVar("Part", Writer, Readers)

_Method = Callable[Concatenate[S, P], T]
_Command = Callable[Concatenate[S, P], Coroutine[Any, Any, T]]

# Seconds for a ping. Whoever asks whether we are ready has not much longer: a balancer, a person.
_PING_SECONDS = 1.0


def writes(queue: str) -> Callable[[_Method[S, P, T]], _Command[S, P, T]]:
    """Have a method run in the writer's thread, wholly or not at all."""
    return _run_by(lambda storage: storage._writer, queue)


def reads(queue: str) -> Callable[[_Method[S, P, T]], _Command[S, P, T]]:
    """Have a method run in a reader's thread; it sees one state of all that is kept."""
    return _run_by(lambda storage: storage._readers, queue)


def _run_by(
    part: Callable[["SQLiteConnection"], Part | None], queue: str
) -> Callable[[_Method[S, P, T]], _Command[S, P, T]]:
    def decorate(method: _Method[S, P, T]) -> _Command[S, P, T]:
        @functools.wraps(method)
        async def run(storage: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            work = functools.partial(method, storage, *args, **kwargs)
            return await storage._opened(part(storage)).run(queue, work)

        return run

    return decorate


class SQLiteConnection(Storage):
    """The file, open, and the threads that have it. What is kept there is for those who inherit."""

    is_prompt = True  # commands have one order, and what was dropped is in it no more

    def __init__(self, path: Path, process: str) -> None:
        self.process = process
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")  # to open and to close
        self._file = SQLiteFile(path)
        self._here = threading.local()  # each thread's own `database`
        self._writer: Writer | None = None
        self._readers: Readers | None = None
        self._integrity_monitor: IntegrityMonitor | None = None
        # Until a ping has written: what keeps others from it shows at once, a full disk not before.
        self._in_doubt = True
        self._damage: Exception | None = None  # was met; it does not go away

    async def open(self, *, beside: bool = False) -> None:
        try:
            opened = functools.partial(self._file.open, beside=beside)
            writing, reading = await self._in_thread(opened)
        except BaseException:  # whoever left while it was opened closes nothing
            await self.close()
            raise
        self._writer = Writer(
            writing,
            enter=self._enter,
            check=self._file.lock.check,
            tidy=functools.partial(self._file.tidy, writing),
            failed=self._failed,
        )
        self._readers = Readers(reading, enter=self._enter, failed=self._failed)
        if not beside:
            self._integrity_monitor = IntegrityMonitor(
                self.path, self._is_damaged, self._file.lock.is_in_place
            )

    async def report(self) -> StoreReport:
        try:
            return await self._in_thread(self._file.report)
        finally:
            await self.close()

    async def migrate(self, say: Callable[[str], None]) -> bool:
        try:
            return await self._in_thread(functools.partial(self._file.migrate, say))
        finally:
            await self.close()

    async def close(self) -> None:
        try:
            await self._in_thread(self._close)
        except RuntimeError:  # the thread has ended: closed before
            return
        self._thread.shutdown()

    async def ping(self) -> None:
        if self._damage is not None:
            raise self._failed(self._damage)
        await self._opened(self._writer).run("ping", self._try, patience=_PING_SECONDS)
        self._in_doubt = False

    async def renew_lease(self, requests: Mapping[str, PeerRequests]) -> bool:
        """The lock on the file is the lease: it lasts as long as the process, which is alone."""
        return True

    async def unreadable(self, kinds: Collection[str]) -> frozenset[str]:
        """There is nobody else to read anything."""
        return frozenset()

    async def peer_requests(self) -> PeerRequests:
        """There are no peers."""
        return PeerRequests()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Have `work` done in the storage's thread, and wait for it."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _try(self) -> None:
        """Write a page and change nothing, where there is doubt.

        Whether there is room on the disk only writing tells: that costs an fsync, and so is done
        where something has just failed, nothing was tried yet, or little room is left.
        """
        if self._in_doubt or self._file.seems_full():
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            self._database.execute(f"PRAGMA user_version = {version}")

    @property
    def _database(self) -> sqlite3.Connection:
        """The connection of the thread that asks."""
        database: sqlite3.Connection = self._here.database
        return database

    def _enter(self, database: sqlite3.Connection) -> None:
        self._here.database = database

    def _opened(self, part: Part | None) -> Part:
        if part is None:
            raise StorageError("the store is not open", reason=Reason.UNREACHABLE)
        return part

    def _failed(self, error: Exception) -> Exception:
        """An error as it is told, and what it says about the file."""
        told = self._file.failed(error)
        if isinstance(told, StorageError):
            self._in_doubt = True
            if told.reason is Reason.CORRUPT:
                self._damage = error
        return told

    def _is_damaged(self, fault: str) -> None:
        self._damage = StorageError(f"{self.path} is damaged: {fault}", reason=Reason.CORRUPT)

    def _close(self) -> None:
        looked = self._integrity_monitor is None or self._integrity_monitor.close()
        written = self._writer is None or self._writer.close()
        read = self._readers is None or self._readers.close()
        if (
            looked and written and read
        ):  # what a thread that hangs still uses is left to the process's end
            self._file.close()

    def _insert(self, table: str, row: Row, otherwise: str = "") -> None:
        held = self._held(table, row)
        self._database.execute(f"{insertion(table, held)} {otherwise}", held)

    def _held(self, table: str, row: Row) -> Row:
        """What of `row` the file has columns for."""
        return {name: value for name, value in row.items() if name in self._file.columns[table]}

    def _row(self, query: str, *values: str | int) -> Row | None:
        row: sqlite3.Row | None = self._database.execute(query, values).fetchone()
        return None if row is None else dict(row)
