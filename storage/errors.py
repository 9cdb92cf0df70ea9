"""What can go wrong in a store.

StorageError          the store could not be reached or failed; carries a Reason
├── Outdated          `server.py migrate` first
└── TooLarge          what was to be kept will never fit
NotFound              no such document for this user
Busy                  the conversation has a live answer already
KeyTaken              the idempotency key stands for another answer already
InvalidCursor         no list gave out this cursor

The last four are answers of a store that works. No error's words carry what people wrote, or the
password of a store.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a store failed, in a word that may be told to anybody and is never reworded."""

    UNREACHABLE = "unreachable"  # nothing answers there, or it cannot be opened
    TIMEOUT = "timeout"  # it did not answer in time
    OVERLOADED = "overloaded"  # more commands wait for it than may
    LOCKED = "locked"  # another program is writing to it, or has it
    NOT_PRIMARY = "not_primary"  # it answers, and takes no writes just now
    FULL = "full"
    READ_ONLY = "read_only"
    DENIED = "denied"  # its user may not do this
    CORRUPT = "corrupt"
    REPLACED = "replaced"  # another file has its name, or none has
    OUTDATED = "outdated"  # `server.py migrate` first
    TOO_LARGE = "too_large"  # this will never fit, whoever tries
    IO = "io"
    FAILED = "failed"  # none of the above

    @property
    def lasts(self) -> bool:
        """Whether it stays until somebody sees to it: trying again is of no use."""
        return self in _LASTING


_LASTING = frozenset(
    {
        Reason.READ_ONLY,
        Reason.DENIED,
        Reason.CORRUPT,
        Reason.REPLACED,
        Reason.OUTDATED,
        Reason.TOO_LARGE,
    }
)


class StorageError(Exception):
    """The store could not be reached or failed: the outcome of the operation is unknown."""

    def __init__(self, message: str, *, reason: Reason = Reason.FAILED) -> None:
        super().__init__(message)  # for the operator: no password, nothing of what is kept
        self.reason = reason


class Outdated(StorageError):
    """The store is older than what this version serves; `server.py migrate` changes that."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=Reason.OUTDATED)


class TooLarge(StorageError):
    """What was to be kept will never fit: nothing of it is kept, and trying again is of no use."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=Reason.TOO_LARGE)


def failure(message: str, reason: Reason) -> StorageError:
    """The error that says so."""
    if reason is Reason.TOO_LARGE:
        return TooLarge(message)
    return StorageError(message, reason=reason)


class NotFound(Exception):
    """No such document for this user."""


class InvalidCursor(Exception):
    """A cursor that no list gave out, or another one."""


class Busy(Exception):
    """The conversation has a live answer already."""

    def __init__(self, answer_id: str) -> None:
        super().__init__(f"answer {answer_id} is live")
        self.answer_id = answer_id


class KeyTaken(Exception):
    """The idempotency key stands for another answer already."""
