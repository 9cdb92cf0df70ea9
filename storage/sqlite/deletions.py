"""Deleted conversations: hidden at once, and purged of their messages and files in batches."""

from storage.contract import DeletionStore
from storage.errors import NotFound
from storage.sqlite.connection import reads, writes
from storage.sqlite.files import SQLiteFiles
from storage.values import Deletion

# Messages and bytes that are deleted in one batch: 15 ms here. Debian's SQLite overwrites what is
# deleted, so that a megabyte takes 50 ms of writing. Other commands wait for one batch at most.
_PURGE_BATCH = 500
_PURGE_BATCH_BYTES = 1_000_000


class SQLiteDeletions(SQLiteFiles, DeletionStore):
    """Deletes a conversation in one small transaction, and purges it in batches."""

    @writes("deletion")
    def delete_conversation(self, user: str, conversation_id: str) -> None:
        gone = self._database.execute(
            "DELETE FROM conversations WHERE id = ? AND user = ?", (conversation_id, user)
        )
        if not gone.rowcount:
            raise NotFound
        # A process that generates an answer there finds it gone when it ends.
        self._database.execute(
            "DELETE FROM messages WHERE conversation_id = ? AND status = 'live'", (conversation_id,)
        )
        if self._file.columns.get("deletions"):
            self._insert("deletions", {"id": conversation_id, "user": user})
        else:  # an older file without deletions: all of it now, since it could not be continued
            self._purge_chunks(conversation_id)
            while self._purge_messages(conversation_id):
                pass

    @reads("relay")
    def next_deletion(self) -> Deletion | None:
        if not self._file.columns.get("deletions"):
            return None
        # At random, so that one that always fails does not delay the others.
        row = self._fetch_row("SELECT * FROM deletions ORDER BY random() LIMIT 1")
        return None if row is None else Deletion(row["id"], row["user"])

    @writes("clearing")
    def purge(self, deletion: Deletion) -> bool:
        conversation_id = deletion.conversation_id
        if not self._is_being_deleted(conversation_id):
            return False
        self._purge_chunks(conversation_id)
        if self._purge_messages(conversation_id) or self._purge_files(conversation_id):
            return True
        self._database.execute("DELETE FROM deletions WHERE id = ?", (conversation_id,))
        return False

    def _is_being_deleted(self, conversation_id: str) -> bool:
        """Whether something may be left of a deleted conversation with this id."""
        if not self._file.columns.get("deletions"):
            return False
        deletion = self._fetch_row("SELECT id FROM deletions WHERE id = ?", conversation_id)
        return deletion is not None

    def _purge_messages(self, conversation_id: str) -> bool:
        """Delete the oldest messages of a conversation; returns whether there were any."""
        has_client = "client" in self._file.columns["messages"]
        client = "coalesce(length(CAST(client AS BLOB)), 0)" if has_client else "0"
        sizes = self._database.execute(
            f"""SELECT id, length(CAST(blocks AS BLOB)) + {client} AS size FROM messages
            WHERE conversation_id = ? ORDER BY ordinal LIMIT ?""",
            (conversation_id, _PURGE_BATCH),
        )
        taken: list[tuple[str]] = []
        room = _PURGE_BATCH_BYTES
        for row in sizes:
            taken.append((row["id"],))
            room -= row["size"]
            if room < 0:
                break
        sizes.close()
        self._database.executemany("DELETE FROM messages WHERE id = ?", taken)
        return bool(taken)

    def _purge_chunks(self, conversation_id: str) -> None:
        """Delete the chunks of a conversation's live answer: "." is the character after "-"."""
        self._database.execute(
            "DELETE FROM chunks WHERE answer_id > ? AND answer_id < ?",
            (f"{conversation_id}-", f"{conversation_id}."),
        )
