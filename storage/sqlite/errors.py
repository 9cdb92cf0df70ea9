"""What goes wrong with the SQLite file as a whole, in words for the operator."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from storage.errors import Reason, StorageError, failure
from storage.sqlite.error_hints import name_of, reason

_REMEDIES = {
    Reason.FULL: "no room is left on the disk",
    Reason.LOCKED: "another program is writing to it",
    Reason.CORRUPT: "it is damaged, or no SQLite file",
    Reason.READ_ONLY: "it may not be written to by this user",
    Reason.UNREACHABLE: "it, or its folder, may not be read and written by this user",
}


class UnusableFile(Exception):
    """The file, or a place for one, is not what it has to be; says why, for the operator."""


def stopped() -> StorageError:
    """That somebody wants no more of it."""
    return StorageError("stopped before it was done")


@contextmanager
def operator_errors(doing: str) -> Iterator[None]:
    """Turn what goes wrong within this block into words for the operator.

    None of them is SQLite's own, which may quote a row. A bug stays what it is.
    """
    try:
        yield
    except OSError as error:
        at = f" ({error.filename})" if error.filename else ""
        raise StorageError(f"cannot {doing}: {error.strerror}{at}") from error
    except (UnusableFile, UnicodeError) as error:  # a name that is no UTF-8 is none to SQLite
        raise StorageError(f"cannot {doing}: {error}") from error
    except sqlite3.Error as error:
        name = name_of(error)
        if name == "SQLITE_INTERRUPT":
            raise stopped() from None
        why = reason(name)
        remedy = f": {_REMEDIES[why]}" if why in _REMEDIES else ""
        raise failure(f"cannot {doing}: {name}{remedy}", why) from error
