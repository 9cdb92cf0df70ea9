"""Lists of a user's answers of all conversations: those that are live, those of a protocol."""

from collections.abc import Collection, Mapping
from typing import Any

from model.messages import Message
from storage.answer_lists import AnswerLists
from storage.cursors import decode_answer_cursor
from storage.errors import Outdated
from storage.pages import messages_page_builder, page_of_answers
from storage.sqlite.connection import reads
from storage.sqlite.messages import SQLiteMessages
from storage.timestamps import to_milliseconds
from storage.tolerant_decoding import decode_json
from storage.values import ClientAnswers, Page

# An answer of a conversation that exists: those of a deleted one may still be there.
_EXISTS = "EXISTS (SELECT 1 FROM conversations WHERE conversations.id = conversation_id)"


class SQLiteAnswerLists(SQLiteMessages, AnswerLists):
    """Each list is read from an index of its own."""

    @reads("request")
    def live_answers(self, user: str, *, limit: int, after: str | None = None) -> Page[Message]:
        return self._page("status = 'live'", {"user": user}, limit=limit, after=after)

    @reads("request")
    def live_answer_ids(self, user: str, conversation_ids: Collection[str]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for conversation_id in conversation_ids:
            row = self._fetch_row(
                """SELECT id FROM messages
                WHERE conversation_id = ? AND user = ? AND status = 'live'""",
                *(conversation_id, user),
            )
            if row is not None:
                found[conversation_id] = row["id"]
        return found

    @reads("request")
    def answers_of_protocol(
        self, user: str, chosen: ClientAnswers, *, limit: int, after: str | None = None
    ) -> Page[Message]:
        if "protocol" not in self._file.columns["messages"]:
            raise Outdated(
                f"{self.path} has no index of protocols yet; `server.py migrate` creates it"
            )
        where, values = "protocol = :protocol", {"user": user, "protocol": chosen.protocol}
        if chosen.model is not None:
            where, values = f"{where} AND model = :model", values | {"model": chosen.model}
        return self._page(
            where,
            values,
            limit=limit,
            after=after,
            oldest_first=chosen.oldest_first,
            metadata=chosen.metadata,
        )

    def _page(
        self,
        where: str,
        values: Mapping[str, Any],
        *,
        limit: int,
        after: str | None,
        oldest_first: bool = False,
        metadata: Mapping[str, str] = {},
    ) -> Page[Message]:
        place: dict[str, Any] = {}
        if after is not None:
            time, answer_id = decode_answer_cursor(after)
            where += f" AND (created_at, id) {'>' if oldest_first else '<'} (:time, :id)"
            place = {"time": to_milliseconds(time), "id": answer_id}
        direction = "ASC" if oldest_first else "DESC"
        # Select the ids first, because SQLite keeps all columns of the sorted rows in memory.
        found = self._database.execute(
            f"""SELECT id FROM messages WHERE user = :user AND {where} AND {_EXISTS}
            ORDER BY created_at {direction}, id {direction}""",
            {**values, **place},
        )
        page = messages_page_builder(limit)
        page.add_all(
            self._message(row["id"])
            for row in found
            if not metadata or self._has_metadata(row["id"], metadata)
        )
        found.close()
        return page_of_answers(page)

    def _has_metadata(self, answer_id: str, metadata: Mapping[str, str]) -> bool:
        row = self._fetch_row("SELECT client FROM messages WHERE id = ?", answer_id)
        client = None if row is None else decode_json(row["client"])
        stored = client.get("metadata") if isinstance(client, dict) else None
        return isinstance(stored, dict) and metadata.items() <= stored.items()
