"""What the embedded store keeps of conversations: each operation of the contract, in SQL.

`answers.py` has live answers, `keys.py` keys and counts, and `connection.py` says how a command
gets to the file.
"""

from datetime import datetime

import msgspec

from model.messages import Conversation, Message, Role
from storage.cursors import decode_conversation_cursor, decode_message_cursor
from storage.errors import Busy, NotFound
from storage.pages import (
    conversations_page_builder,
    messages_page_builder,
    page_of_branch,
    page_of_conversations,
    page_of_messages,
)
from storage.sizes import CONVERSATION_BYTES, facts_bytes, messages_bytes
from storage.sqlite.answers import KEPT_MESSAGE, MESSAGE, SQLiteAnswers
from storage.sqlite.connection import reads, writes
from storage.sqlite.keys import SQLiteKeys
from storage.sqlite.rows import (
    Row,
    as_json,
    assignments,
    conversation_in,
    conversation_row,
    message_in,
    message_row,
)
from storage.timestamps import to_milliseconds
from storage.values import Changes, Deletion, IdempotencyKey, Order, Page

# How many messages of a deleted conversation to take away at once, and of how many bytes: 15 ms
# here. Debian's SQLite overwrites what is deleted: a megabyte is 50 ms of writing then, and others
# wait for one such batch.
_CLEARED = 500
_CLEARED_BYTES = 1_000_000


