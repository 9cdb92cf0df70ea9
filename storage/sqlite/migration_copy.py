"""The SQLite file as it was, kept beside it before its tables are changed."""

import os
import sqlite3
from itertools import count
from pathlib import Path


def keep_copy(database: sqlite3.Connection, path: Path, version: int) -> Path:
    """Keep what `database`, the file at `path`, holds as FILE.before-VERSION; returns where.

    It is whole, on the disk and its owner's alone before it has that name, and takes no other's
    place. One at a time: whoever calls this has the lock on the file. Raises OSError and
    sqlite3.Error, and leaves nothing then.
    """
    place = _free(path.with_name(f"{path.name}.before-{version}"))
    making = place.with_name(f"{place.name}.making")
    making.unlink(missing_ok=True)  # of a process that was killed
    try:
        os.close(os.open(making, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        # In one step. A backup in paces begins anew with each write of another program, such as a
        # command for keys; and here SQLite waits for no disk, so that is done below.
        database.execute("VACUUM INTO ?", (str(making),))
        fsync_path(making)
        making.rename(place)
    finally:
        making.unlink(missing_ok=True)
    fsync_path(place.parent)
    return place


def _free(place: Path) -> Path:
    """`place`, or else the first that nothing has of those with a number behind it."""
    if not place.exists():
        return place
    numbered = (place.with_name(f"{place.name}.{number}") for number in count(2))
    return next(each for each in numbered if not each.exists())


def fsync_path(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
