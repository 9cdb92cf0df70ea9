"""Peer requests: other processes ask that an answer of this one goes on or stops."""

import asyncio
import logging

from model.messages import Status
from relay.checkpoints import Checkpoints
from relay.live_answers import LiveAnswers
from relay.remote_answers import FOLLOWED_SECONDS
from storage.contract import CoordinationStore
from storage.errors import StorageError
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.peer_requests")


class PeerRequestPoller:
    """Polls the peer requests and applies them to the live answers."""

    def __init__(
        self,
        storage: CoordinationStore,
        checkpoints: Checkpoints,
        live: LiveAnswers,
        *,
        interval: float,
        lease_seconds: float,
    ) -> None:
        self._storage = storage
        self._checkpoints = checkpoints
        self._live = live
        self._interval = interval  # seconds
        self._lease_seconds = lease_seconds
        self._follows: frozenset[str] = frozenset()
        self._outage = OutageLog(
            log,
            "peer requests cannot be read",
            "peer requests can be read again",
        )
        self._looked_at = asyncio.get_running_loop().time()
        self._absence_counts_at = (
            0.0  # by the loop's clock: after it, answers that are not named are no longer followed
        )

    async def run(self) -> None:
        """Poll until cancelled, while peers can ask for anything."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(
                min(FOLLOWED_SECONDS, self._interval) if self._follows else self._interval
            )
            if not len(self._live):
                self._follows, self._looked_at = frozenset(), loop.time()
                continue
            try:
                await self.poll()
            except StorageError as error:
                self._outage.failed(error.reason, error)
            else:
                self._outage.succeeded()

    async def poll(self) -> None:
        """Read the current peer requests and apply them. Raises StorageError.

        After an outage the leases of the followers may have expired as well: as long as it takes to
        renew them, answers that were followed count as followed, so that none is abandoned.
        """
        requests = await self._storage.peer_requests()
        time = asyncio.get_running_loop().time()
        if time - self._looked_at > self._lease_seconds / 2:
            self._absence_counts_at = time + self._lease_seconds
        self._looked_at = time
        for answer_id in requests.stops:
            self._live.cancel(answer_id, Status.STOPPED)
        for answer_id in requests.stops_unread - requests.follows:
            if (generation := self._live.get(answer_id)) and not generation.answer.readers:
                generation.cancel(Status.STOPPED)
        before, self._follows = self._follows, requests.follows
        if time < self._absence_counts_at:
            self._follows |= frozenset(each for each in before if each in self._live)
        for answer_id in before | self._follows:
            if generation := self._live.get(answer_id):
                followed = answer_id in self._follows
                self._checkpoints.set_followed(generation.answer, followed)
                generation.reader_timeout.follow(followed)
