"""Stops an answer on request, whichever process generates it."""

import asyncio
from contextlib import suppress

from model.messages import Status
from relay.answer import Answer
from relay.lease import Lease
from relay.live_answers import LiveAnswers
from relay.reading import Answers
from relay.remote_answers import RemoteAnswers

# Seconds to wait until the end of a stopped answer is stored. A conversation's deletion waits as
# long: by then another process has read the request to stop, or it is dead or cut off, and finds
# the answer gone when it comes back.
STOP_TIMEOUT = 5.0


# Seconds to wait until it is certain that nobody reads an answer: proxies tell of a disconnect a
# moment later, and another process reads requests about once a second.
_UNREAD_SECONDS = 0.5
_UNREAD_ELSEWHERE_SECONDS = 3.0
_LOOK_SECONDS = 0.02


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

        If another process generates it, that one is asked, and the returned answer may still be
        live, as it may if the store is slow. Raises NotFound and StorageError, and TooManyStops if
        too many answers are being stopped at other processes.
        """
        if generation := self._live.of_user(user, answer_id):
            generation.cancel(Status.STOPPED)
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT):
                    await self._live.wait_until_ended(answer_id)
            return generation.answer
        message = await self._answers.stored(user, answer_id)
        if message.status is not Status.LIVE:
            return Answer.restored(message)
        answer = self._remote_answers.stop(message)
        await self._lease.publish()
        return answer

    async def stop_unread(self, user: str, answer_id: str) -> bool:
        """Stop the answer if nobody reads it, at whichever process; False if somebody does.

        True also if it has ended. Raises NotFound and StorageError.
        """
        loop = asyncio.get_running_loop()
        if generation := self._live.of_user(user, answer_id):
            until = loop.time() + _UNREAD_SECONDS
            while generation.reader_timeout.is_read:
                if loop.time() >= until:
                    return False
                await asyncio.sleep(_LOOK_SECONDS)
            await self.stop(user, answer_id)
            return True
        message = await self._answers.stored(user, answer_id)
        if message.status is not Status.LIVE:
            return True
        answer = self._remote_answers.stop_unread(message, _UNREAD_ELSEWHERE_SECONDS)
        await self._lease.publish()
        until = loop.time() + _UNREAD_ELSEWHERE_SECONDS
        while answer.ending is None:
            if answer.readers or loop.time() >= until:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True
