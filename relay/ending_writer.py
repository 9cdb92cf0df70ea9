"""Endings, kept whatever the store does: tried for a lease while readers wait, then behind them.

After a lease others may take this process for dead, so readers are told `interrupted` then, and
that is also what goes on being written until the store takes it or says that the answer is no
longer ours. What the store can never hold is written without what makes it so large. Otherwise the
answer would stay live, and its conversation busy, for as long as this process runs.
"""

import asyncio
import logging
from typing import NamedTuple

from model.messages import Ending
from relay.endings import interrupted, too_long
from relay.errors import InternalError, StorageUnavailable
from storage.contract import Storage
from storage.errors import Reason, StorageError, TooLarge
from telemetry.log_event import LogEvent
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.relay")

# Seconds between two tries: soon enough after a hiccup, and after an election.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

# Endings that are written late. An outage can refuse questions for hours; those past this bound are
# left to the sweep that follows this process's end.
_MAX_LATE = 10_000


class _Late(NamedTuple):
    """An ending that goes on being tried."""

    ending: Ending
    arrives_until: float  # by the loop's clock: the question itself may reach the store as late
    over: asyncio.Event  # it is tried no more


class EndingWriter:
    """Writes the endings of this process's answers."""

    def __init__(self, storage: Storage, *, lease_seconds: float) -> None:
        self._storage = storage
        self._lease_seconds = lease_seconds
        self._late: dict[str, _Late] = {}
        self._task: asyncio.Task[None] | None = None
        self._outage = OutageLog(
            log, "endings of answers are not kept", "endings of answers are kept again"
        )

    @property
    def late(self) -> int:
        """How many endings go on being tried."""
        return len(self._late)

    async def write(self, answer_id: str, ending: Ending) -> Ending | None:
        """Write `ending` and return what readers are to be told: it, or that it could not be.

        None: the answer was no longer this process's to end.
        """
        try:
            kept = await self._tried_for_a_lease(answer_id, ending)
        except TooLarge:
            return await self.write(answer_id, too_long(ending))
        except StorageError:
            told = interrupted(ending, StorageUnavailable())
            self._try_late(answer_id, _Late(told, 0.0, asyncio.Event()))
        except Exception as error:  # a bug; it must not leave readers waiting for ever
            log.error(LogEvent("ending not kept", answer=answer_id), exc_info=error)
            told = interrupted(ending, InternalError())
        else:
            return ending if kept else None
        return told

    def write_if_stored(self, answer_id: str, ending: Ending) -> None:
        """Write `ending` if the answer turns out to have been stored; nobody waits for it."""
        arrives_until = asyncio.get_running_loop().time()
        if not self._storage.is_prompt:
            arrives_until += self._lease_seconds
        self._try_late(answer_id, _Late(ending, arrives_until, asyncio.Event()))

    async def settled(self, answer_id: str) -> None:
        """Wait until the answer's ending is tried no more, if it is being tried late."""
        if (late := self._late.get(answer_id)) is not None:
            await late.over.wait()

    async def close(self) -> None:
        """Stop trying. What is live in the store then is the next process's to end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _tried_for_a_lease(self, answer_id: str, ending: Ending) -> bool:
        """Whether it was kept. Raises StorageError once the lease is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._lease_seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                kept = await self._storage.end_answer(answer_id, self._storage.process, ending)
            except StorageError as error:
                self._outage.failed(error.reason, error)
                if isinstance(error, TooLarge) or loop.time() + pause > deadline:
                    raise
            else:
                self._outage.succeeded()
                return kept
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _try_late(self, answer_id: str, late: _Late) -> None:
        if len(self._late) >= _MAX_LATE:
            log.warning(LogEvent("ending left to the next sweep", answer=answer_id))
            return
        self._late[answer_id] = late
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._try_all())

    async def _try_all(self) -> None:
        """Round after round until nothing is left. A round ends where the store fails again.

        Unless it is damaged: that may be where this one answer is, and keeps back no others.
        """
        pause = _FIRST_PAUSE
        while self._late:
            for answer_id, late in list(self._late.items()):
                try:
                    await self._try_once(answer_id, late)
                except StorageError as error:
                    self._outage.failed(error.reason, error)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                    if error.reason is not Reason.CORRUPT:
                        break
            await asyncio.sleep(pause)

    async def _try_once(self, answer_id: str, late: _Late) -> None:
        try:
            kept = await self._storage.end_answer(answer_id, self._storage.process, late.ending)
        except TooLarge:
            self._late[answer_id] = late._replace(ending=too_long(late.ending))
            return
        except StorageError:
            raise
        except Exception as error:  # a bug; it must not keep the others from being written
            log.error(LogEvent("ending not kept, given up", answer=answer_id), exc_info=error)
            self._give_up(answer_id)
            return
        self._outage.succeeded()
        if kept:
            log.info(LogEvent("answer ended late", status=late.ending.status, answer=answer_id))
        if kept or asyncio.get_running_loop().time() > late.arrives_until:
            self._give_up(answer_id)

    def _give_up(self, answer_id: str) -> None:
        self._late.pop(answer_id).over.set()
