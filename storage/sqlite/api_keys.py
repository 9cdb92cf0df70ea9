"""API keys: created, looked up, listed and revoked."""

from collections.abc import Collection
from datetime import datetime
from itertools import islice

from storage.contract import ApiKeyStore
from storage.cursors import decode_api_key_cursor
from storage.errors import NotFound, Reason, failure
from storage.pages import page_of_api_keys
from storage.sqlite.connection import SQLiteConnection, reads, writes
from storage.sqlite.rows import api_key_in, api_key_row
from storage.timestamps import to_milliseconds
from storage.values import ApiKey, Page

# API keys in one query: SQLite before 3.32 takes 999 values at most.
_KEYS_PER_QUERY = 900


class SQLiteApiKeys(SQLiteConnection, ApiKeyStore):
    """The API keys of users."""

    @writes("request")
    def create_api_key(self, key: ApiKey) -> None:
        if key.models is not None and "models" not in self._file.columns["api_keys"]:
            # Without the column the key would not be restricted.
            raise failure(
                f"{self.path} cannot keep which models a key may ask; `server.py migrate` first",
                Reason.OUTDATED,
            )
        self._insert("api_keys", api_key_row(key), "ON CONFLICT DO NOTHING")

    @reads("api_keys")
    def api_keys(self, key_ids: Collection[str]) -> list[ApiKey]:
        found: list[ApiKey] = []
        known = iter(key_ids)
        while some := tuple(islice(known, _KEYS_PER_QUERY)):
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
        row = self._fetch_row("SELECT * FROM api_keys WHERE id = ?", key_id)
        if row is None:
            raise NotFound
        return api_key_in(row)
