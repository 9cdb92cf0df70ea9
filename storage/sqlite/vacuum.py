"""Room in the SQLite file that is no longer needed, given back a little at a time.

What is deleted leaves free pages. SQLite fills them again, but gives none back to the system of its
own accord: a file that was large once would stay so. With `auto_vacuum = INCREMENTAL`, which a file
has from its beginning or gets by `migrate`, it moves its last pages into the gaps when it is told.
"""

import sqlite3

# Pages of 4 KB. So many stay for what comes next; no more are moved at a time, which takes some
# milliseconds with its fsync.
_SPARE_PAGES = 256
_STEP_PAGES = 256

# What `PRAGMA auto_vacuum` says.
_INCREMENTAL = 2

# SQLite never shrinks its log by itself. This much stays (bytes); one commit rarely writes more.
MAX_LOG_BYTES = 64 * 1024 * 1024


def enable_incremental_vacuum(database: sqlite3.Connection) -> None:
    """Have the file give room back, ahead of anything that is written to it."""
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")


def has_incremental_vacuum(database: sqlite3.Connection) -> bool:
    """Whether it does."""
    return _number(database, "PRAGMA auto_vacuum") == _INCREMENTAL


def rebuild(database: sqlite3.Connection) -> None:
    """Have a file that holds something give room back. It is written anew, and has to fit twice."""
    enable_incremental_vacuum(database)
    database.execute("VACUUM")


def vacuum_step(database: sqlite3.Connection) -> bool:
    """Give the system a step's worth of what is free; whether there is more to do."""
    free = _number(database, "PRAGMA freelist_count")
    if free <= _SPARE_PAGES or not has_incremental_vacuum(database):
        return False
    step = min(free - _SPARE_PAGES, _STEP_PAGES)
    # A page each time it is stepped, and a row without columns: `execute` would step it once.
    database.executescript(f"PRAGMA incremental_vacuum({step})")
    if free - step > _SPARE_PAGES:
        return True
    # Until it is copied from the log, the file is as long as it was.
    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    return False


def truncate_log(database: sqlite3.Connection) -> None:
    """Have the log begin anew, with nothing in it, unless somebody reads from it for long.

    SQLite does so of its own accord when nobody happens to read from it. Where somebody always
    does, it would grow for ever.
    """
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _number(database: sqlite3.Connection, query: str) -> int:
    number: int = database.execute(query).fetchone()[0]
    return number
