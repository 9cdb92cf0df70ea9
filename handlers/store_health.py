"""Whether the store serves: one ping for all who ask, and one line when it stops or resumes.

`/readyz` is open to everybody, and each ping is a command in the queue of those that requests wait
for. So pings are shared, whoever asks and however often.
"""

import asyncio
import logging

from storage.contract import Storage
from storage.errors import Reason, StorageError
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.storage")

# Seconds for which a ping's result is good: balancers ask every few seconds each, and a store that
# fails is told to the next one who asks.
FRESH_SECONDS = 1.0

# A balancer gives up after a few seconds; a store that takes longer is not ready.
TIMEOUT_SECONDS = 2.0

# Seconds between pings of our own while the store fails.
_RETRY_SECONDS = 2.0

# What fails while pings succeed is about some requests only; without any for so long it is over.
_QUIET_SECONDS = 60.0


class StoreHealth:
    """What is known of the store by pings, and by the requests that it failed."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._ping: asyncio.Task[None] | None = None
        self._pinged_at = float("-inf")  # by the loop's clock, as all times here
        self._fresh_until = float("-inf")
        self._last_failure: StorageError | None = None  # of the last ping
        self._outage = OutageLog(
            log, "requests are refused, the store fails", "the store serves again", times="refused"
        )
        self._failed = asyncio.Event()
        self._failed_at = float("-inf")

    async def check(self) -> None:
        """Return if questions can be kept, as far as was seen within a second. Raises StorageError.

        A ping that takes long is waited for and not joined by another one: it is in a queue.
        """
        loop = asyncio.get_running_loop()
        if self._ping is None and loop.time() >= self._fresh_until:
            self._pinged_at = loop.time()
            self._ping = asyncio.create_task(self._run_ping())
        if (ping := self._ping) is not None:
            timeout = max(0.0, self._pinged_at + TIMEOUT_SECONDS - loop.time())
            await asyncio.wait({ping}, timeout=timeout)
            if not ping.done() or ping.cancelled():
                raise StorageError("the store does not answer", reason=Reason.TIMEOUT)
            ping.result()  # a bug, if it is one
        if self._last_failure is not None:
            raise StorageError(str(self._last_failure), reason=self._last_failure.reason)

    def failed(self, error: StorageError) -> None:
        """A request failed for want of the store: told once an outage."""
        self._failed_at = asyncio.get_running_loop().time()
        if not self._outage.is_ongoing:
            self._fresh_until = float("-inf")  # what was seen before is no longer so
        self._outage.failed(error.reason, error)
        self._failed.set()

    async def run(self) -> None:
        """Look whether outages that requests have met are over, until cancelled."""
        while True:
            await self._failed.wait()
            await self._end_of_outage()
            self._outage.succeeded()
            self._failed.clear()

    async def close(self) -> None:
        """Ping no more."""
        if self._ping is not None:
            self._ping.cancel()
            await asyncio.wait({self._ping})

    async def _run_ping(self) -> None:
        try:
            await self._storage.ping()
        except StorageError as error:
            self._last_failure = error.with_traceback(None)
        else:
            self._last_failure = None
        finally:
            self._fresh_until = asyncio.get_running_loop().time() + FRESH_SECONDS
            self._ping = None

    async def _end_of_outage(self) -> None:
        loop = asyncio.get_running_loop()
        has_failed = False
        while True:
            await asyncio.sleep(_RETRY_SECONDS)
            try:
                await self.check()
            except StorageError:
                has_failed = True
            else:
                if has_failed or loop.time() >= self._failed_at + _QUIET_SECONDS:
                    return
