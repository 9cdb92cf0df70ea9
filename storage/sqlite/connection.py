"""The SQLite file and its threads, on which all commands of the store are run.

SQLite's calls block, so they run in threads: one that writes (`writer.py`) and a few that read
(`readers.py`). Each has a connection of its own, which methods find as `_database`. When a caller
is cancelled, its command is dropped, or runs to its end if it has begun.

A lock lets only one server use the file (`lock.py`). The kernel releases it when the process ends
in whatever way, so the process that has it knows that the owners of all other live answers are
dead. A command that manages API keys works with or without a running server: it owns no answers,
takes no lock, so that it does not keep a server from starting, and neither creates nor changes
tables. SQLite's own locks separate its transactions from the server's.
"""

import functools
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from storage.errors import Reason, StorageError
from storage.sqlite.file import SQLiteFile
from storage.sqlite.integrity_monitor import IntegrityMonitor
from storage.sqlite.readers import Readers
from storage.sqlite.rows import Row, insertion
from storage.sqlite.writer import Writer

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound="SQLiteConnection")
Part = TypeVar("Part", Writer, Readers)

_Method = Callable[Concatenate[S, P], T]
_Command = Callable[Concatenate[S, P], Coroutine[Any, Any, T]]


def writes(
    queue: str, size: Callable[..., int] | None = None
) -> Callable[[_Method[S, P, T]], _Command[S, P, T]]:
    """Run a method in the writer's thread, completely or not at all.

    `size` returns about how many bytes the method writes, for its arguments; without it the bytes
    are few.
    """

    def decorate(method: _Method[S, P, T]) -> _Command[S, P, T]:
        @functools.wraps(method)
        async def run(storage: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            work = functools.partial(method, storage, *args, **kwargs)
            written = 0 if size is None else size(*args, **kwargs)
            return await storage._opened(storage._writer).run(queue, work, size=written)

        return run

    return decorate


def reads(queue: str) -> Callable[[_Method[S, P, T]], _Command[S, P, T]]:
    """Run a method in a reader's thread, on one snapshot of the database."""

    def decorate(method: _Method[S, P, T]) -> _Command[S, P, T]:
        @functools.wraps(method)
        async def run(storage: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
            work = functools.partial(method, storage, *args, **kwargs)
            return await storage._opened(storage._readers).run(queue, work)

        return run

    return decorate


class SQLiteConnection:
    """The open file and its threads; the classes of the store's parts inherit from it."""

    def __init__(self, path: Path, process: str) -> None:
        self.process = process
        self.path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")  # to open and to close
        self._file = SQLiteFile(path)
        self._here = threading.local()  # holds each thread's own `database`
        self._writer: Writer | None = None
        self._readers: Readers | None = None
        self._integrity_monitor: IntegrityMonitor | None = None
        # True until a ping has written a page: that the file is locked shows without writing, a
        # full disk does not.
        self._in_doubt = True
        self._damage: Exception | None = None  # damage that was found; it is permanent

    @property
    def _database(self) -> sqlite3.Connection:
        """The connection of the current thread."""
        database: sqlite3.Connection = self._here.database
        return database

    def _enter(self, database: sqlite3.Connection) -> None:
        self._here.database = database

    def _opened(self, part: Part | None) -> Part:
        if part is None:
            raise StorageError("the store is not open", reason=Reason.UNREACHABLE)
        return part

    def _failed(self, error: Exception) -> Exception:
        """Return the error to raise for `error`, and remember what it says about the file."""
        told = self._file.failed(error)
        if isinstance(told, StorageError):
            self._in_doubt = True
            if told.reason is Reason.CORRUPT:
                self._damage = error
        return told

    def _insert(self, table: str, row: Row, otherwise: str = "") -> bool:
        """Insert a row; returns False if the clause `otherwise` kept it from being inserted."""
        held = self._known_columns(table, row)
        inserted = self._database.execute(f"{insertion(table, tuple(held))} {otherwise}", held)
        return inserted.rowcount == 1

    def _known_columns(self, table: str, row: Row) -> Row:
        """Return the fields of `row` for which the file has columns."""
        columns = self._file.columns[table]
        if row.keys() <= columns:
            return row
        return {name: value for name, value in row.items() if name in columns}

    def _fetch_row(self, query: str, *values: str | int) -> Row | None:
        row: sqlite3.Row | None = self._database.execute(query, values).fetchone()
        return None if row is None else dict(row)
