"""The part of the contract (`contract.py`) that lists a user's answers of all conversations."""

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Protocol

from model.messages import Message
from storage.values import ClientAnswers, Page


class AnswerLists(Protocol):
    """A user's answers of all conversations; without those of deleted ones."""

    @abstractmethod
    async def live_answers(
        self, user: str, *, limit: int, after: str | None = None
    ) -> Page[Message]:
        """Return a page of the user's live answers, newest first, with the blocks checkpointed so
        far.

        `after` is the `next` of an earlier page; raises InvalidCursor otherwise.
        """

    @abstractmethod
    async def live_answer_ids(
        self, user: str, conversation_ids: Collection[str]
    ) -> Mapping[str, str]:
        """Return the ids of the live answers of these conversations, by conversation."""

    @abstractmethod
    async def answers_of_protocol(
        self, user: str, chosen: ClientAnswers, *, limit: int, after: str | None = None
    ) -> Page[Message]:
        """Return a page of the answers that were asked by a client protocol.

        `after` is a cursor: the `next` of an earlier page, or `answer_cursor` of any of them.
        Raises InvalidCursor, and Outdated if the store has no index for it yet.
        """
