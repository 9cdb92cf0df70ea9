"""Finds answers and reads them, whether they are live here, live in another process, or ended.

Readers get an `Answer` in each case and do not know the difference.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from model.messages import Message, Role
from relay.answer import Answer
from relay.ended_answers import EndedAnswers
from relay.live_answers import LiveAnswers
from relay.reader import Reader
from relay.remote_answers import RemoteAnswers
from storage.contract import MessageStore
from storage.errors import NotFound


class Answers:
    """The answers of all users, to be read."""

    def __init__(
        self,
        storage: MessageStore,
        *,
        live: LiveAnswers,
        remote_answers: RemoteAnswers,
        ended_answers: EndedAnswers,
        attach_seconds: float,
    ) -> None:
        self._storage = storage
        self._live = live
        self._remote_answers = remote_answers
        self._ended_answers = ended_answers
        self._attach_seconds = attach_seconds

    async def find(self, user: str, answer_id: str) -> Answer:
        """Return the answer.

        Raises NotFound and StorageError; Overloaded and TooMuchUnread if a long one has to be
        loaded.
        """
        if generation := self._live.of_user(user, answer_id):
            return generation.answer
        if remote := self._remote_answers.answer(user, answer_id):
            return remote
        return await self._ended_answers.answer(user, answer_id)

    async def check(self, user: str, answer_id: str) -> None:
        """Return if there is such an answer. Raises NotFound and StorageError."""
        if self._live.of_user(user, answer_id) is None:
            await self._storage.answer_status(user, answer_id)

    async def peek(self, user: str, answer_id: str) -> Answer:
        """Return the answer as it is now, without counting as a reader of it.

        Raises as `find` does.
        """
        if generation := self._live.of_user(user, answer_id):
            return generation.answer
        return Answer.restored(await self.stored(user, answer_id))

    async def stored(self, user: str, answer_id: str) -> Message:
        """Return the answer as it is in the store. Raises NotFound and StorageError."""
        message = await self._storage.message(user, answer_id)
        if message.role != Role.ASSISTANT:
            raise NotFound
        return message

    async def change_client_metadata(
        self, user: str, answer_id: str, metadata: Mapping[str, str]
    ) -> Message:
        """Replace the metadata that a client stored with an answer; its readers here see it, too.

        Raises as `MessageStore.change_client_metadata` does.
        """
        message = await self._storage.change_client_metadata(user, answer_id, metadata)
        if generation := self._live.of_user(user, answer_id):
            generation.answer.client = message.client
        self._ended_answers.client_changed(user, message)
        return message

    @contextmanager
    def reader(self, answer: Answer, position: int = 0) -> Iterator[Reader]:
        """Read `answer` from `position`; leaving this block may cancel the provider's call."""
        reader = Reader(answer, position)
        answer.attach(reader)
        generation = self._live.get(answer.id)
        if generation is not None:
            generation.reader_connected()
        elif not self._remote_answers.reader_connected(answer):
            reader.disconnect()
        try:
            yield reader
        finally:
            answer.detach(reader)
            if generation is not None:
                generation.reader_timeout.reader_disconnected()
            else:
                self._remote_answers.reader_disconnected(answer)

    def expect_reader(self, answer: Answer) -> None:
        """Keep `answer`, which has no reader yet, because a first one is expected."""
        if generation := self._live.get(answer.id):
            generation.reader_timeout.expect_reader(self._attach_seconds)
        else:
            self._remote_answers.expect_reader(answer, self._attach_seconds)
