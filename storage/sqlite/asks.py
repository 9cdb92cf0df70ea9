"""Stores a question, its live answer and its idempotency key in one transaction."""

import msgspec

from model.messages import Conversation, Message
from storage.contract import AskStore
from storage.errors import Busy
from storage.sizes import messages_bytes
from storage.sqlite.connection import writes
from storage.sqlite.idempotency_keys import SQLiteIdempotencyKeys
from storage.sqlite.messages import SQLiteMessages
from storage.sqlite.rows import message_row
from storage.timestamps import to_milliseconds
from storage.values import IdempotencyKey


class SQLiteAsks(SQLiteMessages, SQLiteIdempotencyKeys, AskStore):
    """Stores questions with their answers, all or nothing."""

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
            self._claim_key(key, replaces)
        if new is not None:
            self._insert_conversation(new)
        self._conversation_row(answer.user, conversation_id)
        if self._fetch_row("SELECT 1 FROM messages WHERE id = ?", answer.id):
            return  # stored by an earlier attempt
        if live := self._live_answer_id(conversation_id):
            raise Busy(live)
        ordinal: int = self._database.execute(
            "SELECT coalesce(max(ordinal), -1) + 1 FROM messages WHERE conversation_id = ?",
            (conversation_id,),
        ).fetchone()[0]
        messages = (answer,) if question is None else (question, answer)
        for place, message in enumerate(messages, ordinal):
            self._insert("messages", message_row(msgspec.structs.replace(message, ordinal=place)))
        self._database.execute(
            """UPDATE conversations SET title = coalesce(title, ?), updated_at = ? WHERE id = ?""",
            (title, to_milliseconds(answer.created_at), conversation_id),
        )
        self._add_bytes(conversation_id, messages_bytes(messages))
