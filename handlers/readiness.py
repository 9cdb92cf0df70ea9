"""Whether the store serves: one look at it for all who ask, and one line when it stops or resumes.

`/readyz` is open to everybody, and each look is a command in the queue of those that requests wait
for. So looks are shared, whoever asks and however often.
"""

import asyncio
import logging

from storage.contract import Storage
from storage.errors import Reason, StorageError
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.storage")

# Seconds for which a look's result is good: balancers ask every few seconds each, and a store that
# fails is told to the next one who asks.
GOOD_SECONDS = 1.0

# A balancer gives up after a few seconds; a store that takes longer is not ready.
PATIENCE_SECONDS = 2.0

# Seconds between looks of our own while the store fails.
_LOOK_AGAIN_SECONDS = 2.0

# What fails while looks succeed is about some requests only; without any for so long it is over.
_QUIET_SECONDS = 60.0


class Readiness:
    """What is known of the store by looking at it, and by the requests that it failed."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._looking: asyncio.Task[None] | None = None
        self._began_at = float("-inf")  # by the loop's clock, as all times here
        self._good_until = float("-inf")
        self._failure: StorageError | None = None  # of the last look
        self._outage = OutageLog(
            log, "requests are refused, the store fails", "the store serves again", times="refused"
        )
        self._met = asyncio.Event()
        self._met_at = float("-inf")

    async def check(self) -> None:
        """Return if questions can be kept, as far as was seen within a second. Raises StorageError.

        A look that takes long is waited for and not joined by another one: it is in a queue.
        """
        loop = asyncio.get_running_loop()
        if self._looking is None and loop.time() >= self._good_until:
            self._began_at = loop.time()
            self._looking = asyncio.create_task(self._look())
        if (look := self._looking) is not None:
            patience = max(0.0, self._began_at + PATIENCE_SECONDS - loop.time())
            await asyncio.wait({look}, timeout=patience)
            if not look.done() or look.cancelled():
                raise StorageError("the store does not answer", reason=Reason.TIMEOUT)
            look.result()  # a bug, if it is one
        if self._failure is not None:
            raise StorageError(str(self._failure), reason=self._failure.reason)

    def refused(self, error: StorageError) -> None:
        """A request failed for want of the store: told once an outage."""
        self._met_at = asyncio.get_running_loop().time()
        if not self._outage.is_ongoing:
            self._good_until = float("-inf")  # what was seen before is no longer so
        self._outage.failed(error.reason, error)
        self._met.set()

    async def run(self) -> None:
        """Look whether outages that requests have met are over, until cancelled."""
        while True:
            await self._met.wait()
            await self._end_of_outage()
            self._outage.succeeded()
            self._met.clear()

    async def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    async def _look(self) -> None:
        try:
            await self._storage.ping()
        except StorageError as error:
            self._failure = error.with_traceback(None)
        else:
            self._failure = None
        finally:
            self._good_until = asyncio.get_running_loop().time() + GOOD_SECONDS
            self._looking = None

    async def _end_of_outage(self) -> None:
        loop = asyncio.get_running_loop()
        has_failed = False
        while True:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            try:
                await self.check()
            except StorageError:
                has_failed = True
            else:
                if has_failed or loop.time() >= self._met_at + _QUIET_SECONDS:
                    return
