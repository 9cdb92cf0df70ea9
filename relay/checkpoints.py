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
            self._failed("checkpoints fail, answers go on: %s", error)
            return
        except Exception as error:  # noqa: BLE001 -- a bug must not end the saving of all answers
            self._failed("checkpoints fail by a bug, answers go on", exc_info=error)
            return
        if self._failing:
            log.info("checkpoints work again")
        self._failing = False
        for answer, chunk in writing.items():
            if self._frozen.pop(answer, None) is not None:  # else it ended meanwhile
                self._stored[answer] = chunk.position + length(chunk.pieces)

    def _failed(self, words: str, *values: object, exc_info: Exception | None = None) -> None:
        """Say it once an outage, not once a second."""
        if not self._failing:
            level = logging.WARNING if exc_info is None else logging.ERROR
            log.log(level, words, *values, exc_info=exc_info)
        self._failing = True
