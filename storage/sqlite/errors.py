"""Messages for the operator when the SQLite file cannot be used."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from storage.errors import Reason, StorageError, failure
from storage.sqlite.error_hints import name_of, reason

_HINTS = {
    Reason.FULL: "the disk is full",
    Reason.LOCKED: "another program is writing to it",
    Reason.CORRUPT: "it is damaged, or not an SQLite file",
    Reason.READ_ONLY: "this user may not write to it",
    Reason.UNREACHABLE: "this user may not read and write it, or its folder",
}


class UnusableFile(Exception):
    """A file, or a place for one, cannot be used; the message says why, for the operator."""


def stopped() -> StorageError:
    """Return the error for a command that was stopped."""
    return StorageError("stopped before it was done")


@contextmanager
def operator_errors(doing: str) -> Iterator[None]:
    """Raise StorageError, with a message for the operator, for errors within this block.

    Messages of SQLite's own are left out, because they may quote a row. Bugs are raised unchanged.
    """
    try:
        yield
    except OSError as error:
        at = f" ({error.filename})" if error.filename else ""
        raise StorageError(f"cannot {doing}: {error.strerror}{at}") from error
    except (UnusableFile, UnicodeError) as error:  # SQLite takes names in UTF-8 only
        raise StorageError(f"cannot {doing}: {error}") from error
    except sqlite3.Error as error:
        name = name_of(error)
        if name == "SQLITE_INTERRUPT":
            raise stopped() from None
        why = reason(name)
        hint = f": {_HINTS[why]}" if why in _HINTS else ""
        raise failure(f"cannot {doing}: {name}{hint}", why) from error
