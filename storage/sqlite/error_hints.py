"""Reasons for SQLite's errors by their names: its messages may quote a row, its names never do."""

from storage.errors import Reason

# By the beginning of the name, the longest first: SQLITE_IOERR_WRITE also begins with SQLITE_IOERR.
_REASONS = {
    "SQLITE_READONLY_DBMOVED": Reason.REPLACED,
    "SQLITE_READONLY": Reason.READ_ONLY,
    "SQLITE_BUSY": Reason.LOCKED,
    "SQLITE_LOCKED": Reason.LOCKED,
    "SQLITE_FULL": Reason.FULL,
    "SQLITE_CORRUPT": Reason.CORRUPT,
    "SQLITE_NOTADB": Reason.CORRUPT,
    "SQLITE_TOOBIG": Reason.TOO_LARGE,
    "OverflowError": Reason.TOO_LARGE,  # raised by Python for more than 2 GB
    "SQLITE_PERM": Reason.DENIED,
    "SQLITE_AUTH": Reason.DENIED,
    "SQLITE_CANTOPEN": Reason.UNREACHABLE,
    "SQLITE_IOERR": Reason.IO,
}


def name_of(error: Exception) -> str:
    """Return SQLite's name for an error, or the name of its class if it has none."""
    return getattr(error, "sqlite_errorname", type(error).__name__)


def reason(name: str) -> Reason:
    """Return the reason for the name of an error, or for that of its class if SQLite did not
    raise it.
    """
    return next((why for known, why in _REASONS.items() if name.startswith(known)), Reason.FAILED)
