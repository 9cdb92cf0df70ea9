"""The images and files of questions.

`asked` is false until a file's question is stored: it is set in the question's transaction, so that
a sweep of old files and the question cannot both succeed.
"""

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime

from motor.motor_tornado import MotorClientSession
from pymongo.errors import DuplicateKeyError

from model.blocks import file_ids
from model.messages import Message
from storage.contract import FileStore
from storage.errors import NotFound, files_missing
from storage.mongo import queries
from storage.mongo.connection import command
from storage.mongo.conversations import MongoConversations
from storage.mongo.documents import file_document, file_in
from storage.values import StoredFile, conversation_of

# The number of files that are deleted in one batch.
_PURGE_BATCH = 10


class MongoFiles(MongoConversations, FileStore):
    """Stores files before their questions, and deletes those that have none."""

    @command("files")
    async def store_file(self, file: StoredFile) -> None:
        with suppress(DuplicateKeyError):  # by an earlier attempt
            await self._files.insert_one(file_document(file))

    @command("files")
    async def file(self, user: str, file_id: str) -> StoredFile:
        found = await self._files.find_one(queries.asked_file(user, file_id))
        if found is None:
            raise NotFound
        await self._check_conversation(user, conversation_of(file_id))
        return file_in(found)

    @command("files")
    async def discard_files(self, user: str, file_ids: Collection[str]) -> None:
        for file_id in file_ids:
            await self._files.delete_one(queries.file_key(user, file_id) | queries.UNASKED)

    @command("clearing")
    async def purge_unasked_files(self, before: datetime) -> bool:
        old = self._files.find(queries.unasked_before(before), {"conversation": 1, "user": 1})
        found = [each async for each in old.limit(_PURGE_BATCH)]
        for each in found:
            key = queries.file_key(each["user"], each["_id"])
            await self._files.delete_one(key | queries.UNASKED)
        return bool(found)

    async def _confirm_files(self, session: MotorClientSession, question: Message | None) -> None:
        """Let the files of a question that is being stored be visible. Raises StorageError if one
        is not there.
        """
        if question is None or not (ids := file_ids(question.blocks)):
            return
        named = queries.files_named(question.user, question.conversation_id, ids)
        confirmed = await self._files.update_many(named, queries.ASKED, session=session)
        if confirmed.matched_count < len(ids):
            raise files_missing()
