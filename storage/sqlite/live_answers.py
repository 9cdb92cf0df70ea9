"""Live answers: their growth as chunks, and their endings."""

from collections.abc import Sequence

import msgspec

from model.blocks import bytes_in
from model.growth import Chunk, fold
from model.messages import Ending, Message, Status
from storage.contract import LiveAnswerStore
from storage.sqlite.connection import writes
from storage.sqlite.outbox import SQLiteOutbox
from storage.sqlite.rows import assignments, chunk_in, chunk_row, ending_row
from storage.values import WebhookDelivery, conversation_of


def _chunks_size(chunks: Sequence[Chunk]) -> int:
    return sum(piece.length for chunk in chunks for piece in chunk.pieces)


def _ending_size(
    answer_id: str,  # noqa: ARG001
    owner: str,  # noqa: ARG001
    ending: Ending,
    deliveries: Sequence[WebhookDelivery] = (),  # noqa: ARG001
) -> int:
    return sum(map(bytes_in, ending.blocks))


class SQLiteLiveAnswers(SQLiteOutbox, LiveAnswerStore):
    """Stores the answers that this process generates."""

    writes_are_ordered = True  # one thread writes, and a cancelled write was dropped

    @writes("chunks", _chunks_size)
    def append_chunks(self, chunks: Sequence[Chunk]) -> frozenset[str]:
        # A chunk stored after the ending or the deletion of its answer would never be deleted.
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

    @writes("ending", _ending_size)
    def end_answer(
        self,
        answer_id: str,
        owner: str,
        ending: Ending,
        deliveries: Sequence[WebhookDelivery] = (),
    ) -> bool:
        row = self._known_columns("messages", ending_row(ending))
        ended = self._database.execute(
            f"""UPDATE messages SET {assignments(row)}
            WHERE id = :id AND owner = :owner AND status = 'live'""",
            {**row, "id": answer_id, "owner": owner},
        )
        if ended.rowcount:
            self._database.execute("DELETE FROM chunks WHERE answer_id = ?", (answer_id,))
            if deliveries:
                self._insert_deliveries(deliveries)
            return True
        kept = self._fetch_row(
            "SELECT * FROM messages WHERE id = ? AND owner = ?", answer_id, owner
        )
        # Compares only the columns that were written; a file of an older version lacks some.
        return kept is not None and row.items() <= kept.items()

    def _with_stored_chunks(self, message: Message) -> Message:
        """Return a live answer with the blocks checkpointed so far; any other message unchanged."""
        if message.status is not Status.LIVE:
            return message
        chunks = self._database.execute(
            "SELECT * FROM chunks WHERE answer_id = ? ORDER BY position", (message.id,)
        )
        readable = (chunk for row in chunks if (chunk := chunk_in(row)))
        return msgspec.structs.replace(message, blocks=fold(readable))
