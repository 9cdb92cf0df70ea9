"""Messages: single ones, pages of a conversation, and branches."""

from collections.abc import Mapping

import msgspec

from model.messages import Message, Role
from storage.contract import MessageStore
from storage.cursors import decode_message_cursor
from storage.errors import NotFound, Outdated
from storage.pages import messages_page_builder, page_of_branch, page_of_messages
from storage.sizes import metadata_bytes
from storage.sqlite.connection import reads, writes
from storage.sqlite.conversations import SQLiteConversations
from storage.sqlite.live_answers import SQLiteLiveAnswers
from storage.sqlite.rows import as_json, message_in
from storage.values import Page

# A message, if its conversation exists: those of a deleted one may still be there.
MESSAGE_OF_CONVERSATION = """FROM messages
    JOIN conversations ON conversations.id = messages.conversation_id WHERE messages.id = ?"""
MESSAGE = f"SELECT messages.* {MESSAGE_OF_CONVERSATION}"


class SQLiteMessages(SQLiteConversations, SQLiteLiveAnswers, MessageStore):
    """The messages of conversations; a live answer comes with its growth so far."""

    @reads("request")
    def message(self, user: str, message_id: str) -> Message:
        row = self._fetch_row(f"{MESSAGE} AND messages.user = ?", message_id, user)
        if row is None:
            raise NotFound
        return self._with_stored_chunks(message_in(row))

    @reads("request")
    def answer_status(self, user: str, answer_id: str) -> str:
        row = self._fetch_row(
            f"SELECT status {MESSAGE_OF_CONVERSATION} AND messages.user = ? AND role = ?",
            *(answer_id, user, Role.ASSISTANT),
        )
        if row is None:
            raise NotFound
        return str(row["status"])

    @reads("request")
    def messages(
        self, user: str, conversation_id: str, *, limit: int, before: str | None
    ) -> Page[Message]:
        where = "" if before is None else f"AND ordinal < {decode_message_cursor(before)}"
        self._conversation_row(user, conversation_id)
        found = self._database.execute(
            f"""SELECT * FROM messages WHERE conversation_id = ? AND user = ? {where}
            ORDER BY ordinal DESC LIMIT ?""",
            (conversation_id, user, limit + 1),
        )
        page = messages_page_builder(limit)
        page.add_all(self._with_stored_chunks(message_in(row)) for row in found)
        return page_of_messages(page)

    @reads("request")
    def branch(
        self,
        user: str,
        conversation_id: str,
        *,
        limit: int,
        last: str | None,
        max_chars: int | None = None,
    ) -> Page[Message]:
        # Select the ids first, because SQLite keeps all columns of the sorted rows in memory.
        found = self._database.execute(
            """WITH RECURSIVE branch (id, parent_id, ordinal) AS (
                SELECT id, parent_id, ordinal FROM messages
                WHERE conversation_id = :conversation AND user = :user AND id = coalesce(:last, (
                    SELECT id FROM messages WHERE conversation_id = :conversation
                    ORDER BY ordinal DESC LIMIT 1
                )) AND EXISTS (
                    SELECT 1 FROM conversations WHERE id = :conversation AND user = :user
                )
                UNION ALL
                SELECT messages.id, messages.parent_id, messages.ordinal
                FROM branch JOIN messages ON messages.id = branch.parent_id
                WHERE messages.user = :user
                LIMIT :limit
            ) SELECT id FROM branch ORDER BY ordinal DESC""",
            {"conversation": conversation_id, "user": user, "last": last, "limit": limit},
        )
        page = messages_page_builder(limit, max_chars)
        page.add_all(self._message(row["id"]) for row in found)
        if not page.found:
            self._conversation_row(user, conversation_id)  # empty, or is there none?
            if last is not None:
                raise NotFound
        return page_of_branch(page.found)

    @reads("request")
    def live_answer(self, user: str, conversation_id: str) -> str | None:
        self._conversation_row(user, conversation_id)
        return self._live_answer_id(conversation_id)

    @writes("request")
    def change_client_metadata(
        self, user: str, answer_id: str, metadata: Mapping[str, str]
    ) -> Message:
        if "client" not in self._file.columns["messages"]:
            raise Outdated(
                f"{self.path} has no column for client data yet; `server.py migrate` creates it"
            )
        row = self._fetch_row(f"{MESSAGE} AND messages.user = ?", answer_id, user)
        if row is None or (message := message_in(row)).client is None:
            raise NotFound
        client = msgspec.structs.replace(message.client, metadata=dict(metadata))
        self._database.execute(
            "UPDATE messages SET client = ? WHERE id = ?", (as_json(client), answer_id)
        )
        self._add_bytes(message.conversation_id, metadata_bytes(metadata))
        return self._with_stored_chunks(msgspec.structs.replace(message, client=client))

    def _message(self, message_id: str) -> Message:
        """Return a message that exists, of a conversation that exists."""
        row = self._fetch_row("SELECT * FROM messages WHERE id = ?", message_id)
        assert row is not None
        return self._with_stored_chunks(message_in(row))

    def _live_answer_id(self, conversation_id: str) -> str | None:
        row = self._fetch_row(
            "SELECT id FROM messages WHERE conversation_id = ? AND status = 'live'", conversation_id
        )
        return None if row is None else str(row["id"])
