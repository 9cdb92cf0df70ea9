"""Deliveries to webhooks, which are stored with the endings of answers until they are made."""

from collections.abc import Collection, Sequence
from datetime import datetime

import pymongo
from motor.motor_tornado import MotorClientSession

from model.random_ids import random_id
from storage.contract import OutboxStore
from storage.mongo import queries
from storage.mongo.batches import Batches
from storage.mongo.connection import MongoConnection, command
from storage.mongo.documents import delivery_in
from storage.values import MOST_COUNTED_DELIVERIES, WebhookDelivery


class MongoOutbox(MongoConnection, OutboxStore):
    """The collection `webhook_deliveries`, in which each document is due at a time.

    When that is only the server's clock says, since those of processes may differ.
    """

    def __init__(self, url: str, process: str, lease_seconds: float) -> None:
        super().__init__(url, process, lease_seconds)
        self._finish_batches: Batches[WebhookDelivery, None] = Batches(self._finish_deliveries)

    @command("webhooks")
    async def claim_deliveries(
        self, webhook: str, *, limit: int, seconds: float
    ) -> list[WebhookDelivery]:
        cursor = self._deliveries.aggregate(queries.first_due(webhook, limit))
        ids = [document["_id"] async for document in cursor]
        if not ids:
            return []
        claim = random_id()
        taking = queries.deliveries_claimed(claim, int(seconds * 1000))
        await self._deliveries.update_many(queries.still_due(ids), taking)
        # Not all of them are ours if another process was faster.
        ours = self._deliveries.find(queries.claimed_deliveries(ids, claim))
        claimed = {document["_id"]: delivery_in(document) async for document in ours}
        return [claimed[each] for each in ids if each in claimed]

    @command("webhooks")
    async def retry_delivery(self, delivery: WebhookDelivery, *, seconds: float) -> None:
        later = queries.delivery_postponed(int(seconds * 1000))
        await self._deliveries.update_one(queries.claimed_last(delivery), later)

    async def finish_delivery(self, delivery: WebhookDelivery) -> None:
        await self._finish_batches.run(delivery, 0)

    @command("webhooks")
    async def _finish_deliveries(self, deliveries: Sequence[WebhookDelivery]) -> Sequence[None]:
        """Delete those of a batch."""
        if len(deliveries) == 1:
            await self._deliveries.delete_one(queries.delivery_key(deliveries[0]))
        else:
            await self._deliveries.delete_many(queries.deliveries_by_id(deliveries))
        return [None] * len(deliveries)

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
