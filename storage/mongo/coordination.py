"""What processes know of each other: leases, peer requests, remote answers and orphans."""

from collections.abc import Collection, Mapping, Set
from datetime import datetime
from itertools import islice

import pymongo

from model.growth import Chunk
from model.messages import Message, Status
from storage.contract import CoordinationStore
from storage.mongo import queries
from storage.mongo.connection import closing_cursor, command
from storage.mongo.documents import chunk_in, message_in, peer_requests_in
from storage.mongo.live_answers import MongoLiveAnswers
from storage.pages import ORPHANS, messages_page_builder
from storage.values import AnswerUpdates, PeerRequests

# Followed answers per query, which takes 30 ms here, and 1.7 ms for a single one. Their ids take
# 100 KB then, far from the 16 MB that a command may have.
_ANSWERS_PER_QUERY = 1000


class MongoCoordination(MongoLiveAnswers, CoordinationStore):
    """Each process has one document, which it alone writes: its lease and its peer requests."""

    async def renew_lease(self, requests: Mapping[str, PeerRequests]) -> bool:
        since = await self._renew_lease(requests)
        # Kept here, since a cancelled caller was not informed of a gap, and the next one has to be.
        # The same goes for a lost reply.
        unbroken = self._since in (None, since)
        self._since = since
        return unbroken

    @command("lease")
    async def _renew_lease(self, requests: Mapping[str, PeerRequests]) -> datetime:
        """Renew the lease; returns since when it is held without a gap."""
        renewed = await self._processes.find_one_and_update(
            {"_id": self.process},
            queries.lease_renewed(self._lease, requests),
            {"since": 1},
            upsert=True,
            return_document=pymongo.ReturnDocument.AFTER,
        )
        since: datetime = renewed["since"]
        return since

    @command("request")
    async def unreadable(self, kinds: Collection[str]) -> frozenset[str]:
        if not kinds:
            return frozenset()
        cursor = self._processes.find(queries.unable_to_read(kinds), {"reads": 1})
        reads = [document.get("reads", ()) async for document in cursor]
        return frozenset(kind for kind in kinds if any(kind not in each for each in reads))

    @command("peer_requests")
    async def peer_requests(self) -> PeerRequests:
        of_ours = {
            "wants": {"$elemMatch": {"owner": self.process}}
        }  # each process names this one once
        cursor = self._processes.find(queries.requesting_from(self.process), of_ours)
        return peer_requests_in([document["wants"][0] async for document in cursor])

    @command("follow")
    async def answer_updates(self, positions: Mapping[str, int]) -> AnswerUpdates:
        chunks: list[Chunk] = []
        ended: list[Message] = []
        gone: set[str] = set()
        known = iter(positions.items())
        while some := dict(islice(known, _ANSWERS_PER_QUERY)):
            cursor = self._chunks.find(queries.next_chunks(some))
            grown = [chunk async for document in cursor if (chunk := chunk_in(document))]
            # Read after the chunks, since an ending has all of its answer, whatever chunks there
            # were.
            over, lost = await self._ended_or_gone(
                some.keys() - {chunk.answer_id for chunk in grown}
            )
            seen = {chunk.answer_id for chunk in grown} | {message.id for message in over}
            lost |= await self._in_deleted_conversations(seen)
            chunks += [chunk for chunk in grown if chunk.answer_id not in lost]
            ended += [message for message in over if message.id not in lost]
            gone |= lost
        return AnswerUpdates(tuple(chunks), tuple(ended), frozenset(gone))

    @command("sweep")
    async def own_live_answers(self) -> frozenset[str]:
        own = queries.LIVE | {"owner": self.process}
        cursor = self._messages.find(own, {"_id": 1})
        return frozenset([document["_id"] async for document in cursor])

    @command("sweep")
    async def orphans(self) -> list[Message]:
        judge = queries.lease_held_throughout(self.process, self._lease)
        if await self._processes.find_one(judge, {"_id": 1}) is None:
            return []
        # Owners first, then leases: a process has its lease before it has an answer.
        owners = await self._messages.distinct("owner", queries.LIVE)
        alive = self._processes.find(queries.lease_held(owners), {"_id": 1})
        dead = set(owners) - {process["_id"] async for process in alive}
        if not dead:
            return []
        theirs = queries.LIVE | {"owner": {"$in": list(dead)}}
        page = messages_page_builder(ORPHANS)
        async with closing_cursor(self._messages.find(theirs).limit(ORPHANS)) as documents:
            async for document in documents:
                if not page.add(await self._with_stored_chunks(message_in(document))):
                    break
        return [message for message in page.found if message.status is Status.LIVE]

    async def _ended_or_gone(self, ids: Set[str]) -> tuple[list[Message], Set[str]]:
        """Those of the messages that have ended, whole, and the ids of those that are gone."""
        states = self._messages.find(queries.messages_by_id(ids), {"status": 1})
        live = {each["_id"] async for each in states if each["status"] == Status.LIVE}
        left = ids - live
        if not left:
            return [], left
        cursor = self._messages.find(queries.messages_by_id(left))
        ended = [message_in(document) async for document in cursor]
        return ended, left - {message.id for message in ended}
