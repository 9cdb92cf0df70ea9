"""The SQLite file as a whole: opened, migrated, reported on, tidied and closed.

A server creates tables only in an empty file. A file of an older version is used as it is
(`tables.py`); only `migrate` changes it, while it has the lock, and it leaves a copy of the file
from before.
"""

import errno
import functools
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from storage.errors import Outdated, Reason, StorageError, failure
from storage.sqlite.error_hints import name_of, reason
from storage.sqlite.errors import UnusableFile
from storage.sqlite.integrity_monitor import faults_within
from storage.sqlite.lock import FileLock
from storage.sqlite.lock_owner import lock_owner, serves_another
from storage.sqlite.migration_copy import keep_copy
from storage.sqlite.readers import THREADS
from storage.sqlite.tables import NEWEST, SERVED, check_version, columns_of, upgrade
from storage.sqlite.vacuum import (
    MAX_LOG_BYTES,
    enable_incremental_vacuum,
    has_incremental_vacuum,
    rebuild,
    truncate_log,
    vacuum_step,
)
from storage.sqlite.writer import BUSY_MS
from storage.values import StoreReport

# FULL: a commit is on the disk before it is acknowledged, so that neither `kill -9` nor a power cut
# can lose it. NORMAL would survive `kill -9`, but a power cut could lose everything that the system
# had not yet written by itself, such as the last half minute. The price is an fsync for each group
# of questions and endings (0.4 ms here), and one per tick for all chunks.
_SYNCHRONOUS = "FULL"

# Seconds between two attempts to truncate a long log: while a reader is active, an attempt is in
# vain and delays writers by a quarter of a second.
_CUT_SECONDS = 10.0

# Seconds to wait for another program's lock where no request waits: at a start, in a migration.
# Readers wait as long for a program that changes the whole file.
_BUSY_SECONDS = 5.0

# Invalid UTF-8 is replaced: else the rows of the same query could not be read either.
_AS_TEXT = functools.partial(str, encoding="utf-8", errors="replace")

_DAMAGED = "it is damaged, or not a database; `server.py restore` replaces it by a backup"

# Bytes. With less free space the next question may not fit. In a second, after which this is
# checked again, the log grows by less.
_LOW_DISK_BYTES = 16_000_000

# Seconds for the check of a file for `server.py doctor`, for which a person waits.
_LOOK_SECONDS = 10.0

_REASONS = {
    errno.EACCES: Reason.DENIED,
    errno.EPERM: Reason.DENIED,
    errno.EROFS: Reason.READ_ONLY,
    errno.ENOSPC: Reason.FULL,
    errno.EDQUOT: Reason.FULL,
}


