"""Deliveries to webhooks, which are stored with the endings of answers until they are made."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
import pymongo
from motor.motor_tornado import MotorClientSession

from storage.contract import OutboxStore
from storage.mongo import queries
from storage.mongo.connection import MongoConnection, command
from storage.mongo.documents import delivery_in
from storage.values import MOST_COUNTED_DELIVERIES, WebhookDelivery


class MongoOutbox(MongoConnection, OutboxStore):
    """The collection `webhook_deliveries`, in which each document is due at a time.

    When that is only the server's clock says, since those of processes may differ.
    """

    @command("webhooks")
    async def claim_deliveries(
        self, webhook: str, *, limit: int, seconds: float
    ) -> list[WebhookDelivery]:
        cursor = self._deliveries.aggregate(queries.first_due(webhook, limit))
        due = [delivery_in(document) async for document in cursor]
        claimed = []
        claim = queries.delivery_claimed(int(seconds * 1000))
        for delivery in due:
            result = await self._deliveries.update_one(queries.unclaimed(delivery), claim)
            if result.matched_count:  # else another process was faster
                claimed.append(msgspec.structs.replace(delivery, tries=delivery.tries + 1))
        return claimed

    @command("webhooks")
    async def retry_delivery(self, delivery: WebhookDelivery, *, seconds: float) -> None:
        later = queries.delivery_postponed(int(seconds * 1000))
        await self._deliveries.update_one(queries.unclaimed(delivery), later)

    @command("webhooks")
    async def finish_delivery(self, delivery: WebhookDelivery) -> None:
        await self._deliveries.delete_one(queries.delivery_key(delivery))

    @command("webhooks")
    async def waiting_deliveries(self, webhook: str) -> int:
        return await self._deliveries.count_documents(
            queries.deliveries_to(webhook), limit=MOST_COUNTED_DELIVERIES
        )

    @command("webhooks")
    async def drop_deliveries(self, known: Collection[str], before: datetime) -> int:
        dropped = await self._deliveries.delete_many(queries.deliveries_to_others(known, before))
        return dropped.deleted_count

    async def _insert_deliveries(
        self, deliveries: Sequence[WebhookDelivery], session: MotorClientSession
    ) -> None:
        """Store the deliveries of endings that are written in the same transaction."""
        if not deliveries:
            return
        writes = [
            pymongo.UpdateOne(
                queries.delivery_key(delivery), queries.delivery_entered(delivery), upsert=True
            )
            for delivery in deliveries
        ]
        await self._deliveries.bulk_write(writes, ordered=False, session=session)
