"""The contents of the images and files of a prompt: of the question and of what is sent again.

Which of the history's are sent again is decided in `context.py`.
"""

from collections.abc import Sequence

from model.blocks import Block, file_ids
from model.prompt import FileContent
from relay.file_threads import FileThreads, encode_base64
from relay.question_files import NewFile
from storage.contract import FileStore


def base64_bytes(count: int) -> int:
    """How many bytes `count` bytes take in base64, without the padding."""
    return count * 4 // 3


class PromptFiles:
    """Loads the files of stored questions for prompts."""

    def __init__(self, storage: FileStore, threads: FileThreads) -> None:
        self._storage = storage
        self._threads = threads

    async def load(
        self, user: str, blocks: Sequence[Block], new: Sequence[NewFile]
    ) -> dict[str, FileContent]:
        """The contents of the files that a prompt's blocks refer to, by their ids.

        `new` are those that the question brings. Raises NotFound if the conversation was deleted
        meanwhile, and StorageError.
        """
        contents = {file.digest: file.content for file in new}
        for file_id in file_ids(blocks):
            if file_id not in contents:
                file = await self._storage.file(user, file_id)
                text = await self._threads.run(encode_base64, file.data)
                contents[file_id] = FileContent(file.media_type, text, file.name)
        return contents
