"""What other processes want of our answers: that they go on, being read there, or stop."""

import asyncio
import logging
from collections.abc import Mapping

from relay.checkpoints import Checkpoints
from relay.following import FOLLOWED_SECONDS
from relay.running import Running
from storage.base import Status, Storage, StorageError

log = logging.getLogger("headrace.heeding")


class Heeding:
    """Looks what others want, and has `running` answers heed it."""

    def __init__(
        self,
        storage: Storage,
        checkpoints: Checkpoints,
        running: Mapping[str, Running],
        *,
        interval: float,
    ) -> None:
        self._storage = storage
        self._checkpoints = checkpoints
        self._running = running
        self._interval = interval  # seconds
        self._follows: frozenset[str] = frozenset()
        self._failing = False

    async def run(self) -> None:
        """Look until cancelled, while there is anything to be wanted."""
        while True:
            await asyncio.sleep(
                min(FOLLOWED_SECONDS, self._interval) if self._follows else self._interval
            )
            if not self._running:
                continue
            try:
                await self.look()
            except StorageError as error:
                # Whoever was known to follow is taken to follow still: an outage abandons nobody.
                if not self._failing:
                    log.warning("what other processes want is not known: %s", error)
                self._failing = True
            else:
                self._failing = False

    async def look(self) -> None:
        """Learn what is wanted now, and heed it. Raises StorageError."""
        wanted = await self._storage.wanted()
        for answer_id in wanted.stops:
            if running := self._running.get(answer_id):
                running.halt(Status.STOPPED)
        before, self._follows = self._follows, wanted.follows
        for answer_id in before | wanted.follows:
            if running := self._running.get(answer_id):
                followed = answer_id in wanted.follows
                self._checkpoints.hurry(running.answer, followed)
                running.follow(followed)
