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
_GOOD = 600.0

# The shortest time between two reads, in seconds, for a user at their limit who tries again and
# again. A user who made room at another process waits as long.
_SOONEST = 3.0

# The part of what was left at the last read that this process may admit before it reads again.
_OWN_PART = 8

# The number of users whose sums are cached, the most recent ones. 300 bytes each.
_USERS = 10_000


class _StoredByUser:
    """How much one user stores, as far as is known."""

    def __init__(self) -> None:
        self.stored = 0  # at the last read
        self.looked_at = -_GOOD  # by the loop's clock
        self.added = 0  # added by this process since then
        self.pending = 0  # admitted and not stored yet
        self.freed = False  # something was deleted here since the last read
        self.looking = asyncio.Lock()
        self.failed: StorageError | None = None  # the error of the last read
        self.failed_at = -_GOOD

    @property
    def total(self) -> int:
        return self.stored + self.added + self.pending

    def is_due(self, size: int, limit: int) -> bool:
        """Whether the store has to be asked before `size` more bytes are admitted."""
        since = asyncio.get_running_loop().time() - self.looked_at
        own = self.added + self.pending + size
        return since >= _GOOD or (
            since >= _SOONEST and own * _OWN_PART >= max(limit - self.stored, 0)
        )


class StorageReservation:
    """Room for something that is about to be stored; used or given back, once."""

    def __init__(self, kept: _StoredByUser, size: int) -> None:
        self._kept = kept
        self._size = size
        kept.pending += size

    def use(self) -> None:
        """It was stored."""
        self._kept.pending -= self._size
        self._kept.added += self._size

    def give_back(self) -> None:
        """It was not stored, or that is unknown; the next read of the sum shows which."""
        self._kept.pending -= self._size


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
        kept = self._of(user)
        came_at = asyncio.get_running_loop().time()
        async with kept.looking:  # one at a time, so that concurrent questions cannot exceed it
            if kept.failed is not None and kept.failed_at >= came_at:
                # The read that they waited for failed; another one for each would take the store's
                # timeout again.
                raise failure(str(kept.failed), kept.failed.reason)
            if kept.is_due(size, self._limit):
                await self._look(user, kept)
            if kept.total + size > self._limit and kept.freed:
                await self._look(user, kept)
            if kept.total + size > self._limit:
                raise StorageQuotaExceeded(self._limit)
            return StorageReservation(kept, size)

    def freed(self, user: str) -> None:
        """A conversation of the user was deleted here: before a refusal the sum is read again."""
        if (kept := self._users.get(user)) is not None:
            kept.freed = True

    def _of(self, user: str) -> _StoredByUser:
        kept = self._users.setdefault(user, _StoredByUser())
        self._users.move_to_end(user)
        if len(self._users) > _USERS:
            self._users.popitem(last=False)
        return kept

    async def _look(self, user: str, kept: _StoredByUser) -> None:
        looked_at, added = asyncio.get_running_loop().time(), kept.added
        kept.freed = False
        try:
            kept.stored = await self._storage.stored_bytes(user)
        except StorageError as error:
            kept.failed = failure(str(error), error.reason)  # without its traceback
            kept.failed_at = asyncio.get_running_loop().time()
            raise
        kept.failed = None
        kept.looked_at = looked_at
        # What is being stored at this moment may be counted twice: rather too much than too little.
        kept.added -= added
