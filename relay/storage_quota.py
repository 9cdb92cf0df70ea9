"""How much a user may keep in the store, known well enough without asking for each question.

What users brought is counted with their conversations, in the store itself: so it is right after a
deletion, a crash or a restore, and whichever process wrote it. A process asks for the sum when it
meets a user, and again when much may have changed since; in between it adds what it lets in itself.
With n processes a limit may be passed by what n - 1 of them let in within a few seconds.
"""

import asyncio
from collections import OrderedDict

from relay.errors import StorageQuotaExceeded
from storage.contract import Storage
from storage.errors import StorageError, failure

# Seconds for which a sum is good, whatever others bring: who is far from their limit is asked about
# six times an hour at most.
_GOOD = 600.0

# Seconds between two looks, at the soonest: who is at their limit and goes on trying costs no more.
# It is also how long somebody waits who has made room at another process.
_SOONEST = 3.0

# What may be let in by this process alone, of what was left when it last looked.
_OWN_PART = 8

# Users whose sums are known, the latest. 300 bytes each.
_USERS = 10_000


class _Kept:
    """What one user keeps, as far as is known."""

    def __init__(self) -> None:
        self.stored = 0  # when it was looked at
        self.looked_at = -_GOOD  # by the loop's clock
        self.added = 0  # by this process since then
        self.pending = 0  # let in, and not stored yet
        self.freed = False  # something was deleted here since it was looked at
        self.looking = asyncio.Lock()
        self.failed: StorageError | None = None  # what the last look met
        self.failed_at = -_GOOD

    @property
    def total(self) -> int:
        return self.stored + self.added + self.pending

    def is_due(self, size: int, limit: int) -> bool:
        """Whether the store has to be asked before so much more is let in."""
        since = asyncio.get_running_loop().time() - self.looked_at
        own = self.added + self.pending + size
        return since >= _GOOD or (
            since >= _SOONEST and own * _OWN_PART >= max(limit - self.stored, 0)
        )


class StorageReservation:
    """Room for something that is about to be stored; used or given back, once."""

    def __init__(self, kept: _Kept, size: int) -> None:
        self._kept = kept
        self._size = size
        kept.pending += size

    def use(self) -> None:
        """It is stored."""
        self._kept.pending -= self._size
        self._kept.added += self._size

    def give_back(self) -> None:
        """It is not, or nobody knows: then the next look tells."""
        self._kept.pending -= self._size


class StorageQuota:
    """So many bytes for each user; with a limit of 0 nothing is looked at."""

    def __init__(self, storage: Storage, limit: int) -> None:
        self._storage = storage
        self._limit = limit
        self._users: OrderedDict[str, _Kept] = OrderedDict()

    async def take(self, user: str, size: int) -> StorageReservation | None:
        """Room for `size` bytes of a user's. Raises StorageQuotaExceeded and StorageError."""
        if not self._limit or not size:
            return None
        kept = self._of(user)
        came_at = asyncio.get_running_loop().time()
        async with kept.looking:  # one after the other, so that no rush gets past it
            if kept.failed is not None and kept.failed_at >= came_at:
                # The look that they waited for: each of their own would take the store's timeout.
                raise failure(str(kept.failed), kept.failed.reason)
            if kept.is_due(size, self._limit):
                await self._look(user, kept)
            if kept.total + size > self._limit and kept.freed:
                await self._look(user, kept)
            if kept.total + size > self._limit:
                raise StorageQuotaExceeded(self._limit)
            return StorageReservation(kept, size)

    def freed(self, user: str) -> None:
        """A conversation of a user's was deleted here: who would be refused is looked up first."""
        if (kept := self._users.get(user)) is not None:
            kept.freed = True

    def _of(self, user: str) -> _Kept:
        kept = self._users.setdefault(user, _Kept())
        self._users.move_to_end(user)
        if len(self._users) > _USERS:
            self._users.popitem(last=False)
        return kept

    async def _look(self, user: str, kept: _Kept) -> None:
        looked_at, added = asyncio.get_running_loop().time(), kept.added
        kept.freed = False
        try:
            kept.stored = await self._storage.kept_bytes(user)
        except StorageError as error:
            kept.failed = failure(str(error), error.reason)  # without the frames it went through
            kept.failed_at = asyncio.get_running_loop().time()
            raise
        kept.failed = None
        kept.looked_at = looked_at
        # What is stored in this moment may be in both: rather counted too much than too little.
        kept.added -= added
