"""Deliveries to webhooks, which are stored with the endings of answers until they are made."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from model.messages import now
from storage.contract import OutboxStore
from storage.errors import Outdated
from storage.sqlite.connection import SQLiteConnection, reads, writes
from storage.sqlite.rows import delivery_in, delivery_row
from storage.timestamps import to_milliseconds
from storage.values import MOST_COUNTED_DELIVERIES, WebhookDelivery


class SQLiteOutbox(SQLiteConnection, OutboxStore):
    """The table `webhook_deliveries`, in which each row is due at a time."""

    @writes("webhooks")
    def claim_deliveries(
        self, webhook: str, *, limit: int, seconds: float
    ) -> list[WebhookDelivery]:
        self._check_outbox()
        due = self._database.execute(
            """SELECT * FROM webhook_deliveries WHERE webhook = ? AND due_at <= ?
            ORDER BY due_at LIMIT ?""",
            (webhook, _milliseconds_in(0), limit),
        ).fetchall()
        self._database.executemany(
            """UPDATE webhook_deliveries SET tries = tries + 1, due_at = ?
            WHERE webhook = ? AND answer_id = ?""",
            [(_milliseconds_in(seconds), webhook, row["answer_id"]) for row in due],
        )
        return [delivery_in({**row, "tries": row["tries"] + 1}) for row in due]

    @writes("webhooks")
    def retry_delivery(self, delivery: WebhookDelivery, *, seconds: float) -> None:
        self._check_outbox()
        self._database.execute(
            """UPDATE webhook_deliveries SET due_at = ?
            WHERE webhook = ? AND answer_id = ? AND tries = ?""",
            (
                *(_milliseconds_in(seconds), delivery.webhook),
                *(delivery.answer_id, delivery.tries),
            ),
        )

    @writes("webhooks")
    def finish_delivery(self, delivery: WebhookDelivery) -> None:
        self._check_outbox()
        self._database.execute(
            "DELETE FROM webhook_deliveries WHERE webhook = ? AND answer_id = ?",
            (delivery.webhook, delivery.answer_id),
        )

    @reads("relay")
    def waiting_deliveries(self, webhook: str) -> int:
        self._check_outbox()
        row = self._fetch_row(
            """SELECT count(*) AS waiting
            FROM (SELECT 1 FROM webhook_deliveries WHERE webhook = ? LIMIT ?)""",
            *(webhook, MOST_COUNTED_DELIVERIES),
        )
        return int(row["waiting"]) if row else 0

    @writes("webhooks")
    def drop_deliveries(self, known: Collection[str], before: datetime) -> int:
        self._check_outbox()
        marks = ", ".join("?" * len(known))
        dropped = self._database.execute(
            f"DELETE FROM webhook_deliveries WHERE ended_at < ? AND webhook NOT IN ({marks})",
            (to_milliseconds(before), *known),
        )
        return dropped.rowcount

    def _insert_deliveries(self, deliveries: Sequence[WebhookDelivery]) -> None:
        """Store the deliveries of an ending that is being written."""
        self._check_outbox()
        due = {"due_at": _milliseconds_in(0)}
        for delivery in deliveries:
            self._insert("webhook_deliveries", delivery_row(delivery) | due)

    def _check_outbox(self) -> None:
        if "webhook_deliveries" not in self._file.columns:
            raise Outdated(
                f"{self.path} has no table for deliveries to webhooks yet; `server.py migrate` "
                "creates it"
            )


def _milliseconds_in(seconds: float) -> int:
    """The time in so many seconds, as it is stored."""
    return to_milliseconds(now() + timedelta(seconds=seconds))
