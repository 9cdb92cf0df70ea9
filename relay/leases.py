"""This process's lease on its answers, and the end of answers whose process is dead."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from relay.remote_answers import RemoteAnswers
from storage.contract import Storage
from storage.errors import StorageError, failure
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.leases")

# A lease is renewed this often while it lasts, so that one or two failures do not cost it.
_RENEWALS_PER_LEASE = 6

# Seconds between two renewals for the sake of requests to peers. It bounds the writes when
# readers come and go by the hundred, and is less than anybody's tick.
_SHORTEST_PAUSE = 0.05

# A dead process's answers keep their readers waiting, and their conversations busy: looked for this
# often, they do so for little longer than the lease they had.
_SWEEPS_PER_LEASE = 4


class Lease:
    """The one document of this process: that it lives, and what it asks of its peers."""

    def __init__(self, storage: Storage, remote_answers: RemoteAnswers, *, seconds: float) -> None:
        self._storage = storage
        self._remote_answers = remote_answers
        self._seconds = seconds
        self._renewed_at = -seconds  # by the loop's clock, before the renewal was sent
        self._losses = 0  # how often it had run out, for all that is known
        self._looked_into = 0  # of these: the others may have cost answers
        self._publishing: asyncio.Task[None] | None = None
        # Two at once might be kept the wrong way round, and the older one's requests would stand.
        self._one_at_a_time = asyncio.Lock()
        self._outage = OutageLog(log, "lease not renewed", "lease renewed again")

    @property
    def is_held(self) -> bool:
        """Whether nobody can have ended an answer of this process without its having noticed."""
        if self._losses > self._looked_into:
            return False
        return asyncio.get_running_loop().time() < self._renewed_at + self._seconds

    async def renew(self) -> None:
        """Renew it with what is asked of peers. Raises StorageError."""
        async with self._one_at_a_time:
            self._remote_answers.changed.clear()
            begun = asyncio.get_running_loop().time()
            try:
                if not await self._storage.renew_lease(self._remote_answers.peer_requests):
                    log.warning("the lease had run out")
                    self._losses += 1
            except BaseException:
                self._remote_answers.changed.set()  # not said yet
                raise
            self._renewed_at = begun

    async def publish(self) -> None:
        """Have what is asked of peers stored. Raises StorageError.

        Whoever asks meanwhile shares a renewal: the one under way may have begun too early for
        them, the one behind it has not. One for each who asks would keep the lease itself waiting.
        """
        if self._publishing is not None:
            await self._published(self._publishing)
        # What is being said now is not said yet, and may fail.
        if self._remote_answers.changed.is_set() or self._one_at_a_time.locked():
            if self._publishing is None:
                self._publishing = asyncio.create_task(self.renew())
                self._publishing.add_done_callback(self._published_all)
            await self._published(self._publishing)

    async def _published(self, publishing: asyncio.Task[None]) -> None:
        await asyncio.wait({publishing})  # who leaves must not end it for the others
        if isinstance(error := publishing.exception(), StorageError):
            raise failure(str(error), error.reason)  # each has an error of their own
        publishing.result()

    def _published_all(self, publishing: asyncio.Task[None]) -> None:
        self._publishing = None
        if not publishing.cancelled():
            publishing.exception()  # looked at: nobody may be left to see it

    async def keep(self, end_lost: Callable[[], Awaitable[None]]) -> None:
        """Renew it until cancelled; whenever it had run out, await `end_lost`.

        And once a lease all the same: a sweeper may have been slow to act on what it saw.
        """
        loop = asyncio.get_running_loop()
        look_at = loop.time() + self._seconds
        while True:
            try:
                await self.renew()
                if self._losses > self._looked_into or loop.time() >= look_at:
                    losses, look_at = self._losses, loop.time() + self._seconds
                    await end_lost()
                    self._looked_into = losses
            except StorageError as error:
                self._outage.failed(error.reason, error)
                self._losses += 1
                await asyncio.sleep(self._pause)
                continue
            self._outage.succeeded()
            await asyncio.sleep(min(_SHORTEST_PAUSE, self._pause))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._remote_answers.changed.wait()

    @property
    def _pause(self) -> float:
        return self._seconds / _RENEWALS_PER_LEASE


async def sweep_orphans(
    end_orphans: Callable[[], Awaitable[object]], *, lease_seconds: float
) -> None:
    """End what dead processes left live until cancelled.

    At random moments, so that many processes do not all look at once.
    """
    outage = OutageLog(log, "orphans not ended", "orphans ended again")
    while True:
        await asyncio.sleep(lease_seconds / _SWEEPS_PER_LEASE * random.uniform(0.5, 1.5))
        try:
            await end_orphans()
        except StorageError as error:
            outage.failed(error.reason, error)
        else:
            outage.succeeded()
