"""Copies of the SQLite file: made beside a running server, and looked through.

What is written has another name until it is whole, on the disk and looked through.
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from storage.errors import Reason, StorageError
from storage.sqlite.errors import UnusableFile, operator_errors
from storage.sqlite.inspection import Contents, connect, contents_of, faults, never
from storage.sqlite.lock import FileLock
from storage.sqlite.migration_copy import fsync_path

# What SQLite keeps beside a file and takes for a part of it, whichever file it was written for.
LOGS = ("-wal", "-journal")

# Names that are taken, beside that of the file.
_TAKEN = (*LOGS, "-shm", ".lock")


def backup(
    file: Path, place: Path, say: Callable[[str], None], stop: Callable[[], bool] = never
) -> None:
    """Keep what the database at `file` holds at `place`, beside a server that may run.

    What was acknowledged before is in it. Raises StorageError, with words for the operator, also
    once `stop` says so; nothing is left at `place` then.
    """
    with operator_errors(f"copy {file} to {place}"):
        if not file.is_file():
            raise UnusableFile(f"there is no {file.resolve()}")
        _check_destination(file, place)
        # Its owner's alone from the first byte on. Named apart: FILE's own name may be long.
        descriptor, name = tempfile.mkstemp(".making", "headrace-backup-", place.parent)
        os.close(descriptor)
        making = Path(name)
        try:
            with _opened_shared(file, stop) as database:
                contents_of(database)
                # In one step. In paces it begins anew with each write of the server's, and was seen
                # not to end under 50 of them a second. SQLite waits for no disk here: the call
                # behind it does.
                database.execute("VACUUM INTO ?", (name,))
            fsync_path(making)
            contents = looked_through(making, place, stop)
            _put(making, place)
        finally:
            making.unlink(missing_ok=True)
        fsync_path(place.parent)
    say(f"kept: {place}: {contents}")


def check(
    file: Path, *, is_ours: bool, say: Callable[[str], None], stop: Callable[[], bool] = never
) -> bool:
    """Look through the database at `file`, all of it; whether nothing is wrong.

    `is_ours` if a server may have it. Another file is left as it is, and has no others beside it
    afterwards. Raises StorageError, with words for the operator, also once `stop` says so.
    """
    with operator_errors(f"look through {file}"):
        if not file.is_file():
            raise UnusableFile(f"there is no {file.resolve()}")
        with _opened_shared(file, stop) if is_ours else _opened_unlocked(file, stop) as database:
            database.execute("BEGIN")  # what a server writes meanwhile is not half of it seen
            found = faults(database, thoroughly=True, stop=stop)
            words = "damaged" if found else f"ok: {contents_of(database)}"
    for fault in found:
        say(f"wrong: {fault}")
    say(f"{file}: {words}")
    return not found


def logs(file: Path) -> list[Path]:
    """What lies beside a file, is not empty, and would be read as a part of it."""
    return [log for log in _log_paths(file) if log.exists() and log.stat().st_size]


def looked_through(making: Path, name: Path, stop: Callable[[], bool]) -> Contents:
    """What is in a copy that nobody else has. Raises StorageError about `name` if it is damaged."""
    with operator_errors(f"use {name}"), closing(connect(making, "immutable=1", stop)) as database:
        contents = contents_of(database)
        for fault in faults(database, thoroughly=False, stop=stop):
            raise StorageError(f"cannot use {name}, it is damaged: {fault}", reason=Reason.CORRUPT)
    return contents


@contextmanager
def _opened_shared(file: Path, stop: Callable[[], bool]) -> Iterator[sqlite3.Connection]:
    """A database that a server may have."""
    lock = FileLock(file)
    try:
        lock.share()
        with closing(connect(file, "mode=rw", stop)) as database:
            yield database
    finally:
        lock.release()


@contextmanager
def _opened_unlocked(file: Path, stop: Callable[[], bool]) -> Iterator[sqlite3.Connection]:
    """A file that may be nobody's, such as a backup: it is left as it is.

    Beside its log it may also be a server's, and would change while it is read without locks.
    """
    how = "mode=ro" if any(log.exists() for log in _log_paths(file)) else "immutable=1"
    with closing(connect(file, how, stop)) as database:
        yield database


def _log_paths(file: Path) -> Iterator[Path]:
    return (file.with_name(file.name + name) for name in LOGS)


def _check_destination(file: Path, place: Path) -> None:
    """Raises UnusableFile if `place` is no place for a backup."""
    if not place.parent.is_dir():
        raise UnusableFile(f"there is no folder {place.parent.resolve()}")
    if place.exists() and place.samefile(file):
        raise UnusableFile("that is the database itself")
    if os.path.lexists(place):
        raise UnusableFile("that is there already; name another file, or move it away")
    own = file.resolve()
    if place.resolve() in [own.with_name(own.name + name) for name in _TAKEN]:
        raise UnusableFile("that name is the database's own")


def _put(making: Path, place: Path) -> None:
    """Give a copy its name, unless something has got it meanwhile."""
    try:
        os.link(making, place)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, such as that of a stick or a share
        making.rename(place)
