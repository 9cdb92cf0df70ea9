"""What users asked and spent, counted so that all processes agree, nearly, at little cost.

A process counts in memory, and once a second tells the store its counts and hears everyone's: two
commands for all of its users together, so that a question costs no round trip of its own. In
between it lets a user have an eighth of what was left, and at least one; who wants more has the
processes compare at once. So with n processes a limit L is passed by at most n times L/8, or by n
where that is more, and that only within the second in which it is reached. What is held for things
that may come to nothing is known here alone, and may be on top of that.
"""

import asyncio
import logging
import secrets
import time
from datetime import UTC, datetime

from storage.contract import Storage
from storage.errors import StorageError
from storage.values import Count, Span
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.usage_counters")

# How long what others counted may be unknown, against two commands each time.
_SHARE_SECONDS = 1.0

# What a process may let a user have on its own, of what was left when it last compared.
_UNSHARED_PART = 8

# How many counts go to the store at once: some 100 KB, far from what a command may have.
_BATCH = 1000

# A user's day is 0.5 KB here. Who has been away for so long is looked up when they come back.
_IDLE_SECONDS = 600.0


class UsageCounter:
    """What one user did in one span. Each is a writer of its own, and so never counts twice."""

    __slots__ = ("held", "own", "shared", "shared_at", "span", "total", "touched_at", "writer")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.writer = secrets.token_hex(8)
        self.held = 0  # let in here, and perhaps refused yet: nobody else hears of it
        self.own = 0  # counted here; what is shared can only grow
        self.shared = 0  # of it
        self.total = 0  # counted anywhere, as was known when it was shared
        self.shared_at: float | None = None  # by the loop's clock, like `touched_at`
        self.touched_at = 0.0

    @property
    def unshared(self) -> int:
        """What was let in here since it was shared."""
        return self.held + self.own - self.shared


class UsageCounters:
    """All counters of this process."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._counters: dict[
            tuple[str, str, int], UsageCounter
        ] = {}  # by user, what, and since when
        self._due: set[UsageCounter] = set()  # touched since they were shared
        self._sharing = asyncio.Lock()
        self._shared_at = 0.0  # when that was begun last, failed or not
        self._outage = OutageLog(
            log, "counts are not shared, each process has its own", "counts are shared again"
        )

    def __len__(self) -> int:
        return len(self._counters)

    def of(self, user: str, what: str, seconds: int) -> UsageCounter:
        """What a user did in the span of so many seconds that the clock is in."""
        began = int(time.time()) // seconds * seconds
        counter = self._counters.get((user, what, began))
        if counter is None:
            counter = UsageCounter(Span(user, what, _instant(began), _instant(began + seconds)))
            self._counters[user, what, began] = counter
        self.touch(counter)
        return counter

    def touch(self, counter: UsageCounter) -> None:
        """Have it shared in the next round."""
        counter.touched_at = asyncio.get_running_loop().time()
        self._due.add(counter)

    async def share(self) -> None:
        """Have every counter in use know what others counted until now.

        Whoever waits for the same is served by one round. A store that fails is no reason to
        refuse anybody: what is known has to do then.
        """
        asked_at = asyncio.get_running_loop().time()
        async with self._sharing:
            if self._shared_at >= asked_at:
                return
            self._shared_at = asyncio.get_running_loop().time()
            due = list(self._due)
            for start in range(0, len(due), _BATCH):
                if not await self._share(due[start : start + _BATCH]):
                    return

    async def run(self) -> None:
        """Share once a second until cancelled."""
        while True:
            await asyncio.sleep(_SHARE_SECONDS)
            await self.share()
            self.forget()

    async def _share(self, counters: list[UsageCounter]) -> bool:
        self._due.difference_update(counters)
        counts = [Count(each.span, each.writer, each.own) for each in counters]
        try:
            totals = await self._storage.share_counts(counts)
        except BaseException as error:
            self._due.update(counters)
            if not isinstance(error, StorageError):
                raise
            self._outage.failed(error.reason, error)
            return False
        self._outage.succeeded()
        for counter, count in zip(counters, counts, strict=True):
            counter.shared = max(counter.shared, count.amount)
            counter.total = totals[count.span]
            counter.shared_at = self._shared_at
        return True

    def forget(self) -> None:
        """Let go of what is over, and of who is away: what they did is in the store."""
        clock = datetime.now(UTC)
        idle_since = asyncio.get_running_loop().time() - _IDLE_SECONDS
        for key, counter in list(self._counters.items()):
            is_over, is_idle = counter.span.ends_at < clock, counter.touched_at < idle_since
            # What an outage keeps from being shared may still count, until its span is long over.
            if (is_over and is_idle) or ((is_over or is_idle) and counter not in self._due):
                del self._counters[key]
                self._due.discard(counter)


class Quota:
    """So much for each user in each span of so many seconds; without a limit it counts nothing.

    With `careful` a process that does not know a user yet looks up what others counted, before it
    lets them have anything.
    """

    def __init__(
        self, counts: UsageCounters, what: str, *, limit: int, seconds: int, careful: bool = False
    ) -> None:
        self.counts = counts
        self._what = what
        self._limit = limit
        self._seconds = seconds
        self._careful = careful

    async def is_spent(self, user: str) -> bool:
        """Whether a user has had all of it in this span."""
        if not self._limit:
            return False
        counter = self.counts.of(user, self._what, self._seconds)
        unknown = self._careful and counter.shared_at is None
        if unknown or counter.unshared >= max(1, (self._limit - counter.total) // _UNSHARED_PART):
            await self.counts.share()
        return counter.total + counter.unshared >= self._limit

    def add(self, user: str, amount: int) -> None:
        """Count what a user did."""
        if self._limit:
            self.counts.of(user, self._what, self._seconds).own += amount

    def reserve(self, user: str, amount: int = 1) -> "Reservation | None":
        """Keep room for what a user may turn out to have done."""
        if not self._limit:
            return None
        return Reservation(self.counts, self.counts.of(user, self._what, self._seconds), amount)

    def seconds_left(self) -> int:
        """Until the span is over and everybody may begin anew."""
        return self._seconds - int(time.time()) % self._seconds


class Reservation:
    """Room in a user's quota, in the span in which it was taken; used or given back, once.

    The store's counts only grow, so what may be taken back must not have reached them.
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
        """It was not."""
        self._counter.held -= self._amount


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
