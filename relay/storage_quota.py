"""The storage quota: how much a user may store, known without asking the store for each question.

The store counts the bytes that users put into each conversation, so the sum is right after a
deletion, a crash or a restore, and whichever process wrote them. A process reads a user's sum at
their first question, and again when it may have changed much; in between it adds what it admits
itself. With n processes the quota may be exceeded by what n - 1 of them admit within a few seconds.
"""

import asyncio
from collections import OrderedDict

from relay.errors import StorageQuotaExceeded
from storage.contract import ConversationStore
from storage.errors import StorageError, failure

# Seconds for which a sum is used: for a user far from their limit it is read six times an hour at
# most.
_FRESH_SECONDS = 600.0

# The shortest time between two reads, in seconds, for a user at their limit who tries again and
# again. A user who made room at another process waits as long.
_MIN_SECONDS = 3.0

# The part of what was left at the last read that this process may admit before it reads again.
_OWN_PART = 8

# The number of users whose sums are cached, the most recent ones. 300 bytes each.
_MAX_USERS = 10_000


class _StoredByUser:
    """How much one user stores, as far as is known."""

    def __init__(self) -> None:
        self.stored = 0  # at the last read
        self.read_at = -_FRESH_SECONDS  # by the loop's clock
        self.added = 0  # added by this process since then
        self.pending = 0  # admitted and not stored yet
        self.freed = False  # something was deleted here since the last read
        self.read_lock = asyncio.Lock()
        self.failed: StorageError | None = None  # the error of the last read
        self.failed_at = -_FRESH_SECONDS

    @property
    def total(self) -> int:
        return self.stored + self.added + self.pending

    def is_due(self, size: int, limit: int) -> bool:
        """Whether the store has to be asked before `size` more bytes are admitted."""
        since = asyncio.get_running_loop().time() - self.read_at
        own = self.added + self.pending + size
        return since >= _FRESH_SECONDS or (
            since >= _MIN_SECONDS and own * _OWN_PART >= max(limit - self.stored, 0)
        )


class StorageReservation:
    """Room for something that is about to be stored; used or given back, once."""

    def __init__(self, usage: _StoredByUser, size: int) -> None:
        self._usage = usage
        self._size = size
        usage.pending += size

    def use(self) -> None:
        """Count it as stored, which it is now."""
        self._usage.pending -= self._size
        self._usage.added += self._size

    def give_back(self) -> None:
        """Count it no more: it was not stored, or that is unknown; the next read of the sum shows
        which.
        """
        self._usage.pending -= self._size


class StorageQuota:
    """The quota of each user, in bytes; 0 means unlimited."""

    def __init__(self, storage: ConversationStore, limit: int) -> None:
        self._storage = storage
        self._limit = limit
        self._users: OrderedDict[str, _StoredByUser] = OrderedDict()

    async def take(self, user: str, size: int) -> StorageReservation | None:
        """Reserve `size` bytes for the user. Raises StorageQuotaExceeded and StorageError."""
        if not self._limit or not size:
            return None
        usage = self._of(user)
        came_at = asyncio.get_running_loop().time()
        async with usage.read_lock:  # one at a time, so that concurrent questions cannot exceed it
            if usage.failed is not None and usage.failed_at >= came_at:
                # The read that they waited for failed; another one for each would take the store's
                # timeout again.
                raise failure(str(usage.failed), usage.failed.reason)
            if usage.is_due(size, self._limit):
                await self._read(user, usage)
            if usage.total + size > self._limit and usage.freed:
                await self._read(user, usage)
            if usage.total + size > self._limit:
                raise StorageQuotaExceeded(self._limit)
            return StorageReservation(usage, size)

    def freed(self, user: str) -> None:
        """A conversation of the user was deleted here: before a refusal the sum is read again."""
        if (usage := self._users.get(user)) is not None:
            usage.freed = True

    def _of(self, user: str) -> _StoredByUser:
        usage = self._users.setdefault(user, _StoredByUser())
        self._users.move_to_end(user)
        if len(self._users) > _MAX_USERS:
            self._users.popitem(last=False)
        return usage

    async def _read(self, user: str, usage: _StoredByUser) -> None:
        read_at, added = asyncio.get_running_loop().time(), usage.added
        usage.freed = False
        try:
            usage.stored = await self._storage.stored_bytes(user)
        except StorageError as error:
            usage.failed = failure(str(error), error.reason)  # without its traceback
            usage.failed_at = asyncio.get_running_loop().time()
            raise
        usage.failed = None
        usage.read_at = read_at
        # What is being stored at this moment may be counted twice: rather too much than too little.
        usage.added -= added
