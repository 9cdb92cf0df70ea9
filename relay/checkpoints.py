"""Saves growing answers: one write a second for all of them together.

A chunk is an answer's growth since the previous chunk. It does not change until the store has
confirmed it: a retry sends the same bytes, so that "it exists" means success. What grows in the
meantime stays in the answer, whose length is bounded: an outage fills no queue.
"""

import asyncio
import logging
from collections.abc import Iterable

from model.growth import Chunk
from model.messages import Status
from relay.answer import Answer, length
from relay.lease import Lease
from relay.live_answers import LiveAnswers
from relay.remote_answers import FOLLOWED_SECONDS
from storage.contract import LiveAnswerStore
from storage.errors import StorageError, TooLarge
from telemetry.log_event import LogEvent
from telemetry.outage_log import OutageLog

log = logging.getLogger("headrace.checkpoints")


class Checkpoints:
    """The growing answers of this process, and how much of each is stored.

    Nothing is written while the lease is not held: other processes may have ended these answers.
    Answers whose conversation was deleted, by whichever process, are cancelled.
    """

    def __init__(
        self,
        storage: LiveAnswerStore,
        lease: Lease,
        live: LiveAnswers,
        *,
        interval: float,
    ) -> None:
        self._storage = storage
        self._interval = interval  # seconds
        self._lease = lease
        self._live = live
        self._stored: dict[Answer, int] = {}  # the position up to which it is stored
        self._frozen: dict[Answer, Chunk] = {}
        self._followed: set[Answer] = set()
        self._outage = OutageLog(log, "checkpoints fail, answers go on", "checkpoints work again")
        self._saved_at = 0.0  # by the loop's clock: all growth up to then is stored

    def add(self, answer: Answer) -> None:
        """Save `answer` from now on."""
        self._stored[answer] = 0

    def discard(self, answer: Answer) -> None:
        """Stop saving the answer: its ending contains all of it."""
        self._stored.pop(answer, None)
        self._frozen.pop(answer, None)
        self._followed.discard(answer)

    def set_followed(self, answer: Answer, followed: bool) -> None:
        """Save `answer` more often while other processes follow it."""
        if followed and answer in self._stored:
            self._followed.add(answer)
        else:
            self._followed.discard(answer)

    @property
    def backlog(self) -> tuple[int, float]:
        """The number of characters that are not stored, and for how many seconds at most they
        wait.
        """
        unsaved = sum(answer.position - stored for answer, stored in self._stored.items())
        waited = asyncio.get_running_loop().time() - self._saved_at if unsaved else 0.0
        return unsaved, waited

    async def run(self) -> None:
        """Write checkpoints until cancelled, and more often for answers that are followed."""
        loop = asyncio.get_running_loop()
        self._saved_at = loop.time()
        all_at = loop.time() + self._interval
        while True:
            pause = max(all_at - loop.time(), 0)
            await asyncio.sleep(min(pause, FOLLOWED_SECONDS) if self._followed else pause)
            if loop.time() < all_at:
                await self.tick(self._followed)
            else:
                began = loop.time()
                all_at = began + self._interval
                if await self.tick(self._stored):
                    self._saved_at = began

    async def tick(self, answers: Iterable[Answer]) -> bool:
        """Write the growth of `answers`; returns whether that succeeded.

        What the store does not take is retried unchanged by the next tick.
        """
        if not self._lease.is_held:
            return False
        for answer in answers:
            stored = self._stored[answer]
            if answer not in self._frozen and answer.position > stored:
                pieces = tuple(answer.beyond(stored))
                self._frozen[answer] = Chunk(answer.id, stored, pieces)
        if not self._frozen:
            return True
        writing = dict(self._frozen)
        gone: frozenset[str] = frozenset()
        try:
            gone = await self._storage.append_chunks(list(writing.values()))
        except TooLarge:  # one of them may be, and must not prevent the others
            writing = await self._written_singly(writing)
        except StorageError as error:
            self._outage.failed(error.reason, error)
            return False
        except Exception as error:  # a bug with one of them must not prevent the others
            log.error("checkpoints fail because of a bug", exc_info=error)
            writing = await self._written_singly(writing)
        self._outage.succeeded()
        for answer, chunk in writing.items():
            if self._frozen.pop(answer, None) is not None:  # else it ended in the meantime
                self._stored[answer] = chunk.position + length(chunk.pieces)
            if answer.id in gone:
                self.discard(answer)
                # The question had slipped in between the conversation's last answer and its end.
                self._live.cancel(answer.id, Status.STOPPED)
        return not self._frozen

    async def _written_singly(self, chunks: dict[Answer, Chunk]) -> dict[Answer, Chunk]:
        """Those of `chunks` that can be written. An answer whose chunk cannot is saved no more."""
        written = {}
        for answer, chunk in chunks.items():
            try:
                await self._storage.append_chunks([chunk])
            except TooLarge:
                log.warning(
                    LogEvent("growth of an answer is too large to be saved", answer=answer.id)
                )
                self.discard(answer)
            except StorageError:
                continue
            except Exception as error:
                log.error(
                    LogEvent("checkpoints of an answer given up", answer=answer.id), exc_info=error
                )
                self.discard(answer)
            else:
                written[answer] = chunk
        return written
