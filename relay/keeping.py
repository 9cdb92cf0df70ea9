"""Endings, kept whatever the store does: tried for a lease while readers wait, then behind them.

After a lease others may take this process for dead, so readers are told `interrupted` then, and
that is also what goes on being written until the store takes it or says that the answer is no
longer ours. Otherwise the answer would stay live, and its conversation busy, for as long as this
process runs.
"""

import asyncio
import logging

import msgspec

from relay.errors import InternalError, LeaseLost, RelayError, StorageUnavailable
from storage.base import Ending, Failure, Status, Storage, StorageError

log = logging.getLogger("headrace.relay")

# Seconds between two tries: soon enough after a hiccup, and after an election.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


class EndingKeeper:
    """Writes the endings of this process's answers."""

    def __init__(self, storage: Storage, *, lease_seconds: float) -> None:
        self._storage = storage
        self._lease_seconds = lease_seconds
        self._late: set[asyncio.Task[None]] = set()

    async def keep(self, answer_id: str, ending: Ending) -> Ending:
        """Write `ending` and return what readers are to be told: it, or that it could not be."""
        try:
            kept = await self._tried(answer_id, ending, patience=self._lease_seconds)
        except StorageError:
            told = _interrupted(ending, StorageUnavailable())
            self._go_on_trying(answer_id, told, absent=False)
        except Exception as error:  # a bug; it must not leave readers waiting for ever
            log.error("ending not kept answer=%s", answer_id, exc_info=error)
            told = _interrupted(ending, InternalError())
            self._go_on_trying(answer_id, told, absent=False)
        else:
            told = ending if kept else _interrupted(ending, LeaseLost())
        return told

    def keep_if_asked(self, answer_id: str, ending: Ending) -> None:
        """Write `ending` if the answer turns out to have been stored; nobody waits for it."""
        self._go_on_trying(answer_id, ending, absent=True)

    async def close(self) -> None:
        """Stop trying. What is live in the store then is the next process's to end."""
        for task in self._late:
            task.cancel()
        if self._late:
            await asyncio.wait(self._late)

    async def _tried(self, answer_id: str, ending: Ending, *, patience: float) -> bool:
        """Whether it was kept. Raises StorageError once `patience` seconds are over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._storage.end_answer(answer_id, self._storage.process, ending)
            except StorageError:
                if loop.time() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _go_on_trying(self, answer_id: str, ending: Ending, *, absent: bool) -> None:
        task = asyncio.create_task(self._late_try(answer_id, ending, absent=absent))
        self._late.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._ended)

    async def _late_try(self, answer_id: str, ending: Ending, *, absent: bool) -> None:
        """Write `ending`; `absent` says that a question may arrive in the store behind this."""
        loop = asyncio.get_running_loop()
        arrives_until = loop.time() + self._lease_seconds
        pause = _FIRST_PAUSE
        while True:
            if await self._tried(answer_id, ending, patience=float("inf")):
                log.info("answer ended late status=%s answer=%s", ending.status, answer_id)
                return
            if not absent or loop.time() > arrives_until:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("ending not kept, given up", exc_info=error)


def _interrupted(ending: Ending, error: RelayError) -> Ending:
    return msgspec.structs.replace(
        ending,
        status=Status.INTERRUPTED,
        finish_reason=None,
        error=Failure(error.code, str(error)),
    )
