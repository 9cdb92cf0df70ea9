"""Answers in SQLite while they are live: their growth, their endings, and what the dead left."""

from collections.abc import Mapping, Sequence

import msgspec

from model.growth import Chunk, fold
from model.messages import Ending, Message, Status
from storage.pages import ORPHANS, messages_page_builder
from storage.sqlite.connection import SQLiteConnection, reads, writes
from storage.sqlite.rows import assignments, chunk_in, chunk_row, ending_row, message_in
from storage.values import Growth, conversation_of

# A message, if it is of a conversation: of one that is deleted they may still be there.
KEPT_MESSAGE = """FROM messages
    JOIN conversations ON conversations.id = messages.conversation_id WHERE messages.id = ?"""
MESSAGE = f"SELECT messages.* {KEPT_MESSAGE}"


class SQLiteAnswers(SQLiteConnection):
    """What the relay asks of the store for live answers."""

    @writes("chunks")
    def append_chunks(self, chunks: Sequence[Chunk]) -> frozenset[str]:
        # A chunk that comes behind its answer's ending, or its deletion, would stay for ever.
        self._database.executemany(
            """INSERT INTO chunks (answer_id, position, pieces)
            SELECT :answer_id, :position, :pieces
            WHERE EXISTS (SELECT 1 FROM messages WHERE id = :answer_id AND status = 'live')
            ON CONFLICT DO NOTHING""",
            [chunk_row(chunk) for chunk in chunks],
        )
        if not self._file.columns.get("deletions"):
            return frozenset()
        deleted = {row["id"] for row in self._database.execute("SELECT id FROM deletions")}
        gone = (chunk.answer_id for chunk in chunks if conversation_of(chunk.answer_id) in deleted)
        return frozenset(gone)

    @writes("ending")
    def end_answer(self, answer_id: str, owner: str, ending: Ending) -> bool:
        row = self._held("messages", ending_row(ending))
        ended = self._database.execute(
            f"""UPDATE messages SET {assignments(row)}
            WHERE id = :id AND owner = :owner AND status = 'live'""",
            {**row, "id": answer_id, "owner": owner},
        )
        if ended.rowcount:
            self._database.execute("DELETE FROM chunks WHERE answer_id = ?", (answer_id,))
            return True
        kept = self._row("SELECT * FROM messages WHERE id = ? AND owner = ?", answer_id, owner)
        # By what was written: of what the file has no room for nothing was.
        return kept is not None and row.items() <= kept.items()

    @reads("relay")
    def growth(self, positions: Mapping[str, int]) -> Growth:
        chunks, ended, gone = [], [], set()
        for answer_id, position in positions.items():
            row = self._row(MESSAGE, answer_id)
            if row is None:
                gone.add(answer_id)
                continue
            found = self._row(
                "SELECT * FROM chunks WHERE answer_id = ? AND position = ?", answer_id, position
            )
            if found and (chunk := chunk_in(found)):
                chunks.append(chunk)
            elif row["status"] != Status.LIVE:
                ended.append(message_in(row))
        return Growth(tuple(chunks), tuple(ended), frozenset(gone))

    @reads("relay")
    def own_live_answers(self) -> frozenset[str]:
        found = self._database.execute(
            "SELECT id FROM messages WHERE status = 'live' AND owner = ?", (self.process,)
        )
        return frozenset(row["id"] for row in found)

    @reads("relay")
    def orphans(self) -> list[Message]:
        found = self._database.execute(
            "SELECT * FROM messages WHERE status = 'live' AND owner IS NOT ? LIMIT ?",
            (self.process, ORPHANS),
        )
        page = messages_page_builder(ORPHANS)
        page.add_all(self._grown(message_in(row)) for row in found)
        return page.found

    def _grown(self, message: Message) -> Message:
        """A live answer with the blocks checkpointed so far; any other message as it is."""
        if message.status is not Status.LIVE:
            return message
        chunks = self._database.execute(
            "SELECT * FROM chunks WHERE answer_id = ? ORDER BY position", (message.id,)
        )
        readable = (chunk for row in chunks if (chunk := chunk_in(row)))
        return msgspec.structs.replace(message, blocks=fold(readable))
