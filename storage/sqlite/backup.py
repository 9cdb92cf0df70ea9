"""Copies the SQLite file of a running server, and checks files and copies.

A copy is written under another name, and gets its own only when it is complete, synced to the disk
and checked.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from storage.errors import Reason, StorageError
from storage.sqlite.errors import UnusableFile, operator_errors
from storage.sqlite.inspection import Contents, connect, contents_of, never
from storage.sqlite.integrity_check import faults
from storage.sqlite.lock import FileLock
from storage.sqlite.migration_copy import fsync_path

# Endings of the files that SQLite keeps beside a database and reads as a part of it, whichever
# database they were written for.
LOGS = ("-wal", "-journal")

# Endings of further names that a database uses.
_TAKEN = (*LOGS, "-shm", ".lock")


def backup(
    file: Path, place: Path, write_line: Callable[[str], None], stop: Callable[[], bool] = never
) -> None:
    """Write a copy of the database at `file` to `place`, while a server may use it.

    The copy contains everything that was acknowledged before. Raises StorageError with a message
    for the operator, also when `stop` returns True; then there is nothing at `place`.
    """
    with operator_errors(f"copy {file} to {place}"):
        if not file.is_file():
            raise UnusableFile(f"there is no {file.resolve()}")
        _check_destination(file, place)
        # Only its owner may read it, from the first byte on. It has a name of its own, because that
        # of `place` may be too long to append to.
        descriptor, name = tempfile.mkstemp(".making", "headrace-backup-", place.parent)
        os.close(descriptor)
        making = Path(name)
        try:
            with _opened_shared(file, stop) as database:
                contents_of(database)
                # In one step: a backup in several steps starts again whenever the server writes,
                # and did not end with 50 writes per second. SQLite does not sync the copy;
                # `fsync_path` below does.
                database.execute("VACUUM INTO ?", (name,))
            fsync_path(making)
            contents = looked_through(making, place, stop)
            _put(making, place)
        finally:
            making.unlink(missing_ok=True)
        fsync_path(place.parent)
    write_line(f"saved: {place}: {contents}")


def check(
    file: Path,
    *,
    is_ours: bool,
    write_line: Callable[[str], None],
    stop: Callable[[], bool] = never,
) -> bool:
    """Check all of the database at `file`; returns whether it has no faults.

    is_ours: a server may use it. Any other file is not changed, and no file is left beside it.
    Raises StorageError with a message for the operator, also when `stop` returns True.
    """
    with operator_errors(f"check {file}"):
        if not file.is_file():
            raise UnusableFile(f"there is no {file.resolve()}")
        with _opened_shared(file, stop) if is_ours else _opened_unlocked(file, stop) as database:
            database.execute("BEGIN")  # one snapshot, while a server may write
            found = faults(database, thoroughly=True, stop=stop)
            words = "damaged" if found else f"ok: {contents_of(database)}"
    for fault in found:
        write_line(f"wrong: {fault}")
    write_line(f"{file}: {words}")
    return not found


def logs(file: Path) -> list[Path]:
    """Return the files beside `file` that are not empty and would be read as a part of it."""
    return [log for log in _log_paths(file) if log.exists() and log.stat().st_size]


def looked_through(making: Path, name: Path, stop: Callable[[], bool]) -> Contents:
    """Check a copy that no other program uses, and return what is in it.

    Raises StorageError about `name` if it is damaged.
    """
    with operator_errors(f"use {name}"), closing(connect(making, "immutable=1", stop)) as database:
        contents = contents_of(database)
        for fault in faults(database, thoroughly=False, stop=stop):
            raise StorageError(f"cannot use {name}, it is damaged: {fault}", reason=Reason.CORRUPT)
    return contents


@contextmanager
def _opened_shared(file: Path, stop: Callable[[], bool]) -> Iterator[sqlite3.Connection]:
    """Open a database that a server may use."""
    lock = FileLock(file)
    try:
        lock.share()
        with closing(connect(file, "mode=rw", stop)) as database:
            yield database
    finally:
        lock.release()


@contextmanager
def _opened_unlocked(file: Path, stop: Callable[[], bool]) -> Iterator[sqlite3.Connection]:
    """Open a file that may not belong to a server, such as a backup, without changing it.

    With a log beside it, it may also be a server's, and change while it is read without locks.
    """
    how = "mode=ro" if any(log.exists() for log in _log_paths(file)) else "immutable=1"
    with closing(connect(file, how, stop)) as database:
        yield database


def _log_paths(file: Path) -> Iterator[Path]:
    return (file.with_name(file.name + name) for name in LOGS)


def _check_destination(file: Path, place: Path) -> None:
    """Raise UnusableFile if a backup cannot be written to `place`."""
    if not place.parent.is_dir():
        raise UnusableFile(f"there is no folder {place.parent.resolve()}")
    if place.exists() and place.samefile(file):
        raise UnusableFile("it is the database itself")
    if os.path.lexists(place):
        raise UnusableFile("it exists already; name another file, or move it away")
    own = file.resolve()
    if place.resolve() in [own.with_name(own.name + name) for name in _TAKEN]:
        raise UnusableFile("the database itself uses that name")


def _put(making: Path, place: Path) -> None:
    """Give a copy its name, unless a file has got that name in the meantime."""
    try:
        os.link(making, place)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links, such as FAT
        making.rename(place)