class SQLiteStorage(SQLiteAnswers, SQLiteKeys):
    """Conversations in one SQLite file; see the contract for what each operation promises."""

    @writes("request")
    def create_conversation(self, conversation: Conversation) -> None:
        self._create(conversation)

    @reads("request")
    def conversation(self, user: str, conversation_id: str) -> Conversation:
        return conversation_in(self._conversation(user, conversation_id))

    @reads("request")
    def conversations(
        self, user: str, *, limit: int, after: str | None, order: Order = Order.CREATED
    ) -> Page[Conversation]:
        where, place = "", {}
        if after is not None:
            time, conversation_id = decode_conversation_cursor(after, order)
            where = f"AND ({order.field}, id) < (:time, :id)"
            place = {"time": to_milliseconds(time), "id": conversation_id}
        # Their ids first: what is sorted is held, all of it.
        found = self._database.execute(
            f"""SELECT id FROM conversations WHERE user = :user {where}
            ORDER BY {order.field} DESC, id DESC LIMIT :limit""",
            {"user": user, "limit": limit + 1, **place},
        )
        page = conversations_page_builder(limit)
        page.add_all(conversation_in(self._conversation(user, row["id"])) for row in found)
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
        held = self._held("conversations", row)
        self._database.execute(
            f"UPDATE conversations SET {assignments(held)} WHERE id = :id AND user = :user",
            {**held, "id": conversation_id, "user": user},
        )
        changed = conversation_in(self._conversation(user, conversation_id))
        self._add_bytes(conversation_id, facts_bytes(changes))
        return changed

    @writes("deletion")
    def delete_conversation(self, user: str, conversation_id: str) -> None:
        gone = self._database.execute(
            "DELETE FROM conversations WHERE id = ? AND user = ?", (conversation_id, user)
        )
        if not gone.rowcount:
            raise NotFound
        # Whoever writes an answer there finds it gone.
        self._database.execute(
            "DELETE FROM messages WHERE conversation_id = ? AND status = 'live'", (conversation_id,)
        )
        if self._file.columns.get("deletions"):
            self._insert("deletions", {"id": conversation_id, "user": user})
        else:  # an older file: all of it now, since nobody would remember to
            self._take_chunks(conversation_id)
            while self._take_messages(conversation_id):
                pass

    @reads("relay")
    def deletion(self) -> Deletion | None:
        if not self._file.columns.get("deletions"):
            return None
        row = self._row("SELECT * FROM deletions LIMIT 1")
        return None if row is None else Deletion(row["id"], row["user"])

    @writes("clearing")
    def clear(self, deletion: Deletion) -> bool:
        conversation_id = deletion.conversation_id
        self._take_chunks(conversation_id)
        if self._take_messages(conversation_id):
            return True
        self._database.execute("DELETE FROM deletions WHERE id = ?", (conversation_id,))
        return False

    @writes("request")
    def ask(
        self,
        question: Message | None,
        answer: Message,
        *,
        title: str | None,
        new: Conversation | None,
        key: IdempotencyKey | None = None,
        replaces: str | None = None,
    ) -> None:
        conversation_id = answer.conversation_id
        if key is not None:
            self._claim(key, replaces)
        if new is not None:
            self._create(new)
        self._conversation(answer.user, conversation_id)
        if self._row("SELECT 1 FROM messages WHERE id = ?", answer.id):
            return  # asked before
        if live := self._live(conversation_id):
            raise Busy(live)
        ordinal: int = self._database.execute(
            "SELECT coalesce(max(ordinal), -1) + 1 FROM messages WHERE conversation_id = ?",
            (conversation_id,),
        ).fetchone()[0]
        kept = (answer,) if question is None else (question, answer)
        for place, message in enumerate(kept, ordinal):
            self._insert("messages", message_row(msgspec.structs.replace(message, ordinal=place)))
        self._database.execute(
            """UPDATE conversations SET title = coalesce(title, ?), updated_at = ? WHERE id = ?""",
            (title, to_milliseconds(answer.created_at), conversation_id),
        )
        self._add_bytes(conversation_id, messages_bytes(kept))

    @reads("request")
    def kept_bytes(self, user: str) -> int:
        brought = "sum(bytes)" if self._counts_bytes else "0"
        count, found = self._database.execute(
            f"SELECT count(*), coalesce({brought}, 0) FROM conversations WHERE user = ?", (user,)
        ).fetchone()
        total: int = count * CONVERSATION_BYTES + found
        return total

    @reads("request")
    def message(self, user: str, message_id: str) -> Message:
        row = self._row(f"{MESSAGE} AND messages.user = ?", message_id, user)
        if row is None:
            raise NotFound
        return self._grown(message_in(row))

    @reads("request")
    def answer_status(self, user: str, answer_id: str) -> str:
        row = self._row(
            f"SELECT status {KEPT_MESSAGE} AND messages.user = ? AND role = ?",
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
        self._conversation(user, conversation_id)
        found = self._database.execute(
            f"""SELECT * FROM messages WHERE conversation_id = ? AND user = ? {where}
            ORDER BY ordinal DESC LIMIT ?""",
            (conversation_id, user, limit + 1),
        )
        page = messages_page_builder(limit)
        page.add_all(self._grown(message_in(row)) for row in found)
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
        self._conversation(user, conversation_id)
        # Their ids first: what is sorted is held, all of it.
        found = self._database.execute(
            """WITH RECURSIVE branch (id, parent_id, ordinal) AS (
                SELECT id, parent_id, ordinal FROM messages
                WHERE conversation_id = :conversation AND user = :user AND id = coalesce(:last, (
                    SELECT id FROM messages WHERE conversation_id = :conversation
                    ORDER BY ordinal DESC LIMIT 1
                ))
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
        if last is not None and not page.found:
            raise NotFound
        return page_of_branch(page.found)

    @reads("request")
    def live_answer(self, user: str, conversation_id: str) -> str | None:
        self._conversation(user, conversation_id)
        return self._live(conversation_id)

    def _create(self, conversation: Conversation) -> None:
        self._insert("conversations", conversation_row(conversation), "ON CONFLICT DO NOTHING")

    @property
    def _counts_bytes(self) -> bool:
        """Whether the file has room for what is brought."""
        return "bytes" in self._file.columns["conversations"]

    def _add_bytes(self, conversation_id: str, brought: int) -> None:
        if brought and self._counts_bytes:
            self._database.execute(
                "UPDATE conversations SET bytes = bytes + ? WHERE id = ?",
                (brought, conversation_id),
            )

    def _conversation(self, user: str, conversation_id: str) -> Row:
        row = self._row(
            "SELECT * FROM conversations WHERE id = ? AND user = ?", conversation_id, user
        )
        if row is None:
            raise NotFound
        return row

    def _take_messages(self, conversation_id: str) -> bool:
        """Take away the oldest messages of a conversation; whether there were any."""
        sizes = self._database.execute(
            """SELECT id, length(CAST(blocks AS BLOB)) AS size FROM messages
            WHERE conversation_id = ? ORDER BY ordinal LIMIT ?""",
            (conversation_id, _CLEARED),
        )
        taken: list[tuple[str]] = []
        room = _CLEARED_BYTES
        for row in sizes:
            taken.append((row["id"],))
            room -= row["size"]
            if room < 0:
                break
        sizes.close()
        self._database.executemany("DELETE FROM messages WHERE id = ?", taken)
        return bool(taken)

    def _take_chunks(self, conversation_id: str) -> None:
        """Take away what there is of its one live answer's growth: "." follows "-"."""
        self._database.execute(
            "DELETE FROM chunks WHERE answer_id > ? AND answer_id < ?",
            (f"{conversation_id}-", f"{conversation_id}."),
        )

    def _message(self, message_id: str) -> Message:
        """One that is there, of a conversation that is."""
        row = self._row("SELECT * FROM messages WHERE id = ?", message_id)
        assert row is not None
        return self._grown(message_in(row))

    def _live(self, conversation_id: str) -> str | None:
        row = self._row(
            "SELECT id FROM messages WHERE conversation_id = ? AND status = 'live'", conversation_id
        )
        return None if row is None else str(row["id"])
