"""Keeps a copy of the SQLite file beside it before its tables are changed."""

import os
import sqlite3
from itertools import count
from pathlib import Path


def keep_copy(database: sqlite3.Connection, path: Path, version: int) -> Path:
    """Copy `database`, the file at `path`, to FILE.before-VERSION; returns the path of the copy.

    The copy is complete, synced and readable by its owner only before it gets that name, and never
    replaces a file. The caller has the lock on the file, so there is one copy at a time. Raises
    OSError and sqlite3.Error, and leaves no copy then.
    """
    place = _free(path.with_name(f"{path.name}.before-{version}"))
    making = place.with_name(f"{place.name}.making")
    making.unlink(missing_ok=True)  # left by a process that was killed
    try:
        os.close(os.open(making, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        # In one step: a backup in several steps starts again whenever another program writes, such
        # as a command for API keys. SQLite does not sync the copy; `fsync_path` below does.
        database.execute("VACUUM INTO ?", (str(making),))
        fsync_path(making)
        making.rename(place)
    finally:
        making.unlink(missing_ok=True)
    fsync_path(place.parent)
    return place


def _free(place: Path) -> Path:
    """Return `place`, or the first unused path with a number appended to it."""
    if not place.exists():
        return place
    numbered = (place.with_name(f"{place.name}.{number}") for number in count(2))
    return next(each for each in numbered if not each.exists())


def fsync_path(path: Path) -> None:
    """Sync a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
