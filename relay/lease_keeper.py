"""Keeping the lease for as long as the process lives, and cancelling what a lost one has cost.

While the lease had run out others may have taken this process for dead, and ended its answers.
"""

import asyncio
import logging
from contextlib import suppress

from model.messages import Status
from relay.checkpoints import Checkpoints
from relay.leases import Lease
from relay.live_answers import LiveAnswers
from relay.remote_answers import RemoteAnswers
from storage.contract import Storage
from storage.errors import StorageError
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.leases")

# A lease is renewed this often while it lasts, so that one or two failures do not cost it.
_RENEWALS_PER_LEASE = 6

# Seconds between two renewals for the sake of what is asked of others. It bounds the writes when
# readers come and go by the hundred, and is less than anybody's tick.
_SHORTEST_PAUSE = 0.05


class LeaseKeeper:
    """Renews the lease now and then, and at once when there is something new to ask of peers."""

    def __init__(
        self,
        storage: Storage,
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
        """Renew it until cancelled; whenever it had run out, look what that has cost.

        And once a lease all the same: a sweeper may have been slow to act on what it saw.
        """
        loop = asyncio.get_running_loop()
        look_at = loop.time() + self._lease.seconds
        while True:
            try:
                await self._lease.renew()
                if self._lease.is_in_doubt or loop.time() >= look_at:
                    losses, look_at = self._lease.losses, loop.time() + self._lease.seconds
                    await self._cancel_lost_answers()
                    self._lease.look_into(losses)
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
        """Cancel those that the store no longer calls live. Raises StorageError."""
        ours = [generation for generation in self._live if generation.is_stored]
        if not ours:
            return
        live = await self._storage.own_live_answers()
        for generation in ours:
            if generation.answer.id not in live:
                self._checkpoints.discard(generation.answer)  # not one chunk more
                generation.cancel(Status.INTERRUPTED)
