"""Saving answers as they stream: one write a tick for all of them together.

A chunk holds an answer's growth since the one before it. It is frozen until the store has
acknowledged it: a retry sends the same bytes, so that "already there" means success.
"""

import asyncio
import logging

from relay.answer import Answer, length
from storage.base import Chunk, Storage, StorageError

log = logging.getLogger("headrace.checkpoints")


class Checkpoints:
    """The growing answers of this process, and how much of each is stored."""

    def __init__(self, storage: Storage, *, interval: float) -> None:
        self._storage = storage
        self._interval = interval  # seconds
        self._stored: dict[Answer, int] = {}  # up to which position
        self._frozen: dict[Answer, Chunk] = {}
        self._failing = False

    def add(self, answer: Answer) -> None:
        """Save `answer` from now on."""
        self._stored[answer] = 0

    def discard(self, answer: Answer) -> None:
        """Save it no more: its ending holds all of it."""
        self._stored.pop(answer, None)
        self._frozen.pop(answer, None)

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.tick()

    async def tick(self) -> None:
        """Write what grew. What the store did not take stays frozen for the next tick."""
        for answer, stored in self._stored.items():
            if answer not in self._frozen and answer.position > stored:
                pieces = tuple(answer.beyond(stored))
                self._frozen[answer] = Chunk(answer.id, stored, pieces)
        if not self._frozen:
            return
        writing = dict(self._frozen)
        try:
            await self._storage.append_chunks(list(writing.values()))
        except StorageError as error:
            if not self._failing:  # once an outage, not once a second
                log.warning("checkpoints fail, answers go on: %s", error)
            self._failing = True
            return
        except Exception as error:  # a bug, about one of them: it must not cost all the others
            log.error("checkpoints fail by a bug", exc_info=error)
            writing = await self._written_singly(writing)
        if self._failing:
            log.info("checkpoints work again")
        self._failing = False
        for answer, chunk in writing.items():
            if self._frozen.pop(answer, None) is not None:  # else it ended meanwhile
                self._stored[answer] = chunk.position + length(chunk.pieces)

    async def _written_singly(self, chunks: dict[Answer, Chunk]) -> dict[Answer, Chunk]:
        """Those of `chunks` that can be written. An answer whose chunk cannot is saved no more."""
        written = {}
        for answer, chunk in chunks.items():
            try:
                await self._storage.append_chunks([chunk])
            except StorageError:
                continue
            except Exception as error:
                log.error("checkpoints of an answer given up answer=%s", answer.id, exc_info=error)
                self.discard(answer)
            else:
                written[answer] = chunk
        return written
