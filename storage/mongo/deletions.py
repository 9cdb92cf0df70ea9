"""Deleted conversations: hidden at once, and cleared of their messages and files in batches."""

from motor.motor_tornado import MotorClientSession

from storage.contract import DeletionStore
from storage.errors import NotFound
from storage.mongo import queries
from storage.mongo.connection import MongoConnection, command
from storage.mongo.documents import deletion_in
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
        key = queries.deletion_key(conversation_id)
        # For as long as a lease: two processes that clear one conversation do no harm.
        await self._deletions.update_one(key, queries.deletion_claimed(self._lease))
        messages = queries.messages_of(user, conversation_id)
        first = await self._messages.find_one(messages, {"ordinal": 1}, sort=[("ordinal", 1)])
        if first is not None:
            batch = queries.messages_below(user, conversation_id, first["ordinal"] + _PURGE_BATCH)
            await self._messages.delete_many(batch)
            return True
        chunks = queries.chunks_of_conversation(conversation_id)
        last = await self._chunks.find_one(
            chunks, {"_id": 1}, sort=[("_id", 1)], skip=_PURGE_BATCH - 1
        )
        if last is not None:
            await self._chunks.delete_many(queries.chunks_up_to(conversation_id, last["_id"]))
            return True
        await self._chunks.delete_many(chunks)
        files = self._files.find(queries.files_of(user, conversation_id), {"_id": 1})
        if ids := [each["_id"] async for each in files.limit(_FILE_BATCH)]:
            await self._files.delete_many(queries.files_named(user, conversation_id, ids))
            return True
        if deletion.again:
            await self._deletions.delete_one(key)
        else:
            await self._deletions.update_one(key, queries.CLEARED)
        return False
