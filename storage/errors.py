"""The errors of a store.

StorageError          the store could not be reached or failed; has a Reason
├── Outdated          `server.py migrate` is needed first
└── TooLarge          what was to be stored will never fit
NotFound              no such document of this user
Busy                  the conversation has a live answer already
BeingDeleted          the new conversation's id is that of one of which something is left
KeyTaken              the idempotency key stands for another answer already
InvalidCursor         not a cursor of this list

The last five come from a store that works. No error's message contains user data or a password of
the store.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a store failed: one word, which contains nothing private and never changes."""

    UNREACHABLE = "unreachable"  # it cannot be connected to or opened
    TIMEOUT = "timeout"  # it did not respond in time
    OVERLOADED = "overloaded"  # too many commands wait for it
    LOCKED = "locked"  # another program is writing to it or has it locked
    NOT_PRIMARY = "not_primary"  # it responds but accepts no writes at the moment
    FULL = "full"
    READ_ONLY = "read_only"
    DENIED = "denied"  # the database's user lacks a permission
    CORRUPT = "corrupt"
    REPLACED = "replaced"  # the file was replaced or removed
    OUTDATED = "outdated"  # `server.py migrate` first
    TOO_LARGE = "too_large"  # what was to be stored will never fit
    IO = "io"
    FAILED = "failed"  # none of the above

    @property
    def lasts(self) -> bool:
        """Whether it stays until the operator acts, so that a retry is useless."""
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
        super().__init__(
            message
        )  # the message is for the operator; it contains no password and no user data
        self.reason = reason


class Outdated(StorageError):
    """The store's schema is older than this version can use; `server.py migrate` changes that."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=Reason.OUTDATED)


class TooLarge(StorageError):
    """What was to be stored will never fit: nothing of it is stored, and retrying is useless."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=Reason.TOO_LARGE)


def failure(message: str, reason: Reason) -> StorageError:
    """Return the error for this reason."""
    if reason is Reason.TOO_LARGE:
        return TooLarge(message)
    if reason is Reason.OUTDATED:
        return Outdated(message)
    return StorageError(message, reason=reason)


def files_missing() -> StorageError:
    """Return the error of a question whose files were deleted before it could be stored."""
    return StorageError("files of the question are not stored any more", reason=Reason.TIMEOUT)


def overloaded() -> StorageError:
    """Return the error of a command that waited too long to begin."""
    return StorageError("too many commands wait for the store", reason=Reason.OVERLOADED)


class NotFound(Exception):
    """There is no such document of this user."""


class InvalidCursor(Exception):
    """A cursor that this list did not issue."""


class Busy(Exception):
    """The conversation has a live answer already."""

    def __init__(self, answer_id: str) -> None:
        super().__init__(f"answer {answer_id} is live")
        self.answer_id = answer_id


class BeingDeleted(Exception):
    """The new conversation has the id of a deleted one that is not purged yet."""


class KeyTaken(Exception):
    """The idempotency key stands for another answer already."""
