"""Live answers: their growth as chunks, and their endings."""

import asyncio
from collections.abc import Sequence, Set

import msgspec
import pymongo
from motor.motor_tornado import MotorClientSession
from pymongo.errors import BulkWriteError

from model.blocks import bytes_in
from model.growth import Chunk, fold
from model.messages import Ending, Message, Status, now
from storage.contract import LiveAnswerStore
from storage.mongo import queries
from storage.mongo.batches import Batches
from storage.mongo.connection import command
from storage.mongo.documents import (
    Document,
    chunk_document,
    chunk_in,
    ended_fields,
    message_in,
)
from storage.mongo.errors import only_duplicates
from storage.mongo.outbox import MongoOutbox
from storage.mongo.transactions import COMMAND_SECONDS, transact
from storage.values import WebhookDelivery, conversation_of

# Seconds for a batch: usual are hundredths. An answer that a deletion of a dead process has locked
# would keep those after it waiting for a minute.
_BATCH_SECONDS = 1.0


class _Ended(msgspec.Struct, frozen=True):
    """An answer with its ending."""

    answer_id: str
    owner: str
    ending: Ending
    deliveries: tuple[WebhookDelivery, ...]

    @property
    def key(self) -> Document:
        """The answer, if it is the owner's."""
        return queries.message_key(self.answer_id) | {"owner": self.owner}

    @property
    def size(self) -> int:
        """About how many bytes its document has."""
        return sum(map(bytes_in, self.ending.blocks))

    def is_written_in(self, document: Document | None) -> bool:
        """Whether the answer's document, if it exists, is the owner's and has this ending."""
        if document is None or document["owner"] != self.owner:
            return False
        return message_in(document).has(self.ending)


class _NotLive(Exception):
    """An answer whose ending is written with others is not live, or not its owner's."""


class MongoLiveAnswers(MongoOutbox, LiveAnswerStore):
    """Stores the answers that this process generates."""

    def __init__(self, url: str, process: str, lease_seconds: float) -> None:
        super().__init__(url, process, lease_seconds)
        self._ending_batches: Batches[_Ended, bool | None] = Batches(self._end_all)

    @command("chunks")
    async def append_chunks(self, chunks: Sequence[Chunk]) -> frozenset[str]:
        if not chunks:
            return frozenset()
        written_at = now()
        documents = [chunk_document(chunk, written_at) for chunk in chunks]
        try:
            # Unordered: one that exists already does not prevent the others.
            await self._chunks.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise
        # Checked after writing: chunks that were written before a deletion are cleared with it.
        gone = await self._in_deleted_conversations({chunk.answer_id for chunk in chunks})
        for conversation_id in {conversation_of(answer_id) for answer_id in gone}:
            await self._chunks.delete_many(queries.chunks_of_conversation(conversation_id))
        return gone

    async def end_answer(
        self,
        answer_id: str,
        owner: str,
        ending: Ending,
        deliveries: Sequence[WebhookDelivery] = (),
    ) -> bool:
        ended = _Ended(answer_id, owner, ending, tuple(deliveries))
        outcome = await self._ending_batches.run(ended, ended.size)
        return await self._end_answer(ended) if outcome is None else outcome

    async def _end_all(self, endings: Sequence[_Ended]) -> Sequence[bool | None]:
        """Write the endings of a batch; None for each that is to be looked at by itself."""
        if len(endings) == 1:
            return [await self._end_answer(endings[0])]
        return await self._end_answers(endings)

    @command("ending")
    async def _end_answers(self, endings: Sequence[_Ended]) -> Sequence[bool | None]:
        """Write them with one command, and find with one which are written if not all are.

        None for each if it failed: then some may be written, and others too large, or locked.
        """
        try:
            if any(each.deliveries for each in endings):
                await self._end_with_deliveries(endings, seconds=_BATCH_SECONDS)
                return [True] * len(endings)
            # Unordered: one that cannot be written does not prevent the others.
            with pymongo.timeout(_BATCH_SECONDS):
                result = await self._messages.bulk_write(_updates(endings), ordered=False)
                if result.matched_count == len(endings):
                    return [True] * len(endings)
                ids = {each.answer_id for each in endings}
                found = self._messages.find(queries.messages_by_id(ids))
                kept = {document["_id"]: document async for document in found}
            return [each.is_written_in(kept.get(each.answer_id)) for each in endings]
        except Exception:  # noqa: BLE001 -- each finds out by itself, with time of its own
            return [None] * len(endings)

    @command("ending")
    async def _end_answer(self, ended: _Ended) -> bool:
        if ended.deliveries:
            try:
                await self._end_with_deliveries([ended], seconds=COMMAND_SECONDS)
            except _NotLive:
                return ended.is_written_in(await self._messages.find_one(ended.key))
            return True
        update = {"$set": ended_fields(ended.ending)}
        written = await self._messages.update_one(ended.key | queries.LIVE, update)
        if written.matched_count:
            return True
        return ended.is_written_in(await self._messages.find_one(ended.key))

    async def _end_with_deliveries(self, endings: Sequence[_Ended], *, seconds: float) -> None:
        """Write the endings and their deliveries to webhooks, all or nothing.

        Raises _NotLive, with nothing written, if one of the answers was not live before.
        """
        deliveries = [delivery for each in endings for delivery in each.deliveries]

        async def write(session: MotorClientSession) -> None:
            result = await self._messages.bulk_write(_updates(endings), session=session)
            if result.matched_count < len(endings):
                raise _NotLive
            await self._insert_deliveries(deliveries, session)

        async def is_written() -> bool:
            ids = {each.answer_id for each in endings}
            found = self._messages.find(queries.messages_by_id(ids))
            kept = {document["_id"]: document async for document in found}
            return all(each.is_written_in(kept.get(each.answer_id)) for each in endings)

        deadline = asyncio.get_running_loop().time() + seconds
        await transact(self._database.client, write, is_written, deadline=deadline)

    async def _in_deleted_conversations(self, answer_ids: Set[str]) -> frozenset[str]:
        """Those of the answers whose conversation was deleted."""
        if not answer_ids:
            return frozenset()
        found = self._deletions.find(
            queries.deletions_of({conversation_of(answer_id) for answer_id in answer_ids}),
            {"_id": 1},
        )
        deleted = {document["_id"] async for document in found}
        return frozenset(each for each in answer_ids if conversation_of(each) in deleted)

    async def _with_stored_chunks(self, message: Message) -> Message:
        """Return a live answer with the blocks checkpointed so far; any other message unchanged.

        A gap in its chunks means that one is being retried, or that the answer has ended since it
        was read, and its chunks are being cleared: then it is read again.
        """
        if message.status is not Status.LIVE:
            return message
        cursor = self._chunks.find(queries.chunks_of_answer(message.id)).sort("_id", 1)
        chunks = [chunk async for document in cursor if (chunk := chunk_in(document))]
        grown = msgspec.structs.replace(message, blocks=fold(chunks))
        if sum(piece.length for chunk in chunks for piece in chunk.pieces) == grown.position:
            return grown
        again = await self._messages.find_one(queries.message_key(message.id))
        if again is None or again["status"] == Status.LIVE.value:
            return grown
        return message_in(again)


def _updates(endings: Sequence[_Ended]) -> list[pymongo.UpdateOne]:
    return [
        pymongo.UpdateOne(each.key | queries.LIVE, {"$set": ended_fields(each.ending)})
        for each in endings
    ]
