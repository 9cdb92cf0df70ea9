"""Stores questions that come at the same time in one transaction.

What has to be stored by itself, since it will conflict, is found ahead by two queries. A conflict
that they do not foresee has the questions be stored in halves, so that it is soon alone: one that
always conflicts would cost all others as much as no batch at all. A batch only ever stores; to
find out why a question cannot be stored is for `asks.py`, which does it for that question alone.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import pymongo
from motor.motor_tornado import MotorClientSession
from pymongo.errors import PyMongoError

from model.messages import Conversation, Message
from storage.errors import StorageError
from storage.mongo import queries
from storage.mongo.connection import MongoConnection, command
from storage.mongo.documents import Document, key_document, message_document
from storage.mongo.errors import fails_all, translated_errors
from storage.mongo.transactions import COMMAND_SECONDS, transact
from storage.values import IdempotencyKey


class Ask(msgspec.Struct, frozen=True):
    """What `AskStore.ask` is called with."""

    question: Message | None
    answer: Message
    title: str | None
    new: Conversation | None
    key: IdempotencyKey | None
    replaces: str | None
    id_is_chosen: bool  # of the new conversation

    @property
    def messages(self) -> tuple[Message, ...]:
        """What it adds to its conversation."""
        return (self.answer,) if self.question is None else (self.question, self.answer)


class Conflict(Exception):
    """A question cannot be stored with others, or not at the first attempt."""


class MongoAskBatches(MongoConnection):
    """Stores several questions as one."""

    @command("request")
    async def _ask_together(self, asks: Sequence[Ask]) -> Sequence[bool | StorageError]:
        """Whether each is stored; False if it has to be stored by itself.

        An error stands for an unknown outcome. All of it takes 5 seconds at most.
        """
        deadline = asyncio.get_running_loop().time() + COMMAND_SECONDS
        try:
            with translated_errors("ask", self._url), pymongo.timeout(COMMAND_SECONDS):
                expected = await self._without_conflict(asks)
        except StorageError as error:
            return [error] * len(asks)
        stored = await self._store_in_parts([asks[at] for at in expected], deadline)
        outcomes: list[bool | StorageError] = [False] * len(asks)
        for at, outcome in zip(expected, stored, strict=True):
            outcomes[at] = outcome
        return outcomes

    async def _store_in_parts(
        self, asks: Sequence[Ask], deadline: float
    ) -> list[bool | StorageError]:
        """Store them in one transaction or, after a conflict, in one for each half of them."""
        if len(asks) <= 1:
            return [False] * len(asks)
        try:
            with translated_errors("ask", self._url):
                await self._store_at_once(asks, deadline)
            return [True] * len(asks)
        except Conflict:
            middle = len(asks) // 2
            return [
                *await self._store_in_parts(asks[:middle], deadline),
                *await self._store_in_parts(asks[middle:], deadline),
            ]
        except StorageError as error:
            return [error] * len(asks)

    async def _store_at_once(self, asks: Sequence[Ask], deadline: float) -> None:
        async def store(session: MotorClientSession) -> None:
            ordinals = await self._reserve_all_ordinals(session, asks)
            if claims := [
                pymongo.ReplaceOne(
                    queries.claimed(ask.key, ask.replaces), key_document(ask.key), upsert=True
                )
                for ask in asks
                if ask.key is not None
            ]:
                await self._keys.bulk_write(claims, session=session)
            await self._messages.insert_many(
                [
                    message_document(message, place)
                    for ask in asks
                    for place, message in enumerate(
                        ask.messages, ordinals[ask.answer.conversation_id]
                    )
                ],
                session=session,
            )

        async def is_done() -> bool:
            raise Conflict

        try:
            await transact(self._database.client, store, is_done, deadline=deadline)
        except Exception as error:
            if isinstance(error, PyMongoError) and fails_all(error):
                raise
            # Also for what cannot be stored at all, such as text that UTF-8 cannot represent.
            raise Conflict from None

    async def _reserve_all_ordinals(
        self, session: MotorClientSession, asks: Sequence[Ask]
    ) -> dict[str, int]:
        """The first ordinal of each question in its conversation, which is created if it is new.

        Raises Conflict if one does not exist.
        """
        writes: list[pymongo.InsertOne[Document] | pymongo.UpdateOne] = []
        updated: dict[str, Ask] = {}
        for ask in asks:
            if ask.new is not None:
                document = queries.begun(ask.messages, ask.new, ask.title)
                writes.append(pymongo.InsertOne(document))
        for ask in asks:
            if ask.new is None:
                key = queries.conversation_key(ask.answer.user, ask.answer.conversation_id)
                updated[ask.answer.conversation_id] = ask
                writes.append(pymongo.UpdateOne(key, queries.entered(ask.messages, None, None)))
                if ask.title is not None:
                    title = {"$set": {"title": ask.title}}
                    writes.append(pymongo.UpdateOne(key | {"title": None}, title))
        await self._conversations.bulk_write(writes, session=session)
        ordinals = {ask.new.id: 0 for ask in asks if ask.new is not None}
        if updated:
            found = self._conversations.find(
                queries.conversations_by_id(updated),
                {"user": 1, "ordinals": 1},
                session=session,
            )
            async for each in found:
                ask = updated[each["_id"]]
                if each["user"] == ask.answer.user:
                    ordinals[each["_id"]] = each["ordinals"] - len(ask.messages)
        if len(ordinals) < len(asks):
            raise Conflict
        return ordinals

    async def _without_conflict(self, asks: Sequence[Ask]) -> list[int]:
        """The indexes of those that will not conflict, as far as can be seen now."""
        conversations = {ask.answer.conversation_id for ask in asks if ask.new is None}
        taken: set[str] = set()
        if conversations:
            live = self._messages.find(queries.live_in(conversations), {"conversation": 1})
            taken |= {each["conversation"] async for each in live}
        if keys := {ask.key.id for ask in asks if ask.key is not None}:
            used = self._keys.find(queries.idempotency_keys_by_id(keys), {"_id": 1})
            taken |= {each["_id"] async for each in used}
        expected = []
        for at, ask in enumerate(asks):
            names = {ask.answer.conversation_id}
            if ask.key is not None:
                names.add(ask.key.id)
            if not names & taken:
                expected.append(at)
            taken |= names  # a second one in a conversation waits for the first
        return expected
