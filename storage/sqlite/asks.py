"""Stores a question, its live answer and its idempotency key in one transaction.

Each statement costs the writer's thread some ten microseconds, and takes the interpreter from the
event loop. So a question that begins a conversation is stored without any query: nothing can be in
a conversation that did not exist.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from model.blocks import bytes_in
from model.messages import Conversation, Message
from storage.contract import AskStore
from storage.errors import BeingDeleted, Busy, NotFound
from storage.sizes import client_bytes, messages_bytes
from storage.sqlite.connection import writes
from storage.sqlite.deletions import SQLiteDeletions
from storage.sqlite.idempotency_keys import SQLiteIdempotencyKeys
from storage.sqlite.messages import SQLiteMessages
from storage.sqlite.rows import conversation_row, message_row
from storage.timestamps import to_milliseconds
from storage.values import IdempotencyKey


class _Place(NamedTuple):
    """The next ordinal of a conversation, and what may keep a question from being stored there."""

    ordinal: int
    asked_before: bool
    live: str | None  # the id of the live answer


def _size(question: Message | None, answer: Message, *_: Any, **__: Any) -> int:
    asked = 0 if question is None else sum(map(bytes_in, question.blocks))
    return asked if answer.client is None else asked + client_bytes(answer.client)


class SQLiteAsks(SQLiteMessages, SQLiteIdempotencyKeys, SQLiteDeletions, AskStore):
    """Stores questions with their answers, all or nothing."""

    @writes("request", _size)
    def ask(
        self,
        question: Message | None,
        answer: Message,
        *,
        title: str | None,
        new: Conversation | None,
        key: IdempotencyKey | None = None,
        replaces: str | None = None,
        id_is_chosen: bool = False,
    ) -> None:
        messages = (answer,) if question is None else (question, answer)
        if key is not None:
            self._claim_key(key, replaces)
        if new is not None and id_is_chosen and self._is_being_deleted(new.id):
            raise BeingDeleted
        if new is not None and self._begin_conversation(new, title, messages):
            self._confirm_files(question)
            self._insert_messages(messages, 0)
            return
        place = self._place(answer)
        if place.asked_before:
            return  # stored by an earlier attempt
        if place.live is not None:
            raise Busy(place.live)
        self._confirm_files(question)
        self._insert_messages(messages, place.ordinal)
        self._continue_conversation(title, messages)

    def _begin_conversation(
        self, new: Conversation, title: str | None, messages: Iterable[Message]
    ) -> bool:
        """Store a new conversation that has these messages; returns False if it exists already."""
        row = conversation_row(new)
        *_, answer = messages
        row["title"] = title if new.title is None else new.title
        row["bytes"] += messages_bytes(messages)
        row["updated_at"] = to_milliseconds(answer.created_at)
        return self._insert_conversation(row)

    def _place(self, answer: Message) -> _Place:
        """Return the place in the conversation for a question and its answer. Raises NotFound."""
        found = self._database.execute(
            """SELECT
                (SELECT coalesce(max(ordinal), -1) + 1 FROM messages WHERE conversation_id = :of),
                EXISTS (SELECT 1 FROM messages WHERE id = :answer),
                (SELECT id FROM messages WHERE conversation_id = :of AND status = 'live')
            FROM conversations WHERE id = :of AND user = :user""",
            {"of": answer.conversation_id, "answer": answer.id, "user": answer.user},
        ).fetchone()
        if found is None:
            raise NotFound
        return _Place(found[0], bool(found[1]), found[2])

    def _insert_messages(self, messages: Iterable[Message], ordinal: int) -> None:
        """Insert messages, with ordinals that begin at `ordinal`."""
        for place, message in enumerate(messages, ordinal):
            self._insert("messages", message_row(message) | {"ordinal": place})

    def _continue_conversation(self, title: str | None, messages: Iterable[Message]) -> None:
        """Update an existing conversation to which these messages were added."""
        *_, answer = messages
        adding = ", bytes = bytes + :bytes" if self._counts_bytes else ""
        self._database.execute(
            f"""UPDATE conversations
            SET title = coalesce(title, :title), updated_at = :updated_at{adding}
            WHERE id = :id""",
            {
                "id": answer.conversation_id,
                "title": title,
                "updated_at": to_milliseconds(answer.created_at),
                "bytes": messages_bytes(messages),
            },
        )
