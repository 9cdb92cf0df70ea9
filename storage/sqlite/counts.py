"""What users used, summed over all writers."""

from collections.abc import Mapping, Sequence

from model.messages import now
from storage.contract import CountStore
from storage.sqlite.connection import SQLiteConnection, writes
from storage.sqlite.rows import count_row
from storage.timestamps import to_milliseconds
from storage.values import UsageCount, UsageSpan


class SQLiteCounts(SQLiteConnection, CountStore):
    """Counts by user and time span; each writer has a row of its own."""

    @writes("counts")
    def share_counts(self, counts: Sequence[UsageCount]) -> Mapping[UsageSpan, int]:
        self._database.execute("DELETE FROM counts WHERE ends_at <= ?", (to_milliseconds(now()),))
        self._database.executemany(
            """INSERT INTO counts (user, what, begins_at, ends_at, writer, amount)
            VALUES (:user, :what, :begins_at, :ends_at, :writer, :amount)
            ON CONFLICT (user, what, begins_at, writer)
            DO UPDATE SET amount = max(amount, excluded.amount)""",
            [count_row(count) for count in counts if count.amount],
        )
        shared: dict[UsageSpan, int] = {}
        for count in counts:
            (shared[count.span],) = self._database.execute(
                """SELECT coalesce(sum(amount), 0) FROM counts
                WHERE user = :user AND what = :what AND begins_at = :begins_at""",
                count_row(count),
            ).fetchone()
        return shared
