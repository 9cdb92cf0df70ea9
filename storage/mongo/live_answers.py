"""Live answers: their growth as chunks, and their endings."""

from collections.abc import Sequence, Set

import msgspec
from pymongo.errors import BulkWriteError

from model.growth import Chunk, fold
from model.messages import Ending, Message, Status, now
from storage.contract import LiveAnswerStore
from storage.mongo import queries
from storage.mongo.connection import MongoConnection, command
from storage.mongo.documents import chunk_document, chunk_in, ended_fields, message_in
from storage.mongo.errors import only_duplicates
from storage.values import conversation_of


class MongoLiveAnswers(MongoConnection, LiveAnswerStore):
    """Stores the answers that this process generates."""

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

    @command("ending")
    async def end_answer(self, answer_id: str, owner: str, ending: Ending) -> bool:
        key = queries.message_key(answer_id) | {"owner": owner}
        update = {"$set": ended_fields(ending)}
        ended = await self._messages.update_one(key | queries.LIVE, update)
        if ended.matched_count:
            return True
        kept = await self._messages.find_one(key)
        return kept is not None and message_in(kept).has(ending)

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
