"""Limits what a user may do in each minute or day, by the counts of all processes.

Between two exchanges of counts (`usage_counters.py`) a process admits an eighth of what was left
for a user, and at least one; for more it compares at once. So with n processes a limit L is
exceeded by at most n times L/8, or by n if that is more, and only within the second in which it is
reached. Reservations are known in this process only, and may come on top.
"""

import time
from typing import NamedTuple

from relay.usage_counters import UsageCounter, UsageCounters

# The part of what was left at the last exchange that a process may admit by itself.
_UNSHARED_PART = 8


class QuotaState(NamedTuple):
    """How much a user may still do in this span, and how many seconds it lasts."""

    limit: int
    remaining: int
    seconds_left: int


class UserQuota:
    """A limit for each user in each span of so many seconds; without a limit nothing is counted.

    With `reads_counts_first` the counts of other processes are read before a user unknown here is
    admitted.
    """

    def __init__(
        self,
        counts: UsageCounters,
        kind: str,
        *,
        limit: int,
        seconds: int,
        reads_counts_first: bool = False,
    ) -> None:
        self.counts = counts
        self._kind = kind
        self._limit = limit
        self._seconds = seconds
        self._reads_counts_first = reads_counts_first

    async def is_spent(self, user: str) -> bool:
        """Whether the user has used up the limit of this span."""
        if not self._limit:
            return False
        counter = self.counts.of(user, self._kind, self._seconds)
        unknown = self._reads_counts_first and counter.shared_at is None
        if unknown or counter.unshared >= max(1, (self._limit - counter.total) // _UNSHARED_PART):
            await self.counts.share()
        return counter.total + counter.unshared >= self._limit

    def add(self, user: str, amount: int) -> None:
        """Count what a user did."""
        if self._limit:
            self.counts.of(user, self._kind, self._seconds).own += amount

    def reserve(self, user: str, amount: int = 1) -> "Reservation | None":
        """Reserve room for what a user is about to do."""
        if not self._limit:
            return None
        return Reservation(self.counts, self.counts.of(user, self._kind, self._seconds), amount)

    def state(self, user: str) -> QuotaState | None:
        """What is left for a user, as far as it is known here; None without a limit."""
        if not self._limit:
            return None
        counter = self.counts.of(user, self._kind, self._seconds)
        left = self._limit - counter.total - counter.unshared
        return QuotaState(self._limit, max(left, 0), self.seconds_left())

    def seconds_left(self) -> int:
        """Seconds until the next span begins."""
        return self._seconds - int(time.time()) % self._seconds


class Reservation:
    """Room in a user's quota, in the span in which it was taken; used or given back, once.

    The store's counts only grow, so what may be given back must not have reached them.
    """

    def __init__(self, counts: UsageCounters, counter: UsageCounter, amount: int) -> None:
        self._counts = counts
        self._counter = counter
        self._amount = amount
        counter.held += amount

    def use(self) -> None:
        """It was done, and counts."""
        self._counter.held -= self._amount
        self._counter.own += self._amount
        self._counts.touch(self._counter)

    def give_back(self) -> None:
        """It was not done, and does not count."""
        self._counter.held -= self._amount
