"""Idempotency keys, each of which stands for an answer."""

from datetime import timedelta

from model.messages import now
from storage.errors import KeyTaken
from storage.sqlite.connection import SQLiteConnection, reads
from storage.sqlite.rows import assignments, key_in, key_row
from storage.timestamps import to_milliseconds
from storage.values import KEY_SECONDS, IdempotencyKey


class SQLiteIdempotencyKeys(SQLiteConnection):
    """Clients' idempotency keys."""

    @reads("request")
    def idempotency_key(self, user: str, key_id: str) -> IdempotencyKey | None:
        row = self._fetch_row(
            "SELECT * FROM idempotency_keys WHERE id = ? AND user = ? AND created_at > ?",
            *(key_id, user, _oldest_kept()),
        )
        return None if row is None else key_in(row)

    def _claim_key(self, key: IdempotencyKey, replaces: str | None) -> None:
        """Let `key` stand for its answer. Raises KeyTaken."""
        self._database.execute(
            "DELETE FROM idempotency_keys WHERE created_at <= ?", (_oldest_kept(),)
        )
        taken = self._fetch_row("SELECT answer_id FROM idempotency_keys WHERE id = ?", key.id)
        if taken is not None and taken["answer_id"] not in (key.answer_id, replaces):
            raise KeyTaken
        row = self._known_columns("idempotency_keys", key_row(key))
        self._insert("idempotency_keys", row, f"ON CONFLICT (id) DO UPDATE SET {assignments(row)}")


def _oldest_kept() -> int:
    """Return the creation time of keys that expire now."""
    return to_milliseconds(now() - timedelta(seconds=KEY_SECONDS))
