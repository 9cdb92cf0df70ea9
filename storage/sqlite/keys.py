"""What SQLite keeps beside conversations: keys of both kinds, and counts."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from model.messages import now
from storage.cursors import decode_api_key_cursor
from storage.errors import KeyTaken, NotFound, Reason, failure
from storage.pages import page_of_api_keys
from storage.sqlite.connection import SQLiteConnection, reads, writes
from storage.sqlite.rows import api_key_in, api_key_row, assignments, count_row, key_in, key_row
from storage.timestamps import to_milliseconds
from storage.values import KEY_SECONDS, ApiKey, Count, IdempotencyKey, Page, Span

# How many API keys to ask for in one query: SQLite takes 999 values before its version 3.32.
_API_KEYS = 900


class SQLiteKeys(SQLiteConnection):
    """API keys, what clients' idempotency keys stand for, and what users did."""

    @reads("request")
    def idempotency_key(self, user: str, key_id: str) -> IdempotencyKey | None:
        row = self._row(
            "SELECT * FROM idempotency_keys WHERE id = ? AND user = ? AND created_at > ?",
            *(key_id, user, _oldest_key()),
        )
        return None if row is None else key_in(row)

    def _claim(self, key: IdempotencyKey, replaces: str | None) -> None:
        """Have `key` stand for its answer. Raises KeyTaken."""
        self._database.execute(
            "DELETE FROM idempotency_keys WHERE created_at <= ?", (_oldest_key(),)
        )
        taken = self._row("SELECT answer_id FROM idempotency_keys WHERE id = ?", key.id)
        if taken is not None and taken["answer_id"] not in (key.answer_id, replaces):
            raise KeyTaken
        row = self._held("idempotency_keys", key_row(key))
        self._insert("idempotency_keys", row, f"ON CONFLICT (id) DO UPDATE SET {assignments(row)}")

    @writes("request")
    def create_api_key(self, key: ApiKey) -> None:
        if key.models is not None and "models" not in self._file.columns["api_keys"]:
            # It would be a key for all of them.
            raise failure(
                f"{self.path} cannot keep which models a key may ask; `server.py migrate` first",
                Reason.OUTDATED,
            )
        self._insert("api_keys", api_key_row(key), "ON CONFLICT DO NOTHING")

    @reads("api_keys")
    def api_keys(self, key_ids: Collection[str]) -> list[ApiKey]:
        found: list[ApiKey] = []
        known = iter(key_ids)
        while some := tuple(islice(known, _API_KEYS)):
            places = ", ".join("?" * len(some))
            rows = self._database.execute(f"SELECT * FROM api_keys WHERE id IN ({places})", some)
            found += map(api_key_in, rows)
        return found

    @reads("request")
    def list_api_keys(self, user: str | None, *, limit: int, after: str | None) -> Page[ApiKey]:
        found = self._database.execute(
            """SELECT * FROM api_keys WHERE (:user IS NULL OR user = :user) AND id > :after
            ORDER BY id LIMIT :limit""",
            {
                "user": user,
                "after": "" if after is None else decode_api_key_cursor(after),
                "limit": limit + 1,
            },
        )
        return page_of_api_keys([api_key_in(row) for row in found], limit)

    @writes("request")
    def revoke_api_key(self, key_id: str, revoked_at: datetime) -> ApiKey:
        self._database.execute(
            "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?",
            (to_milliseconds(revoked_at), key_id),
        )
        row = self._row("SELECT * FROM api_keys WHERE id = ?", key_id)
        if row is None:
            raise NotFound
        return api_key_in(row)

    @writes("counts")
    def share_counts(self, counts: Sequence[Count]) -> Mapping[Span, int]:
        self._database.execute("DELETE FROM counts WHERE ends_at <= ?", (to_milliseconds(now()),))
        self._database.executemany(
            """INSERT INTO counts (user, what, begins_at, ends_at, writer, amount)
            VALUES (:user, :what, :begins_at, :ends_at, :writer, :amount)
            ON CONFLICT (user, what, begins_at, writer)
            DO UPDATE SET amount = max(amount, excluded.amount)""",
            [count_row(count) for count in counts if count.amount],
        )
        shared: dict[Span, int] = {}
        for count in counts:
            (shared[count.span],) = self._database.execute(
                """SELECT coalesce(sum(amount), 0) FROM counts
                WHERE user = :user AND what = :what AND begins_at = :begins_at""",
                count_row(count),
            ).fetchone()
        return shared


def _oldest_key() -> int:
    """When the keys that expire just now were made."""
    return to_milliseconds(now() - timedelta(seconds=KEY_SECONDS))
