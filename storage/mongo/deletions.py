"""Deleted conversations: hidden at once, and cleared of their messages and files in batches."""

from motor.motor_tornado import MotorClientSession, MotorCollection

from storage.contract import DeletionStore
from storage.errors import NotFound
from storage.mongo import queries
from storage.mongo.connection import MongoConnection, command
from storage.mongo.documents import Document, deletion_in
from storage.mongo.transactions import transact
from storage.values import Deletion

# The number of messages or chunks deleted in a batch: 20 ms here. Others wait for one batch at
# most.
_PURGE_BATCH = 500

# The number of files, each of which may have megabytes.
_FILE_BATCH = 10


class MongoDeletions(MongoConnection, DeletionStore):
    """Deletes a conversation in one small transaction, and clears it in batches."""

    @command("deletion")
    async def delete_conversation(self, user: str, conversation_id: str) -> None:
        key = queries.conversation_key(user, conversation_id)
        live = queries.messages_of(user, conversation_id) | queries.LIVE

        async def forget(session: MotorClientSession) -> None:
            gone = await self._conversations.delete_one(key, session=session)
            if not gone.deleted_count:
                raise NotFound
            await self._deletions.update_one(
                queries.deletion_key(conversation_id),
                queries.deleted(user),
                upsert=True,
                session=session,
            )
            # A process that generates an answer there finds it gone when it ends.
            await self._messages.delete_one(live, session=session)

        async def is_forgotten() -> bool:
            return await self._conversations.find_one(key, {"_id": 1}) is None

        await transact(self._database.client, forget, is_forgotten)

    @command("clearing")
    async def next_deletion(self) -> Deletion | None:
        # The one that is due first, if any is, by the server's clock.
        found = await self._deletions.find_one(sort=[("due_at", 1)])
        if found is None:
            return None
        due = queries.deletion_due(found["_id"])
        claimed = await self._deletions.update_one(due, queries.deletion_claimed(self._lease))
        return deletion_in(found) if claimed.matched_count else None

    @command("clearing")
    async def purge(self, deletion: Deletion) -> bool:
        user, conversation_id = deletion.user, deletion.conversation_id
        # In this order: what was found before the deletion is claimed is of the deleted
        # conversation, since none has its id until the deletion is finished. So it may be deleted
        # by its ids, whatever has happened in the meantime.
        found = await self._left(user, conversation_id)
        key = queries.deletion_key(conversation_id)
        # For as long as a lease: two processes that clear one conversation do no harm.
        claimed = await self._deletions.update_one(key, queries.deletion_claimed(self._lease))
        if not claimed.matched_count:
            return False
        if found is not None:
            collection, named = found
            await collection.delete_many(named)
            return True
        if deletion.again:
            await self._deletions.delete_one(key)
        else:
            await self._deletions.update_one(key, queries.CLEARED)
        return False

    async def _left(
        self, user: str, conversation_id: str
    ) -> tuple[MotorCollection[Document], Document] | None:
        """A batch of what is left of a deleted conversation: where it is, and a filter by ids.

        Files without a question do not count: it may be the first one of a new conversation with
        this id. They are purged when they are old.
        """
        messages = queries.messages_of(user, conversation_id)
        chunks = queries.chunks_of_conversation(conversation_id)
        files = queries.asked_files_of(user, conversation_id)
        for collection, query, order, limit in (
            (self._messages, messages, "ordinal", _PURGE_BATCH),
            (self._chunks, chunks, "_id", _PURGE_BATCH),
            (self._files, files, "_id", _FILE_BATCH),
        ):
            cursor = collection.find(query, {"_id": 1}).sort(order, 1).limit(limit)
            if ids := [each["_id"] async for each in cursor]:
                return collection, query | {"_id": {"$in": ids}}
        return None
