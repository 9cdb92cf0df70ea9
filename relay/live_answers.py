"""The answers that this process generates, from connecting to the provider until they have
ended.
"""

import asyncio
import logging
from collections.abc import Iterator

from model.messages import Status
from relay.admission import Admission
from relay.generation import Generation
from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.relay")


class LiveAnswers:
    """The generations of this process, by the ids of their answers."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._generations: dict[str, Generation] = {}
        # Set when an answer is removed. Only those that somebody waits for are here: an event of
        # its own would take every answer 0.7 KB.
        self._removals: dict[str, asyncio.Event] = {}

    def __len__(self) -> int:
        return len(self._generations)

    def __iter__(self) -> Iterator[Generation]:
        return iter(list(self._generations.values()))  # some may end in the meantime

    def __contains__(self, answer_id: str) -> bool:
        return answer_id in self._generations

    def get(self, answer_id: str) -> Generation | None:
        """The generation of an answer; None if it is not live here."""
        return self._generations.get(answer_id)

    def of_user(self, user: str, answer_id: str) -> Generation | None:
        """The generation of an answer, if it belongs to the user."""
        generation = self._generations.get(answer_id)
        return generation if generation is not None and generation.user == user else None

    def add(self, generation: Generation) -> None:
        """Add a generation."""
        self._generations[generation.answer.id] = generation

    def remove(self, generation: Generation) -> None:
        """Remove a generation that has ended, or was never sent, and free its slot."""
        del self._generations[generation.answer.id]
        if (removal := self._removals.pop(generation.answer.id, None)) is not None:
            removal.set()
        self._admission.leave(generation.slot, ended=generation.is_begun)

    def cancel(self, answer_id: str, status: Status) -> None:
        """End an answer as `status`, if it is live here."""
        if (generation := self._generations.get(answer_id)) is not None:
            generation.cancel(status)

    def cancel_all(self, status: Status) -> None:
        """End all answers as `status`."""
        for generation in self:
            _cancel(generation, status)

    def cancel_conversation(self, conversation_id: str, status: Status) -> None:
        """End the answers of a conversation as `status`."""
        for generation in self:
            if generation.answer.conversation_id == conversation_id:
                _cancel(generation, status)

    async def wait_until_ended(self, answer_id: str) -> None:
        """Return once an answer is not live here: its ending is stored and was sent to its
        readers.
        """
        if answer_id in self._generations:
            await self._removals.setdefault(answer_id, asyncio.Event()).wait()

    async def wait_until_empty(self) -> None:
        """Return when no answer is live."""
        while self._generations:
            await self.wait_until_ended(next(iter(self._generations)))


def _cancel(generation: Generation, status: Status) -> None:
    """Cancel one of several. A bug with it is logged, so that the others are cancelled, too."""
    try:
        generation.cancel(status)
    except Exception as error:
        log.error(
            LogEvent("answer not cancelled properly", answer=generation.answer.id), exc_info=error
        )
