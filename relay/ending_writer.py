"""Writes endings, and retries while the store fails: for a lease's time with readers waiting,
then on.

After that time other processes may declare this one dead, so readers get `interrupted`, and that
ending is retried until the store takes it or reports that the answer belongs to another process. If
the store can never hold an ending, it is written without what makes it too large. Otherwise the
answer would stay live, and its conversation busy, as long as this process runs.
"""

import asyncio
import logging
from typing import NamedTuple

from model.messages import Ending
from relay.endings import failed_by_a_bug, interrupted, too_long
from relay.errors import StorageUnavailable
from relay.outbox import Outbox, end_answer_with
from storage.contract import LiveAnswerStore
from storage.errors import Reason, StorageError, TooLarge
from telemetry.log_event import LogEvent
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.relay")

# Seconds between two attempts: soon enough after a short failure, and after an election.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

# Seconds to wait until it is known whether an earlier question was stored: the store's own timeout.
_DOUBT_SECONDS = 5.0

# The largest number of endings that are retried after their readers got `interrupted`. Others are
# left to the sweep after this process' end.
_MAX_LATE = 10_000


class _UnwrittenEnding(NamedTuple):
    """An ending that is still retried."""

    ending: Ending
    arrives_until: float  # by the loop's clock: the question itself may be stored as late
    over: asyncio.Event  # set when it is retried no more


class EndingWriter:
    """Writes the endings of this process' answers."""

    def __init__(
        self, storage: LiveAnswerStore, *, lease_seconds: float, outbox: Outbox | None = None
    ) -> None:
        self._storage = storage
        self._end_answer = end_answer_with(storage, outbox)
        self._lease_seconds = lease_seconds
        self._unwritten: dict[str, _UnwrittenEnding] = {}
        self._task: asyncio.Task[None] | None = None
        self._outage = OutageLog(
            log, "endings of answers cannot be stored", "endings of answers can be stored again"
        )

    @property
    def late(self) -> int:
        """The number of endings that are still retried."""
        return len(self._unwritten)

    async def write(self, answer_id: str, ending: Ending) -> Ending | None:
        """Write `ending` and return what readers get: it, or that it could not be stored.

        None: the answer no longer belonged to this process.
        """
        try:
            stored = await self._tried_for_a_lease(answer_id, ending)
        except TooLarge:
            return await self.write(answer_id, too_long(ending))
        except StorageError:
            published = interrupted(ending, StorageUnavailable())
            self._retry_later(answer_id, _UnwrittenEnding(published, 0.0, asyncio.Event()))
        except Exception as error:  # a bug, which must not leave readers waiting for ever
            log.error(LogEvent("ending not stored", answer=answer_id), exc_info=error)
            published = failed_by_a_bug(ending)
            self._retry_later(answer_id, _UnwrittenEnding(published, 0.0, asyncio.Event()))
        else:
            return ending if stored else None
        return published

    def write_if_stored(self, answer_id: str, ending: Ending) -> None:
        """Write `ending` if the answer turns out to have been stored, without waiting for that."""
        arrives_until = asyncio.get_running_loop().time()
        if not self._storage.writes_are_ordered:
            arrives_until += self._lease_seconds
        self._retry_later(answer_id, _UnwrittenEnding(ending, arrives_until, asyncio.Event()))

    async def wait_until_known(self, answer_id: str) -> None:
        """Wait until the answer's ending is no longer retried, if it is.

        Raises StorageError if it still is after `_DOUBT_SECONDS`.
        """
        if (late := self._unwritten.get(answer_id)) is None:
            return
        try:
            async with asyncio.timeout(_DOUBT_SECONDS):
                await late.over.wait()
        except TimeoutError:
            raise StorageError("it is not known yet whether the question is stored") from None

    async def close(self) -> None:
        """Stop retrying. What is live in the store then is ended by the next process."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _tried_for_a_lease(self, answer_id: str, ending: Ending) -> bool:
        """Whether it was stored. Raises StorageError once the lease is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._lease_seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                stored = await self._end_answer(answer_id, self._storage.process, ending)
            except StorageError as error:
                self._outage.failed(error.reason, error)
                if isinstance(error, TooLarge) or loop.time() + pause > deadline:
                    raise
            else:
                self._outage.succeeded()
                return stored
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _retry_later(self, answer_id: str, late: _UnwrittenEnding) -> None:
        if len(self._unwritten) >= _MAX_LATE:
            log.warning(LogEvent("ending left to the next sweep", answer=answer_id))
            return
        self._unwritten[answer_id] = late
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._try_all())

    async def _try_all(self) -> None:
        """Retry all endings in rounds until none is left. A round ends where the store fails again.

        A failure by damage does not end it, since only this one answer may be affected.
        """
        pause = _FIRST_PAUSE
        while self._unwritten:
            for answer_id, late in list(self._unwritten.items()):
                try:
                    await self._try_once(answer_id, late)
                except StorageError as error:
                    self._outage.failed(error.reason, error)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    if error.reason is not Reason.CORRUPT:
                        break
            await asyncio.sleep(pause)

    async def _try_once(self, answer_id: str, late: _UnwrittenEnding) -> None:
        try:
            try:
                stored = await self._end_answer(answer_id, self._storage.process, late.ending)
            except TooLarge:
                self._unwritten[answer_id] = late._replace(ending=too_long(late.ending))
                return
        except StorageError:
            raise
        except Exception as error:  # a bug, which must not prevent the others from being written
            log.error(
                LogEvent("ending not stored, retries given up", answer=answer_id), exc_info=error
            )
            self._give_up(answer_id)
            return
        self._outage.succeeded()
        if stored:
            log.info(LogEvent("answer ended late", status=late.ending.status, answer=answer_id))
        if stored or asyncio.get_running_loop().time() > late.arrives_until:
            self._give_up(answer_id)

    def _give_up(self, answer_id: str) -> None:
        self._unwritten.pop(answer_id).over.set()
