"""Opens an SQLite file outside of a server, and reports what is in it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec

from storage.sqlite.errors import UnusableFile
from storage.sqlite.tables import FILES_SINCE, check_version

# Seconds to wait for another program's transaction, such as that of a command for API keys.
_BUSY_TIMEOUT_SECONDS = 5.0

# SQLite's steps between two calls of `stop`: a few milliseconds, and hardly any cost.
_STEPS = 10_000


class Contents(msgspec.Struct, frozen=True):
    """The version, size and numbers of rows of a file."""

    version: int
    size: int  # bytes
    conversations: int
    messages: int
    files: int  # images and files of questions

    def __str__(self) -> str:
        return (
            f"{self.size:,} bytes, {self.conversations:,} conversations, "
            f"{self.messages:,} messages, {self.files:,} files, version {self.version}"
        )


def never() -> bool:
    """Return False: a `stop` for commands that are never stopped."""
    return False


def connect(file: Path, how: str, stop: Callable[[], bool]) -> sqlite3.Connection:
    """Open a file that exists; `how` has SQLite's URI parameters.

    Any query fails with SQLITE_INTERRUPT once `stop` returns True.
    """
    database = sqlite3.connect(
        f"{file.resolve().as_uri()}?{how}",
        uri=True,
        timeout=_BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        check_same_thread=False,  # `integrity_check.py` uses a second thread
    )
    database.set_progress_handler(stop, _STEPS)
    return database


def version_of(database: sqlite3.Connection) -> int:
    """Return the version of a file with this project's tables.

    Raises UnusableFile for any other file.
    """
    version = check_version(database)
    if version == 0:
        raise UnusableFile("it is empty")
    return version


def contents_of(database: sqlite3.Connection) -> Contents:
    """Return what is in a file. Raises UnusableFile if it does not have this project's tables."""

    def one(query: str) -> int:
        number: int = database.execute(query).fetchone()[0]
        return number

    version = version_of(database)
    return Contents(
        version=version,
        size=one("PRAGMA page_count") * one("PRAGMA page_size"),
        conversations=one("SELECT count(*) FROM conversations"),
        messages=one("SELECT count(*) FROM messages"),
        files=one("SELECT count(*) FROM files") if version >= FILES_SINCE else 0,
    )
