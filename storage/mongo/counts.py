"""What users used, counted by all processes together."""

from collections.abc import Mapping, Sequence

import pymongo
from pymongo.errors import BulkWriteError

from storage.contract import CountStore
from storage.mongo import queries
from storage.mongo.connection import MongoConnection, command
from storage.mongo.documents import span_id
from storage.mongo.errors import only_duplicates
from storage.values import UsageCount, UsageSpan


class MongoCounts(MongoConnection, CountStore):
    """Counts by user and time span; each writer has a field of its own in them."""

    @command("counts")
    async def share_counts(self, counts: Sequence[UsageCount]) -> Mapping[UsageSpan, int]:
        if updates := [
            pymongo.UpdateOne(queries.span_key(count.span), queries.counted(count), upsert=True)
            for count in counts
            if count.amount
        ]:
            try:
                await self._counts.bulk_write(updates, ordered=False)
            except BulkWriteError as error:
                if not only_duplicates(error):
                    raise
                # Created by another process at this moment: now it can be updated.
                await self._counts.bulk_write(updates, ordered=False)
        shared = {count.span: 0 for count in counts}
        spans = {span_id(span): span for span in shared}
        async for document in self._counts.find(queries.spans_by_id(spans)):
            shared[spans[document["_id"]]] = sum(document["counts"].values())
        return shared
