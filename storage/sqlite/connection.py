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


class SQLiteConnection:
    """The file, open, and the threads that have it. What is kept there is for those who inherit."""

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

    def _insert(self, table: str, row: Row, otherwise: str = "") -> None:
        held = self._known_columns(table, row)
        self._database.execute(f"{insertion(table, held)} {otherwise}", held)

    def _known_columns(self, table: str, row: Row) -> Row:
        """What of `row` the file has columns for."""
        return {name: value for name, value in row.items() if name in self._file.columns[table]}

    def _fetch_row(self, query: str, *values: str | int) -> Row | None:
        row: sqlite3.Row | None = self._database.execute(query, values).fetchone()
        return None if row is None else dict(row)
