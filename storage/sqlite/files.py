"""The images and files of questions.

A file is in the table `unasked_files` until its question is stored: a mark in its own row would
have the row be written anew with all its content.
"""

from collections.abc import Collection
from datetime import datetime

from model.blocks import file_ids
from model.messages import Message
from storage.contract import FileStore
from storage.errors import NotFound, Outdated, files_missing
from storage.sqlite.connection import SQLiteConnection, reads, writes
from storage.sqlite.rows import file_in, file_row
from storage.timestamps import to_milliseconds
from storage.values import StoredFile

# The number of files that are deleted in one batch. SQLite overwrites what it deletes, which takes
# a tenth of a second for a large file, and other commands wait for it.
_PURGE_BATCH = 1


class SQLiteFiles(SQLiteConnection, FileStore):
    """Stores files before their questions, and deletes those that have none."""

    @writes("files", lambda file: len(file.data))
    def store_file(self, file: StoredFile) -> None:
        if not self._has_files:
            raise Outdated(
                f"{self.path} has no table for files yet; `server.py migrate` creates it"
            )
        if self._insert("files", file_row(file), "ON CONFLICT DO NOTHING"):
            row = {"id": file.id, "created_at": to_milliseconds(file.created_at)}
            self._insert("unasked_files", row)

    @reads("files")
    def file(self, user: str, file_id: str) -> StoredFile:
        row = self._has_files and self._fetch_row(
            """SELECT files.* FROM files JOIN conversations ON conversations.id = conversation_id
            WHERE files.id = ? AND files.user = ? AND conversations.user = files.user
            AND files.id NOT IN (SELECT id FROM unasked_files)""",
            *(file_id, user),
        )
        if not row:
            raise NotFound
        return file_in(row)

    @writes("files")
    def discard_files(self, user: str, file_ids: Collection[str]) -> None:
        for file_id in file_ids if self._has_files else ():
            unasked = self._fetch_row(
                """SELECT id FROM unasked_files
                WHERE id = ? AND id IN (SELECT id FROM files WHERE user = ?)""",
                *(file_id, user),
            )
            if unasked is not None:
                self._delete_file(file_id)

    @writes("clearing")
    def purge_unasked_files(self, before: datetime) -> bool:
        if not self._has_files:
            return False
        old = self._database.execute(
            "SELECT id FROM unasked_files WHERE created_at < ? LIMIT ?",
            (to_milliseconds(before), _PURGE_BATCH),
        ).fetchall()
        for row in old:
            self._delete_file(row["id"])
        return bool(old)

    @property
    def _has_files(self) -> bool:
        """Whether the file has tables for files."""
        return "files" in self._file.columns

    def _confirm_files(self, question: Message | None) -> None:
        """Let the files of a question that is being stored be visible. Raises StorageError if one
        is not there.
        """
        if question is None:
            return
        for file_id in file_ids(question.blocks):
            stored = self._has_files and self._fetch_row(
                "SELECT id FROM files WHERE id = ? AND conversation_id = ? AND user = ?",
                *(file_id, question.conversation_id, question.user),
            )
            if not stored:
                raise files_missing()
            self._database.execute("DELETE FROM unasked_files WHERE id = ?", (file_id,))

    def _purge_files(self, conversation_id: str) -> bool:
        """Delete some files of a conversation; returns whether there were any.

        Those without a question stay: it may be the first one of a new conversation with this id.
        """
        if not self._has_files:
            return False
        rows = self._database.execute(
            """SELECT id FROM files WHERE conversation_id = ?
            AND id NOT IN (SELECT id FROM unasked_files) LIMIT ?""",
            (conversation_id, _PURGE_BATCH),
        ).fetchall()
        for row in rows:
            self._delete_file(row["id"])
        return bool(rows)

    def _delete_file(self, file_id: str) -> None:
        self._database.execute("DELETE FROM files WHERE id = ?", (file_id,))
        self._database.execute("DELETE FROM unasked_files WHERE id = ?", (file_id,))
