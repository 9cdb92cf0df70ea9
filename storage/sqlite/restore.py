"""Puts a backup in the place of the SQLite file, and keeps the file that was there.

At each moment the file's name leads either to the old file or to the new one, so that `kill -9` or
a power cut leaves one of the two. The danger is the log: SQLite applies one that is beside a file
to it, whichever file it was written for. So the old file takes in its log before the new one gets
its name, and no other program can write another log in between.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from itertools import chain, count
from pathlib import Path

from storage.errors import Reason, StorageError
from storage.sqlite.backup import LOGS, logs, looked_through
from storage.sqlite.error_hints import reason
from storage.sqlite.errors import UnusableFile, operator_errors, stopped
from storage.sqlite.inspection import connect, contents_of, never
from storage.sqlite.lock import FileLock
from storage.sqlite.migration_copy import fsync_path
from storage.sqlite.tables import SERVED, check_version

# Bytes that are copied between two calls of `stop`.
_PIECE = 1024 * 1024


def restore(
    file: Path, copy: Path, write_line: Callable[[str], None], stop: Callable[[], bool] = never
) -> None:
    """Put the backup at `copy` in the place of the database at `file`, which no server may use.

    Raises StorageError with a message for the operator, also if `stop` returns True in time.
    """
    file = file.resolve()
    lock = FileLock(file)
    making = file.with_name(f"{file.name}.restoring")
    with operator_errors(f"restore {copy}"):
        _check_copy(file, copy)
        file.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.callback(lock.release)
            lock.take("stop it first, because its file is replaced")
            stack.callback(making.unlink, missing_ok=True)
            _write(copy, making, file, stop)
            contents = looked_through(making, copy, stop)
            kept = _replace(file, making)
    if kept is not None:
        write_line(f"saved: {kept}: the file that was there before")
    write_line(f"restored: {file}: {contents}")
    if contents.version < SERVED:
        write_line("its tables are older than the server can use: run `server.py migrate` next")


def _check_copy(file: Path, copy: Path) -> None:
    """Raise UnusableFile if `copy` cannot be put at `file`."""
    if not copy.is_file():
        raise UnusableFile(f"there is no file {copy.resolve()}")
    if file.exists() and copy.samefile(file):
        raise UnusableFile("it is the database itself")
    for log in logs(copy):
        raise UnusableFile(
            f"{log.name} is beside it, and may or may not belong to it. If it does not, move it "
            "away; if it does, let SQLite merge the two: "
            f"sqlite3 {copy} 'PRAGMA wal_checkpoint(TRUNCATE)'"
        )
    with closing(connect(copy, "immutable=1", never)) as database:
        contents_of(database)


def _write(copy: Path, making: Path, file: Path, stop: Callable[[], bool]) -> None:
    """Copy `copy` to `making`, synced, and owned by the owner of `file`."""
    making.unlink(missing_ok=True)  # left by a process that was killed
    descriptor = os.open(making, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(descriptor, "wb") as written, copy.open("rb") as read:
        if os.geteuid() == 0:  # the server may have its own user, while root restores the file
            owner = (file if file.stat().st_size else file.parent).stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.chown(f"{file}.lock", owner.st_uid, owner.st_gid)
        while piece := read.read(_PIECE):
            if stop():
                raise stopped()
            written.write(piece)
        written.flush()
        os.fsync(descriptor)


def _replace(file: Path, making: Path) -> Path | None:
    """Give `making` the name of `file`; returns the path of the old file if that had any
    content.
    """
    holds_something = file.stat().st_size > 0  # an empty one was created just now, to be locked
    with _still(file) if holds_something else nullcontext(), ExitStack() as stack:
        kept = _free(file)
        if holds_something and not kept.exists():
            os.link(file, kept)
            stack.callback(kept.unlink)
        # Logs of a file that was not there, or so damaged that SQLite could not apply them.
        for name in LOGS:
            log = file.with_name(file.name + name)
            if log.exists():
                log.rename(kept.with_name(kept.name + name))
        file.with_name(f"{file.name}-shm").unlink(missing_ok=True)  # the index of the log
        fsync_path(file.parent)
        stack.pop_all()  # from here on it may be the only name of the old file
        making.rename(file)
    fsync_path(file.parent)
    return kept if holds_something else None


@contextmanager
def _still(file: Path) -> Iterator[None]:
    """Within this block `file` contains all that was written to its log, and nothing can write
    to it.

    A program that has opened it and waits finds it moved after the block, because SQLite checks
    that before it creates a log. A file that SQLite does not recognize cannot be opened by others
    either: it is left as it is.
    """
    with operator_errors(f"replace {file}"), ExitStack() as stack:
        database = stack.enter_context(closing(connect(file, "mode=rw", never)))
        try:
            check_version(database)
            database.execute("PRAGMA journal_mode = DELETE").fetchone()
            database.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            why = reason(getattr(error, "sqlite_errorname", ""))
            if why is Reason.LOCKED:
                raise StorageError(
                    f"{file} is open in another program: close it first", reason=why
                ) from error
            if why is not Reason.CORRUPT:
                raise
            database.close()
        yield


def _free(file: Path) -> Path:
    """Return a name for the old file that is unused, or is the old file's already.

    The latter is left by a process that was killed before the new file had its name.
    """
    first = file.with_name(f"{file.name}.before-restore")
    numbered = (first.with_name(f"{first.name}.{number}") for number in count(2))
    for place in chain((first,), numbered):
        if place.exists() and place.samefile(file):
            return place
        if not any(place.with_name(place.name + name).exists() for name in ("", *LOGS)):
            return place
    raise AssertionError("numbers do not end")
