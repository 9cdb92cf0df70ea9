"""Tracks whether the store works: by a shared ping, and by requests that failed.

`/readyz` is open to everybody, and each ping is a command in the same queue as those of requests.
So one ping serves all who ask, and an outage is logged once.
"""

import asyncio
import logging

from storage.contract import StoreLifecycle
from storage.errors import Reason, StorageError
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.storage")

# Seconds for which a ping's result is used: load balancers ask every few seconds, and should notice
# a failing store at the next time.
FRESH_SECONDS = 1.0

# Seconds for a ping. Load balancers give up after a few seconds, so a slower store is not ready.
TIMEOUT_SECONDS = 2.0

# Seconds between pings during an outage.
_RETRY_SECONDS = 2.0

# Seconds. If requests fail while pings succeed, the outage concerns some requests only; it is over
# after so long without a failure.
_QUIET_SECONDS = 60.0


class StoreHealth:
    """What is known of the store, from pings and from requests that failed."""

    def __init__(self, storage: StoreLifecycle) -> None:
        self._storage = storage
        self._ping: asyncio.Task[None] | None = None
        self._pinged_at = float("-inf")  # by the loop's clock, like all times here
        self._fresh_until = float("-inf")
        self._last_failure: StorageError | None = None  # the error of the last ping
        self._outage = OutageLog(
            log, "requests are refused, the store fails", "the store serves again", times="refused"
        )
        self._failed = asyncio.Event()
        self._failed_at = float("-inf")

    async def check(self) -> None:
        """Return if questions can be stored, as found within the last second. Raises StorageError.

        A slow ping is waited for and not joined by another one, since it is queued.
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
            ping.result()  # raises only a bug
        if self._last_failure is not None:
            raise StorageError(str(self._last_failure), reason=self._last_failure.reason)

    def failed(self, error: StorageError) -> None:
        """A request failed because of the store; one line is logged for each outage."""
        self._failed_at = asyncio.get_running_loop().time()
        if not self._outage.is_ongoing:
            self._fresh_until = float("-inf")  # an earlier result is outdated
        self._outage.failed(error.reason, error)
        self._failed.set()

    async def run(self) -> None:
        """Find out when outages that requests have met are over, until cancelled."""
        while True:
            await self._failed.wait()
            await self._end_of_outage()
            self._outage.succeeded()
            self._failed.clear()

    async def close(self) -> None:
        """Stop pinging."""
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
