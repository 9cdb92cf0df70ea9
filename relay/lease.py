"""This process' lease on its answers, renewed together with its peer requests."""

import asyncio
import logging

from relay.remote_answers import RemoteAnswers
from storage.contract import CoordinationStore
from storage.errors import StorageError, failure

log = logging.getLogger("headrace.leases")


class Lease:
    """The one document of this process in the store: that it lives, and its peer requests."""

    def __init__(
        self, storage: CoordinationStore, remote_answers: RemoteAnswers, *, seconds: float
    ) -> None:
        self._storage = storage
        self._remote_answers = remote_answers
        self.seconds = seconds
        self._renewed_at = -seconds  # by the loop's clock, just before the renewal was sent
        self.losses = 0  # how often it may have expired
        self._handled_losses = 0  # the number of those that were handled
        self._publishing: asyncio.Task[None] | None = None
        # Two at once might be stored in the wrong order, and the older peer requests would count.
        self._renewal_lock = asyncio.Lock()

    @property
    def is_held(self) -> bool:
        """Whether no other process can have ended an answer of this one unnoticed."""
        if self.has_unhandled_loss:
            return False
        return asyncio.get_running_loop().time() < self._renewed_at + self.seconds

    @property
    def has_unhandled_loss(self) -> bool:
        """Whether the lease had expired and its consequences were not examined yet."""
        return self.losses > self._handled_losses

    def mark_handled(self, losses: int) -> None:
        """So many losses were examined: the answers that were lost are cancelled."""
        self._handled_losses = losses

    async def renew(self) -> None:
        """Renew the lease, with the current peer requests. Raises StorageError."""
        async with self._renewal_lock:
            self._remote_answers.changed.clear()
            begun = asyncio.get_running_loop().time()
            try:
                if not await self._storage.renew_lease(self._remote_answers.peer_requests):
                    log.warning("the lease had expired")
                    self.losses += 1
            except BaseException:
                self._remote_answers.changed.set()  # not reported yet
                raise
            self._renewed_at = begun

    async def publish(self) -> None:
        """Store the current peer requests. Raises StorageError.

        Concurrent callers share a renewal: not the one in progress, which may have begun too early
        for them, but the next. One for each caller would delay the lease itself.
        """
        if self._publishing is not None:
            await self._published(self._publishing)
        # The renewal in progress is not stored yet, and may fail.
        if self._remote_answers.changed.is_set() or self._renewal_lock.locked():
            if self._publishing is None:
                self._publishing = asyncio.create_task(self.renew())
                self._publishing.add_done_callback(self._published_all)
            await self._published(self._publishing)

    async def _published(self, publishing: asyncio.Task[None]) -> None:
        await asyncio.wait(
            {publishing}
        )  # a caller that is cancelled must not cancel it for the others
        if isinstance(error := publishing.exception(), StorageError):
            raise failure(str(error), error.reason)  # each caller gets an exception of its own
        publishing.result()

    def _published_all(self, publishing: asyncio.Task[None]) -> None:
        self._publishing = None
        if not publishing.cancelled():
            publishing.exception()  # retrieved here, since no caller may be left to do it
