"""Why SQLite failed, by the name of its error: its words may quote a row, its names never do."""

from storage.errors import Reason

# By the beginning of the name, the longest first: SQLITE_IOERR_WRITE is an SQLITE_IOERR.
_REASONS = {
    "SQLITE_READONLY_DBMOVED": Reason.REPLACED,
    "SQLITE_READONLY": Reason.READ_ONLY,
    "SQLITE_BUSY": Reason.LOCKED,
    "SQLITE_LOCKED": Reason.LOCKED,
    "SQLITE_FULL": Reason.FULL,
    "SQLITE_CORRUPT": Reason.CORRUPT,
    "SQLITE_NOTADB": Reason.CORRUPT,
    "SQLITE_TOOBIG": Reason.TOO_LARGE,
    "OverflowError": Reason.TOO_LARGE,  # Python's own, past 2 GB
    "SQLITE_PERM": Reason.DENIED,
    "SQLITE_AUTH": Reason.DENIED,
    "SQLITE_CANTOPEN": Reason.UNREACHABLE,
    "SQLITE_IOERR": Reason.IO,
}


def name_of(error: Exception) -> str:
    """The name that SQLite has for it, or else its class's."""
    return getattr(error, "sqlite_errorname", type(error).__name__)


def reason(name: str) -> Reason:
    """Why, by an error's name, or that of its class if SQLite itself did not fail."""
    return next((why for known, why in _REASONS.items() if name.startswith(known)), Reason.FAILED)
