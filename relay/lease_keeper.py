"""Renews the lease as long as the process lives, and cancels answers that a lost lease has cost.

While the lease was expired, other processes may have declared this one dead and ended its answers.
"""

import asyncio
import logging
from contextlib import suppress

from model.messages import Status
from relay.checkpoints import Checkpoints
from relay.lease import Lease
from relay.live_answers import LiveAnswers
from relay.remote_answers import RemoteAnswers
from storage.contract import CoordinationStore
from storage.errors import StorageError
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.leases")

# How often a lease is renewed while it lasts, so that one or two failures do not lose it.
_RENEWALS_PER_LEASE = 6

# Seconds between two renewals because of peer requests. It bounds the writes when readers connect
# and disconnect by the hundred, and is shorter than any process' poll.
_SHORTEST_PAUSE = 0.05


class LeaseKeeper:
    """Renews the lease periodically, and at once when the peer requests change."""

    def __init__(
        self,
        storage: CoordinationStore,
        lease: Lease,
        *,
        live: LiveAnswers,
        checkpoints: Checkpoints,
        remote_answers: RemoteAnswers,
    ) -> None:
        self._storage = storage
        self._lease = lease
        self._live = live
        self._checkpoints = checkpoints
        self._remote_answers = remote_answers
        self._pause = lease.seconds / _RENEWALS_PER_LEASE
        self._outage = OutageLog(log, "lease not renewed", "lease renewed again")

    async def run(self) -> None:
        """Renew the lease until cancelled; whenever it had expired, find out which answers were
        lost.

        It does so once a lease as well, since another process may act late on what it read.
        """
        loop = asyncio.get_running_loop()
        look_at = loop.time() + self._lease.seconds
        while True:
            try:
                await self._lease.renew()
                if self._lease.has_unhandled_loss or loop.time() >= look_at:
                    losses, look_at = self._lease.losses, loop.time() + self._lease.seconds
                    await self._cancel_lost_answers()
                    self._lease.mark_handled(losses)
            except StorageError as error:
                self._outage.failed(error.reason, error)
                self._lease.losses += 1
                await asyncio.sleep(self._pause)
                continue
            self._outage.succeeded()
            await asyncio.sleep(min(_SHORTEST_PAUSE, self._pause))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._remote_answers.changed.wait()

    async def _cancel_lost_answers(self) -> None:
        """Cancel the answers that the store no longer has as live. Raises StorageError."""
        ours = [generation for generation in self._live if generation.is_stored]
        if not ours:
            return
        live = await self._storage.own_live_answers()
        for generation in ours:
            if generation.answer.id not in live:
                self._checkpoints.discard(generation.answer)  # write no more chunks of it
                generation.cancel(Status.INTERRUPTED)
