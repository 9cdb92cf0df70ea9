"""Stores a question, its live answer and its idempotency key in one transaction."""

from collections.abc import Sequence

import pymongo
from motor.motor_tornado import MotorClientSession
from pymongo.errors import DuplicateKeyError

from model.messages import Conversation, Message
from storage.contract import AskStore
from storage.errors import Busy, NotFound
from storage.mongo import queries
from storage.mongo.connection import command
from storage.mongo.documents import message_document
from storage.mongo.idempotency_keys import MongoIdempotencyKeys
from storage.mongo.messages import MongoMessages
from storage.mongo.transactions import transact
from storage.values import IdempotencyKey


class MongoAsks(MongoMessages, MongoIdempotencyKeys, AskStore):
    """Stores questions with their answers, all or nothing."""

    @command("request")
    async def ask(
        self,
        question: Message | None,
        answer: Message,
        *,
        title: str | None,
        new: Conversation | None,
        key: IdempotencyKey | None = None,
        replaces: str | None = None,
    ) -> None:
        messages = (answer,) if question is None else (question, answer)
        make = new
        may_report_busy = key is None  # so that it raises what it finds in the conversation

        async def keep(session: MotorClientSession) -> None:
            nonlocal make, may_report_busy
            if key is not None:
                may_report_busy = False
                await self._claim_key(session, key, replaces)
                may_report_busy = True
            try:
                ordinal = await self._reserve_ordinals(session, messages, title, make)
            except DuplicateKeyError:
                make = None  # it exists already: the next attempt finds out whether it is the same
                raise
            documents = [
                message_document(each, place) for place, each in enumerate(messages, ordinal)
            ]
            # In this order: KeyTaken comes before Busy.
            await self._messages.insert_many(documents, session=session)

        async def is_kept() -> bool:
            # The key after the live answer: if both were stored together, it is visible by then.
            live = await self._live_answer_id(answer.user, answer.conversation_id)
            if key is not None:
                await self._check_key_claim(key, replaces)
            if await self._is_message(answer):
                return True
            # Wait until the other's key is visible, which may take longer on its shard.
            if may_report_busy and live not in (None, answer.id):
                raise Busy(live)
            return False

        await transact(self._database.client, keep, is_kept)

    async def _reserve_ordinals(
        self,
        session: MotorClientSession,
        messages: Sequence[Message],
        title: str | None,
        new: Conversation | None,
    ) -> int:
        """Reserve ordinals in the conversation, created first if `new`, for `messages`; return the
        first.
        """
        key = queries.conversation_key(messages[0].user, messages[0].conversation_id)
        conversation = await self._conversations.find_one_and_update(
            key,
            queries.entered(messages, new, title),
            {"title": 1, "ordinals": 1},
            upsert=new is not None,
            return_document=pymongo.ReturnDocument.AFTER,
            session=session,
        )
        if conversation is None:
            raise NotFound
        if title is not None and conversation["title"] is None:
            await self._conversations.update_one(key, {"$set": {"title": title}}, session=session)
        ordinals: int = conversation["ordinals"]
        return ordinals - len(messages)

    async def _is_message(self, message: Message) -> bool:
        key = queries.message_key(message.id) | {"user": message.user}
        return await self._messages.find_one(key, {"_id": 1}) is not None
