"""The images and files that a question brings, from its request to the store.

Until a question has a place in a conversation, its blocks refer to its files by a hash of their
bytes: so the same question has the same fingerprint whenever it is sent. The stored question refers
to them by ids that begin with the conversation's.
"""

from collections.abc import Sequence
from contextlib import suppress

import msgspec

from model.blocks import Block, FileBlock, ImageBlock, file_ids
from model.messages import Message
from model.prompt import FileContent
from model.random_ids import random_id
from storage.contract import FileStore
from storage.errors import StorageError
from storage.values import StoredFile


class NewFile(msgspec.Struct, frozen=True):
    """A file of a question that is not stored yet. `digest` is how its blocks refer to it."""

    digest: str
    media_type: str
    data: bytes
    base64: str
    name: str | None = None

    @property
    def content(self) -> FileContent:
        """What a prompt has of it."""
        return FileContent(self.media_type, self.base64, self.name)


class QuestionFiles:
    """The files of one question, to be stored before it. `question` refers to them by their ids."""

    def __init__(self, question: Message | None, files: Sequence[NewFile]) -> None:
        self.question = question
        self._files: list[StoredFile] = []
        if question is None:
            return
        # Files of turns that came with the question are not stored, as these turns are not.
        asked = set(file_ids(question.blocks))
        files = [file for file in files if file.digest in asked]
        ids = {file.digest: f"{question.conversation_id}-{random_id()}" for file in files}
        self._files = [
            StoredFile(
                id=ids[file.digest],
                user=question.user,
                media_type=file.media_type,
                name=file.name,
                data=file.data,
                created_at=question.created_at,
            )
            for file in files
        ]
        blocks = tuple(_renamed(block, ids) for block in question.blocks)
        self.question = msgspec.structs.replace(question, blocks=blocks)

    async def store(self, storage: FileStore) -> None:
        """Store them. Raises StorageError; what is stored then is discarded or purged later."""
        for file in self._files:
            await storage.store_file(file)

    async def discard(self, storage: FileStore) -> None:
        """Delete them, since the question is not stored; what is left is purged later."""
        if self._files:
            with suppress(StorageError):
                await storage.discard_files(self._files[0].user, [file.id for file in self._files])


def _renamed(block: Block, ids: dict[str, str]) -> Block:
    if isinstance(block, ImageBlock | FileBlock) and block.file_id in ids:
        return msgspec.structs.replace(block, file_id=ids[block.file_id])
    return block