class SQLiteFile:
    """The file at `path`, for a server or for a command that runs beside one. All methods block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = FileLock(path)
        self.columns: Mapping[str, frozenset[str]] = {}  # the columns of each table in the file
        self._connections: list[sqlite3.Connection] = []
        self._cut_at = 0.0  # by the monotonic clock: the log may be truncated again

    def open(self, *, without_lease: bool) -> tuple[sqlite3.Connection, list[sqlite3.Connection]]:
        """Open the file; returns the connection that writes, and those that read.

        Raises StorageError.
        """
        with self._operator_errors():
            if not without_lease:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.lock.take(
                    "stop that server, give this one a file of its own, or let both use MongoDB"
                )
            elif not self.path.exists():
                raise UnusableFile(
                    f"{self.path.resolve()} does not exist; the server's first start creates it"
                )
            else:
                self.lock.share()
            writing = self._connect()
            version = check_version(writing)
            if version == 0 and not without_lease:
                enable_incremental_vacuum(writing)
                upgrade(writing, version)
            elif version < SERVED:
                raise self._outdated(version)
            self.columns = columns_of(writing)
            (mode,) = writing.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise UnusableFile("its file system does not support SQLite's write-ahead log")
            writing.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
            writing.execute(f"PRAGMA journal_size_limit = {MAX_LOG_BYTES}")
            # SQLite's default, unless it was built otherwise. With foreign keys ON DELETE CASCADE,
            # which is in the tables, would delete all messages of a conversation in one statement.
            writing.execute("PRAGMA foreign_keys = OFF")
            writing.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            # A savepoint copies the pages that its command changes. Of more than 64 KB it would
            # make a file: that was four of five writes to the disk.
            writing.execute("PRAGMA temp_store = MEMORY")
            reading = [self._connect() for _ in range(THREADS)]
            for database in reading:
                database.execute("PRAGMA query_only = ON")
            return writing, reading

    def migrate(self, write_line: Callable[[str], None]) -> bool:
        """Migrate the file to this version; returns whether that was due. Raises StorageError."""
        with self._operator_errors():
            if not self.path.exists():
                return False  # the first start creates it with all tables
            self.lock.take("stop it first, because its tables are changed")
            database = self._connect()
            version = check_version(database)
            due = _due(database, version)
            if 0 < version < NEWEST:
                write_line(f"saved: {keep_copy(database, self.path.resolve(), version)}")
                upgrade(database, version)
                write_line(f"changed: {due[0]}")
            if version and not has_incremental_vacuum(database):
                rebuild(database)
                write_line(f"changed: {due[-1]}")
            return bool(due)

    def report(self) -> StoreReport:
        """Report the state of the file without changing anything. Raises StorageError."""
        folder = self.path.resolve().parent
        while not folder.exists():  # the first start creates it
            folder = folder.parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise self._denied(folder, f"this user may not write to {folder}")
        report = StoreReport(
            name="SQLite",
            version=sqlite3.sqlite_version_info,
            shape=f"{self.path}, which the first start creates",
            free_bytes=shutil.disk_usage(folder).free,
        )
        if not self.path.exists():
            return report
        if not os.access(self.path, os.R_OK | os.W_OK):
            raise self._denied(self.path, "this user may not read and write it")
        self.lock.check_name()
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        with self._operator_errors(), closing(sqlite3.connect(address, uri=True)) as database:
            version = check_version(database)
            due = _due(database, version)
            has_outbox = not version or "webhook_deliveries" in columns_of(database)
        if 0 < version < SERVED:
            raise self._outdated(version)
        file = self.path.resolve()  # SQLite resolves links, too, to name the files beside it
        for beside in (file.with_name(f"{file.name}{name}") for name in ("-wal", "-shm")):
            if beside.exists() and not os.access(beside, os.R_OK | os.W_OK):
                raise self._denied(beside, f"this user may not read and write {beside}")
        is_replaced = serves_another(self.path)
        # Read together with the log of the file that was replaced, it would seem damaged.
        found = [] if is_replaced else faults_within(self.path, _LOOK_SECONDS)
        return msgspec.structs.replace(
            report,
            shape=f"{self.path}, {self.path.stat().st_size / 1e6:.1f} MB",
            due=due,
            has_outbox=has_outbox,
            used_by=lock_owner(self.path),
            replaced=is_replaced,
            faults=tuple(found or ()),
            is_looked_through=found is not None,
        )

    def seems_full(self) -> bool:
        """Whether the disk seems to be short of space or read-only, as the system reports it."""
        try:
            disk = os.statvfs(self.path)
        except OSError:
            return True
        return bool(disk.f_flag & os.ST_RDONLY) or disk.f_bavail * disk.f_frsize < _LOW_DISK_BYTES

    def tidy(self, database: sqlite3.Connection) -> bool:
        """Carry out one step of tidying the file; returns whether there is more to do.

        Raises sqlite3.Error.
        """
        if self.lock.log_size() > MAX_LOG_BYTES and time.monotonic() > self._cut_at:
            truncate_log(database)
            self._cut_at = time.monotonic() + _CUT_SECONDS
        return vacuum_step(database)

    def close(self) -> None:
        """Close all connections, the one that writes last, and release the file."""
        while self._connections:
            self._connections.pop().close()
        self.lock.release()

    def failed(self, error: Exception) -> Exception:
        """Return the error to raise for `error`, without SQLite's message, which may quote a row.

        A StorageError is copied, because several callers may each raise it.
        """
        match error:
            case sqlite3.Error() | OverflowError():
                name = name_of(error)
                why = reason(name)
                hint = f": {_DAMAGED}" if why is Reason.CORRUPT else ""
                return failure(f"SQLite failed on {self.path}: {name}{hint}", why)
            case StorageError():
                return failure(str(error), error.reason)
            case _:
                return error

    def _connect(self) -> sqlite3.Connection:
        # One thread at a time uses it, but perhaps not the one that creates it.
        database = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connections.append(database)
        database.row_factory = sqlite3.Row
        database.text_factory = _AS_TEXT
        return database

    @contextmanager
    def _operator_errors(self) -> Iterator[None]:
        """Raise StorageError, with a message for the operator, for errors of the file; bugs are
        unchanged.
        """
        try:
            yield
        except OSError as error:
            why = _REASONS.get(error.errno or 0, Reason.UNREACHABLE)
            raise StorageError(f"cannot use {self.path}: {error.strerror}", reason=why) from error
        except (UnusableFile, UnicodeError) as error:  # a name that is no UTF-8 is none to SQLite
            raise StorageError(f"cannot use {self.path}: {error}") from error
        except sqlite3.Error as error:
            raise self.failed(error) from error

    def _denied(self, place: Path, words: str) -> StorageError:
        is_readonly = bool(os.statvfs(place).f_flag & os.ST_RDONLY)
        why = Reason.READ_ONLY if is_readonly else Reason.DENIED
        return StorageError(f"cannot use {self.path}: {words}", reason=why)

    def _outdated(self, version: int) -> StorageError:
        if version == 0:
            return StorageError(
                f"cannot use {self.path}: it is empty; the server's first start creates its tables"
            )
        return Outdated(
            f"cannot use {self.path}: its tables have version {version}, and the server needs "
            f"{SERVED} or newer; `server.py migrate` brings them to {NEWEST}"
        )


def _due(database: sqlite3.Connection, version: int) -> tuple[str, ...]:
    """Return what `migrate` would change, in words."""
    due = []
    if 0 < version < NEWEST:
        due.append(f"tables from version {version} to {NEWEST}")
    if version and not has_incremental_vacuum(database):
        due.append("unused pages are returned to the file system")
    return tuple(due)
