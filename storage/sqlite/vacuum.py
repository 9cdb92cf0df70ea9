"""Returns unused pages of the SQLite file to the file system, a few at a time.

Deleted rows leave free pages. SQLite uses them again, but does not return them by itself: a file
that was large once would stay large. With `auto_vacuum = INCREMENTAL`, which a file has from its
creation or gets by `migrate`, it moves its last pages into the free ones on request.
"""

import sqlite3

# Pages of 4 KB. This many stay free for later writes; and no more are moved at a time, which takes
# some milliseconds with its fsync.
_SPARE_PAGES = 256
_STEP_PAGES = 256

# The value of `PRAGMA auto_vacuum` for INCREMENTAL.
_INCREMENTAL = 2

# Bytes. SQLite never shrinks its log by itself. This much of it stays; a commit rarely writes more.
MAX_LOG_BYTES = 64 * 1024 * 1024


def enable_incremental_vacuum(database: sqlite3.Connection) -> None:
    """Turn incremental vacuum on, in a file that nothing has been written to."""
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")


def has_incremental_vacuum(database: sqlite3.Connection) -> bool:
    """Whether the file has incremental vacuum."""
    return _number(database, "PRAGMA auto_vacuum") == _INCREMENTAL


def rebuild(database: sqlite3.Connection) -> None:
    """Turn incremental vacuum on in a file with content, by writing it anew, which needs its
    space twice.
    """
    enable_incremental_vacuum(database)
    database.execute("VACUUM")


def vacuum_step(database: sqlite3.Connection) -> bool:
    """Return a limited number of free pages to the file system; returns whether there is more to
    do.
    """
    free = _number(database, "PRAGMA freelist_count")
    if free <= _SPARE_PAGES or not has_incremental_vacuum(database):
        return False
    step = min(free - _SPARE_PAGES, _STEP_PAGES)
    # Each step of the statement moves a page and returns a row; `execute` alone would step it once.
    database.executescript(f"PRAGMA incremental_vacuum({step})")
    if free - step > _SPARE_PAGES:
        return True
    # The file gets shorter only when the log is copied into it.
    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    return False


def truncate_log(database: sqlite3.Connection) -> None:
    """Truncate the log to nothing, unless a long read transaction prevents it.

    SQLite does so by itself only when nothing happens to read from the log. With constant readers
    the log would grow without a limit.
    """
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _number(database: sqlite3.Connection, query: str) -> int:
    number: int = database.execute(query).fetchone()[0]
    return number
