"""Conversations: created, listed and changed, and how many bytes they take."""

from datetime import datetime

import msgspec

from model.messages import Conversation
from storage.contract import ConversationStore
from storage.cursors import decode_conversation_cursor
from storage.errors import NotFound
from storage.pages import conversations_page_builder, page_of_conversations
from storage.sizes import CONVERSATION_BYTES, fields_bytes
from storage.sqlite.connection import SQLiteConnection, reads, writes
from storage.sqlite.rows import Row, as_json, assignments, conversation_in, conversation_row
from storage.timestamps import to_milliseconds
from storage.values import Changes, Order, Page


class SQLiteConversations(SQLiteConnection, ConversationStore):
    """A user's conversations, without their messages."""

    @writes("request")
    def create_conversation(self, conversation: Conversation) -> None:
        self._insert_conversation(conversation_row(conversation))

    @reads("request")
    def conversation(self, user: str, conversation_id: str) -> Conversation:
        return conversation_in(self._conversation_row(user, conversation_id))

    @reads("request")
    def conversations(
        self, user: str, *, limit: int, after: str | None, order: Order = Order.CREATED
    ) -> Page[Conversation]:
        where, place = "", {}
        if after is not None:
            time, conversation_id = decode_conversation_cursor(after, order)
            where = f"AND ({order.field}, id) < (:time, :id)"
            place = {"time": to_milliseconds(time), "id": conversation_id}
        # Select the ids first, because SQLite keeps all columns of the sorted rows in memory.
        found = self._database.execute(
            f"""SELECT id FROM conversations WHERE user = :user {where}
            ORDER BY {order.field} DESC, id DESC LIMIT :limit""",
            {"user": user, "limit": limit + 1, **place},
        )
        page = conversations_page_builder(limit)
        page.add_all(conversation_in(self._conversation_row(user, row["id"])) for row in found)
        return page_of_conversations(page, order)

    @writes("request")
    def change_conversation(
        self, user: str, conversation_id: str, changes: Changes, updated_at: datetime
    ) -> Conversation:
        row = {
            name: value
            for name, value in msgspec.structs.asdict(changes).items()
            if value is not msgspec.UNSET
        }
        if "metadata" in row:
            row["metadata"] = as_json(row["metadata"])
        row["updated_at"] = to_milliseconds(updated_at)
        held = self._known_columns("conversations", row)
        self._database.execute(
            f"UPDATE conversations SET {assignments(held)} WHERE id = :id AND user = :user",
            {**held, "id": conversation_id, "user": user},
        )
        changed = conversation_in(self._conversation_row(user, conversation_id))
        self._add_bytes(conversation_id, fields_bytes(changes))
        return changed

    @reads("request")
    def stored_bytes(self, user: str) -> int:
        brought = "sum(bytes)" if self._counts_bytes else "0"
        count, found = self._database.execute(
            f"SELECT count(*), coalesce({brought}, 0) FROM conversations WHERE user = ?", (user,)
        ).fetchone()
        total: int = count * CONVERSATION_BYTES + found
        return total

    def _insert_conversation(self, row: Row) -> bool:
        """Insert a conversation, unless there is one with its id; whether it was inserted."""
        return self._insert("conversations", row, "ON CONFLICT DO NOTHING")

    @property
    def _counts_bytes(self) -> bool:
        """Whether the file has the column for the bytes of conversations."""
        return "bytes" in self._file.columns["conversations"]

    def _add_bytes(self, conversation_id: str, brought: int) -> None:
        if brought and self._counts_bytes:
            self._database.execute(
                "UPDATE conversations SET bytes = bytes + ? WHERE id = ?",
                (brought, conversation_id),
            )

    def _conversation_row(self, user: str, conversation_id: str) -> Row:
        row = self._fetch_row(
            "SELECT * FROM conversations WHERE id = ? AND user = ?", conversation_id, user
        )
        if row is None:
            raise NotFound
        return row
