"""Ending an answer because somebody asks for that, wherever it is generated."""

import asyncio
from contextlib import suppress

from model.messages import Status
from relay.answer import Answer
from relay.leases import Lease
from relay.live_answers import LiveAnswers
from relay.reading import Answers
from relay.remote_answers import RemoteAnswers

# Seconds for an answer that is stopped to end, as the store has it: somebody waits. It is stopped
# before its conversation is deleted, too; the stop has reached another process by then, or that
# process is dead or cut off, and finds the answer gone when it comes back.
STOP_TIMEOUT = 5.0


class Stopper:
    """Stops answers."""

    def __init__(
        self, *, live: LiveAnswers, answers: Answers, remote_answers: RemoteAnswers, lease: Lease
    ) -> None:
        self._live = live
        self._answers = answers
        self._remote_answers = remote_answers
        self._lease = lease

    async def stop(self, user: str, answer_id: str) -> Answer:
        """End the answer as STOPPED if it is live, and return it.

        If another process has it, that one is told, and the answer returned may still be live, as
        it may if the store does not take its end. Raises NotFound and StorageError, and
        TooManyStops where that process cannot be told of one more.
        """
        if generation := self._live.of_user(user, answer_id):
            generation.cancel(Status.STOPPED)
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT):
                    await generation.ended.wait()
            return generation.answer
        message = await self._answers.stored(user, answer_id)
        if message.status is not Status.LIVE:
            return Answer.restored(message)
        answer = self._remote_answers.stop(message)
        await self._lease.publish()
        return answer
