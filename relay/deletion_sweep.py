"""What deleted conversations leave in the store, taken away batch by batch, by any process.

A conversation that is deleted is seen no more from that moment on, however much it holds. Its
messages go afterwards: one transaction over a hundred thousand of them would never end, or hold up
everybody else. Who dies in the middle leaves the rest to the others, or to the next start.
"""

import asyncio
import logging
import random
from contextlib import suppress

from storage.contract import Storage
from storage.errors import StorageError
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.deletion_sweep")

# Those of processes that died are looked for as often as such a process's answers.
_SWEEPS_PER_LEASE = 4


class DeletionSweep:
    """Clears deleted conversations, one at a time."""

    def __init__(self, storage: Storage, *, lease_seconds: float) -> None:
        self._storage = storage
        self._lease_seconds = lease_seconds
        self._due = asyncio.Event()
        self._outage = OutageLog(
            log, "deleted conversations are not cleared", "deleted conversations are cleared again"
        )

    def begin(self) -> None:
        """A conversation was deleted here."""
        self._due.set()

    async def run(self) -> None:
        """Clear until cancelled: at once what is there, then what is deleted here or was left."""
        while True:
            self._due.clear()
            try:
                await self._clear_all()
            except StorageError as error:
                self._outage.failed(error.reason, error)
            else:
                self._outage.succeeded()
            pause = self._lease_seconds / _SWEEPS_PER_LEASE * random.uniform(0.5, 1.5)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._due.wait()

    async def _clear_all(self) -> None:
        """It takes half of the time at most, whatever a batch takes, and leaves others the rest."""
        loop = asyncio.get_running_loop()
        while (deletion := await self._storage.deletion()) is not None:
            while True:
                began = loop.time()
                if not await self._storage.clear(deletion):
                    break
                await asyncio.sleep(loop.time() - began)
