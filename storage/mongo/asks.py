"""Stores a question, its live answer and its idempotency key in one transaction.

Questions that come at the same time are stored together by `ask_batches.py`. One that comes alone,
or cannot be stored with others, is stored here, and finds out why it cannot be.
"""

from collections.abc import Sequence

import pymongo
from motor.motor_tornado import MotorClientSession
from pymongo.errors import DuplicateKeyError

from model.messages import Conversation, Message
from storage.contract import AskStore
from storage.errors import Busy, NotFound, StorageError
from storage.mongo import queries
from storage.mongo.ask_batches import Ask, Conflict, MongoAskBatches
from storage.mongo.batches import Batches
from storage.mongo.connection import command
from storage.mongo.documents import message_document
from storage.mongo.idempotency_keys import MongoIdempotencyKeys
from storage.mongo.messages import MongoMessages
from storage.mongo.transactions import COMMAND_SECONDS, transact
from storage.sizes import conversation_bytes, messages_bytes
from storage.values import IdempotencyKey

# One collects while another is stored. More at a time would each find fewer to take along.
_BATCHES = 2

# With 64, what a batch costs by itself is a small part of what it stores; with more, a conflict
# would have more of them be stored again.
_BATCH_LIMIT = 64

# Half of what a transaction may have as one entry of the server's log.
_BATCH_BYTES = 8_000_000


class MongoAsks(MongoMessages, MongoIdempotencyKeys, MongoAskBatches, AskStore):
    """Stores questions with their answers, all or nothing."""

    def __init__(self, url: str, process: str, lease_seconds: float) -> None:
        super().__init__(url, process, lease_seconds)
        self._ask_batches: Batches[Ask, bool | StorageError] = Batches(
            self._ask_all,
            at_a_time=_BATCHES,
            limit=_BATCH_LIMIT,
            max_bytes=_BATCH_BYTES,
            timeout=COMMAND_SECONDS,
        )

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
        ask = Ask(question, answer, title, new, key, replaces)
        if self._is_sharded:  # a batch would be a transaction of several shards: not measured yet
            await self._ask(ask)
            return
        size = messages_bytes(ask.messages) + (conversation_bytes(new) if new is not None else 0)
        outcome = await self._ask_batches.run(ask, size)
        if isinstance(outcome, StorageError):
            raise outcome.with_traceback(None)  # each of its batch raises it
        if not outcome:
            await self._ask(ask)

    async def _ask_all(self, asks: Sequence[Ask]) -> Sequence[bool | StorageError]:
        """Store a batch; False for each that is to be stored by itself, after the batch.

        One that conflicts is tried again after it, too: else two whose conversations are locked
        would keep all others waiting.
        """
        if len(asks) > 1:
            return await self._ask_together(asks)
        return [await self._ask(asks[0], is_batch=True)]

    @command("request")
    async def _ask(self, ask: Ask, *, is_batch: bool = False) -> bool:
        """Whether it is stored; False only if it `is_batch` and has to be tried again."""
        answer, key, make = ask.answer, ask.key, ask.new
        may_report_busy = key is None  # so that it raises what it finds in the conversation

        async def keep(session: MotorClientSession) -> None:
            nonlocal make, may_report_busy
            if key is not None:
                may_report_busy = False
                await self._claim_key(session, key, ask.replaces)
                may_report_busy = True
            try:
                ordinal = await self._reserve_ordinals(session, ask.messages, ask.title, make)
            except DuplicateKeyError:
                make = None  # it exists already: the next attempt finds out whether it is the same
                raise
            documents = [
                message_document(each, place) for place, each in enumerate(ask.messages, ordinal)
            ]
            # In this order: KeyTaken comes before Busy.
            await self._messages.insert_many(documents, session=session)

        async def is_kept() -> bool:
            # The key after the live answer: if both were stored together, it is visible by then.
            live = await self._live_answer_id(answer.user, answer.conversation_id)
            if key is not None:
                await self._check_key_claim(key, ask.replaces)
            if await self._is_message(answer):
                return True
            # Wait until the other's key is visible, which may take longer on its shard.
            if may_report_busy and live not in (None, answer.id):
                raise Busy(live)
            if is_batch:
                raise Conflict
            return False

        try:
            await transact(self._database.client, keep, is_kept)
        except Conflict:
            return False
        return True

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
