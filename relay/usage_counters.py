"""Counts what users ask and spend, so that all processes nearly agree, at little cost.

A process counts in memory, and once a second sends the store its counts and reads those of all: two
commands for all of its users together, so that a question costs no round trip. The limits on these
counts are in `user_quota.py`.
"""

import asyncio
import logging
import secrets
import time
from datetime import UTC, datetime

from storage.contract import CountStore
from storage.errors import StorageError
from storage.values import UsageCount, UsageSpan
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.usage_counters")

# Seconds between two exchanges of counts, each of two commands.
_SHARE_SECONDS = 1.0

# The number of counts in one command: some 100 KB, far below the limit of a command.
_BATCH = 1000

# Seconds after which an unused counter is dropped, of 0.5 KB; it is read again when it is needed.
_IDLE_SECONDS = 600.0


class UsageCounter:
    """What one user did in one span. Each process writes its own, so that nothing counts twice."""

    __slots__ = ("held", "own", "shared", "shared_at", "span", "total", "touched_at", "writer")

    def __init__(self, span: UsageSpan) -> None:
        self.span = span
        self.writer = secrets.token_hex(8)
        self.held = 0  # reserved here, and perhaps given back: other processes do not see it
        self.own = 0  # counted here; it only grows
        self.shared = 0  # the part of it that is shared
        self.total = 0  # counted by all processes, as of the last exchange
        self.shared_at: float | None = None  # by the loop's clock, like `touched_at`
        self.touched_at = 0.0

    @property
    def unshared(self) -> int:
        """What was admitted here since the last exchange."""
        return self.held + self.own - self.shared


class UsageCounters:
    """All counters of this process."""

    def __init__(self, storage: CountStore) -> None:
        self._storage = storage
        self._counters: dict[
            tuple[str, str, int], UsageCounter
        ] = {}  # by user, kind and start of the span
        self._due: set[UsageCounter] = set()  # changed since the last exchange
        self._sharing = asyncio.Lock()
        self._shared_at = 0.0  # when the last exchange began, failed or not
        self._outage = OutageLog(
            log, "counts are not shared, each process has its own", "counts are shared again"
        )

    def __len__(self) -> int:
        return len(self._counters)

    def of(self, user: str, what: str, seconds: int) -> UsageCounter:
        """The counter of a user in the current span of so many seconds."""
        began = int(time.time()) // seconds * seconds
        counter = self._counters.get((user, what, began))
        if counter is None:
            counter = UsageCounter(
                UsageSpan(user, what, _instant(began), _instant(began + seconds))
            )
            self._counters[user, what, began] = counter
        self.touch(counter)
        return counter

    def touch(self, counter: UsageCounter) -> None:
        """Include the counter in the next exchange."""
        counter.touched_at = asyncio.get_running_loop().time()
        self._due.add(counter)

    async def share(self) -> None:
        """Exchange the counts of every counter in use.

        Concurrent callers share one exchange. If the store fails, no user is refused because of
        that: the last known counts are used.
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
        """Exchange counts once a second until cancelled."""
        while True:
            await asyncio.sleep(_SHARE_SECONDS)
            await self.share()
            self.forget()

    async def _share(self, counters: list[UsageCounter]) -> bool:
        self._due.difference_update(counters)
        counts = [UsageCount(each.span, each.writer, each.own) for each in counters]
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
        """Drop counters of spans that are over, and of inactive users, since the store has them."""
        clock = datetime.now(UTC)
        idle_since = asyncio.get_running_loop().time() - _IDLE_SECONDS
        for key, counter in list(self._counters.items()):
            is_over, is_idle = counter.span.ends_at < clock, counter.touched_at < idle_since
            # Counts that an outage kept from being shared are kept until their span is long over.
            if (is_over and is_idle) or ((is_over or is_idle) and counter not in self._due):
                del self._counters[key]
                self._due.discard(counter)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
