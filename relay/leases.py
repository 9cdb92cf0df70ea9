"""This process's lease on its answers, renewed for as long as the process lives."""

import asyncio
import logging

from relay.remote_answers import RemoteAnswers
from storage.contract import Storage
from storage.errors import StorageError, failure

log = logging.getLogger("headrace.leases")


class Lease:
    """The one document of this process: that it lives, and what it asks of its peers."""

    def __init__(self, storage: Storage, remote_answers: RemoteAnswers, *, seconds: float) -> None:
        self._storage = storage
        self._remote_answers = remote_answers
        self.seconds = seconds
        self._renewed_at = -seconds  # by the loop's clock, before the renewal was sent
        self.losses = 0  # how often it had run out, for all that is known
        self._looked_into = 0  # of these: the others may have cost answers
        self._publishing: asyncio.Task[None] | None = None
        # Two at once might be kept the wrong way round, and the older one's requests would stand.
        self._one_at_a_time = asyncio.Lock()

    @property
    def is_held(self) -> bool:
        """Whether nobody can have ended an answer of this process without its having noticed."""
        if self.is_in_doubt:
            return False
        return asyncio.get_running_loop().time() < self._renewed_at + self.seconds

    @property
    def is_in_doubt(self) -> bool:
        """Whether it had run out since somebody looked what that has cost."""
        return self.losses > self._looked_into

    def look_into(self, losses: int) -> None:
        """So many of the losses are looked into: what they cost is cancelled here, too."""
        self._looked_into = losses

    async def renew(self) -> None:
        """Renew it with what is asked of peers. Raises StorageError."""
        async with self._one_at_a_time:
            self._remote_answers.changed.clear()
            begun = asyncio.get_running_loop().time()
            try:
                if not await self._storage.renew_lease(self._remote_answers.peer_requests):
                    log.warning("the lease had run out")
                    self.losses += 1
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
