"""Ended answers from the store: one load and one record for all readers of an answer.

A record is shared as long as it has readers, and is found by its user and id. A further reader is
still checked against the store, without loading the text: so a reader that comes after the deletion
of the conversation does not get the record.
"""

import asyncio
import weakref
from collections.abc import Iterable
from functools import partial

from model.blocks import Block, bytes_in
from model.messages import Message, Role, Status
from relay.answer import Answer
from relay.remote_answers import RemoteAnswers
from relay.unsent_budget import UnsentBudget
from storage.contract import MessageStore
from storage.errors import NotFound

# Bytes that a record takes for each of its blocks, in addition to its text.
_BLOCK_BYTES = 500


class EndedAnswers:
    """The ended answers that are read at the moment, shared by their readers.

    `follow` takes over one that turns out to be live.
    """

    def __init__(
        self, storage: MessageStore, budget: UnsentBudget, remote_answers: RemoteAnswers
    ) -> None:
        self._storage = storage
        self._budget = budget
        self._remote_answers = remote_answers
        self._answers: weakref.WeakValueDictionary[tuple[str, str], Answer] = (
            weakref.WeakValueDictionary()
        )
        self._loads: dict[tuple[str, str], asyncio.Task[Answer]] = {}

    async def answer(self, user: str, answer_id: str) -> Answer:
        """The answer. Raises NotFound and StorageError; Overloaded and TooMuchUnread for a long
        one.

        Cancelling a caller does not cancel a load that others wait for.
        """
        which = user, answer_id
        if (shared := self._answers.get(which)) is not None:
            await self._storage.answer_status(user, answer_id)
            return shared
        load = self._loads.get(which)
        if load is None:
            load = self._loads[which] = asyncio.create_task(self._load(user, answer_id))
            load.add_done_callback(partial(self._loaded, which))
        else:
            await self._storage.answer_status(user, answer_id)
        return await asyncio.shield(load)

    def adopt(self, user: str, answer: Answer) -> None:
        """Share a record that was generated here, has ended as the store has it, and is still
        read.
        """
        assert answer.ending is not None
        if answer.readers:
            self._share(user, answer, self._budget.count(user, _size(answer.ending.blocks)))

    def client_changed(self, user: str, message: Message) -> None:
        """Let the readers of an answer see what its client changed."""
        if (shared := self._answers.get((user, message.id))) is not None:
            shared.client = message.client

    async def close(self) -> None:
        """Return when nothing is being loaded; the store's timeout bounds that."""
        while self._loads:
            await asyncio.wait(self._loads.values())

    def _loaded(self, which: tuple[str, str], load: asyncio.Task[Answer]) -> None:
        del self._loads[which]
        if not load.cancelled():
            load.exception()  # retrieved here, since all who waited may have disconnected

    async def _load(self, user: str, answer_id: str) -> Answer:
        async with self._budget.loading(user):
            message = await self._storage.message(user, answer_id)
            if message.role != Role.ASSISTANT:
                raise NotFound
            if message.status is Status.LIVE:
                return self._remote_answers.follow(message)
            counted = self._budget.take(user, _size(message.blocks))
            answer = Answer.restored(message)
            self._share(user, answer, counted)
            return answer

    def _share(self, user: str, answer: Answer, counted: int) -> None:
        self._answers[user, answer.id] = answer
        if counted:
            weakref.finalize(answer, self._budget.give, user, counted).atexit = False


def _size(blocks: Iterable[Block]) -> int:
    """The approximate size in memory of a record with these blocks."""
    return sum(_BLOCK_BYTES + bytes_in(block) for block in blocks)
