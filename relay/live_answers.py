"""The answers that this process generates, from connecting to the provider until they have
ended.
"""

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
        generation.ended.set()
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

    async def wait_until_empty(self) -> None:
        """Return when no answer is live."""
        while self._generations:
            await next(iter(self._generations.values())).ended.wait()


def _cancel(generation: Generation, status: Status) -> None:
    """Cancel one of several. A bug with it is logged, so that the others are cancelled, too."""
    try:
        generation.cancel(status)
    except Exception as error:
        log.error(
            LogEvent("answer not cancelled properly", answer=generation.answer.id), exc_info=error
        )
