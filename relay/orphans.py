"""Ends orphans: live answers of processes that died.

Orphans keep their readers waiting and their conversations busy. All processes search for them, and
each ending matches only while the answer is live, so that one process writes it.
"""

import asyncio
import logging
import random

from model.messages import Message
from relay.admission import Admission
from relay.endings import orphaned
from relay.outbox import Outbox, end_answer_with
from storage.contract import Storage
from storage.errors import StorageError
from telemetry.log_event import LogEvent
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.relay")

# How often in a lease they are searched for: their readers wait little longer than the lease of the
# dead process.
_SWEEPS_PER_LEASE = 4


class Orphans:
    """Finds and ends orphans."""

    def __init__(
        self,
        storage: Storage,
        admission: Admission,
        *,
        lease_seconds: float,
        outbox: Outbox | None = None,
    ) -> None:
        self._storage = storage
        self._admission = admission
        self._lease_seconds = lease_seconds
        self._end_answer = end_answer_with(storage, outbox)
        self._outage = OutageLog(
            logging.getLogger("headrace.leases"), "orphans not ended", "orphans ended again"
        )

    async def end_all(self) -> bool:
        """End all orphans there are; returns whether this process ended any. Raises
        StorageError.
        """
        ended_any = False
        while orphans := await self._storage.orphans():
            ended = [message.id for message in orphans if await self._end(message)]
            if not ended:  # another process ends them
                break
            ended_any = True
        return ended_any

    async def run(self) -> None:
        """Sweep until cancelled, at random moments, so that processes do not all sweep at once."""
        while True:
            pause = self._lease_seconds / _SWEEPS_PER_LEASE * random.uniform(0.5, 1.5)
            await asyncio.sleep(pause)
            try:
                await self.end_all()
            except StorageError as error:
                self._outage.failed(error.reason, error)
            else:
                self._outage.succeeded()

    async def _end(self, message: Message) -> bool:
        try:
            ending = orphaned(message)
            ended = await self._end_answer(message.id, message.owner or "", ending)
        except StorageError:
            raise
        except Exception as error:  # a bug, about this one: it must not cost all the others
            log.error(LogEvent("orphan not ended", answer=message.id), exc_info=error)
            return False
        if ended:
            log.info(LogEvent("answer interrupted, its process died", answer=message.id))
            self._admission.charge(message.user, ending.usage)
        return ended
