"""Stores a question, its live answer and its idempotency key in one transaction.

Questions that come at the same time are stored together by `ask_batches.py`. One that comes alone,
or cannot be stored with others, is stored here, and finds out why it cannot be.
"""

from collections.abc import Sequence

import pymongo
from motor.motor_tornado import MotorClientSession
from pymongo.errors import DuplicateKeyError

from model.blocks import file_ids
from model.messages import Conversation, Message
from storage.contract import AskStore
from storage.errors import BeingDeleted, Busy, NotFound, StorageError
from storage.mongo import queries
from storage.mongo.ask_batches import Ask, Conflict, MongoAskBatches
from storage.mongo.batches import Batches
from storage.mongo.connection import command
from storage.mongo.documents import message_document
from storage.mongo.files import MongoFiles
from storage.mongo.idempotency_keys import MongoIdempotencyKeys
from storage.mongo.messages import MongoMessages
from storage.mongo.transactions import transact
from storage.sizes import conversation_bytes, messages_bytes
from storage.values import IdempotencyKey

# For a question alone, as long as it keeps others waiting. The second attempt in a session ends a
# transaction that the first may have left open, and its locks.
_ATTEMPTS = 2


class MongoAsks(MongoMessages, MongoFiles, MongoIdempotencyKeys, MongoAskBatches, AskStore):
    """Stores questions with their answers, all or nothing."""

    def __init__(self, url: str, process: str, lease_seconds: float) -> None:
        super().__init__(url, process, lease_seconds)
        self._ask_batches: Batches[Ask, bool | StorageError] = Batches(self._ask_all)

    async def ask(
        self,
        question: Message | None,
        answer: Message,
        *,
        title: str | None,
        new: Conversation | None,
        key: IdempotencyKey | None = None,
        replaces: str | None = None,
        id_is_chosen: bool = False,
    ) -> None:
        ask = Ask(question, answer, title, new, key, replaces, id_is_chosen and new is not None)
        outcome: bool | StorageError
        # A batch would be a transaction of several shards, which is not measured yet. A question
        # with files has a step of its own, and so has one whose conversation has a chosen id.
        has_step = ask.id_is_chosen or (question is not None and bool(file_ids(question.blocks)))
        if self._is_sharded or has_step:
            outcome = await self._ask(ask)
        else:
            made = 0 if new is None else conversation_bytes(new)
            outcome = await self._ask_batches.run(ask, made + messages_bytes(ask.messages))
        if isinstance(outcome, StorageError):
            raise outcome.with_traceback(None)  # each of its batch raises it
        if not outcome:
            await self._ask_again(ask)

    async def _ask_all(self, asks: Sequence[Ask]) -> Sequence[bool | StorageError]:
        """Store a batch; False for each that is to be tried again by itself."""
        return await self._ask_together(asks) if len(asks) > 1 else [await self._ask(asks[0])]

    @command("request")
    async def _ask(self, ask: Ask) -> bool:
        """Whether it is stored; False if it has to be tried again."""
        try:
            await self._store_ask(ask, attempts=_ATTEMPTS)
        except Conflict:
            return False
        return True

    @command("conflict")
    async def _ask_again(self, ask: Ask) -> None:
        """Store it, however often it has to be tried until its time is over."""
        await self._store_ask(ask, attempts=None)

    async def _store_ask(self, ask: Ask, *, attempts: int | None) -> None:
        """Store it in a transaction of its own. Raises Conflict after so many attempts."""
        tried = 0
        answer, key, make = ask.answer, ask.key, ask.new
        may_report_busy = key is None  # so that it raises what it finds in the conversation

        async def keep(session: MotorClientSession) -> None:
            nonlocal make, may_report_busy
            if key is not None:
                may_report_busy = False
                await self._claim_key(session, key, ask.replaces)
                may_report_busy = True
            if ask.id_is_chosen:
                await self._check_is_purged(session, answer.conversation_id)
            try:
                ordinal = await self._reserve_ordinals(session, ask.messages, ask.title, make)
            except DuplicateKeyError:
                make = None  # it exists already: the next attempt finds out whether it is the same
                raise
            await self._confirm_files(session, ask.question)
            documents = [
                message_document(each, place) for place, each in enumerate(ask.messages, ordinal)
            ]
            # In this order: KeyTaken comes before Busy.
            await self._messages.insert_many(documents, session=session)

        async def is_kept() -> bool:
            nonlocal tried
            tried += 1
            # The key after the live answer: if both were stored together, it is visible by then.
            live = await self._live_answer_id(answer.user, answer.conversation_id)
            if key is not None:
                await self._check_key_claim(key, ask.replaces)
            if await self._is_message(answer):
                return True
            # Wait until the other's key is visible, which may take longer on its shard.
            if may_report_busy and live not in (None, answer.id):
                raise Busy(live)
            if tried == attempts:
                raise Conflict
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

    async def _check_is_purged(self, session: MotorClientSession, conversation_id: str) -> None:
        """Raise BeingDeleted if something may be left of a deleted conversation with this id.

        A deletion that is stored in the meantime is one of the existing conversation with this id,
        so that the question's transaction, which writes to that one, too, conflicts with it.
        """
        key = queries.deletion_key(conversation_id)
        if await self._deletions.find_one(key, {"_id": 1}, session=session) is not None:
            raise BeingDeleted

    async def _is_message(self, message: Message) -> bool:
        key = queries.message_key(message.id) | {"user": message.user}
        return await self._messages.find_one(key, {"_id": 1}) is not None
