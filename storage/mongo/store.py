"""The store for many processes on many machines: MongoDB, through Motor.

The only module of the project that imports motor or pymongo. It keeps to calls that Motor shares
with PyMongo's own AsyncMongoClient, its successor; three differ, `start_session`,
`start_transaction` and `close`, and each of them is called in one place, which says so.

What is acknowledged was journaled by a majority of the servers, and what is read cannot be rolled
back. Whatever fails, the outcome is unknown, and every operation can simply be done again.
"""

import asyncio
import functools
import os
import random
import warnings
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
    Set,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

# Motor works in one pool of threads for the whole process, which has 5 for each core unless it is
# told otherwise before it is imported. 30 hung commands were seen to hold up an unrelated healthy
# one for 3 s: hence a number of ours, and the limits below, which together are lower. More
# threads would only wait for the same interpreter.
os.environ["MOTOR_MAX_WORKERS"] = "39"

import pymongo
from bson.errors import BSONError
from motor.motor_tornado import MotorClient, MotorClientSession, MotorCollection
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from model.growth import Chunk, fold
from model.messages import Conversation, Ending, Message, Role, Status, now
from storage.base import (
    SCHEMA_VERSION,
    ApiKey,
    Busy,
    Changes,
    Count,
    Deletion,
    Growth,
    IdempotencyKey,
    KeyTaken,
    NotFound,
    Order,
    Outdated,
    Page,
    PeerRequests,
    Span,
    Storage,
    StorageError,
    StoreReport,
    conversation_of,
    failure,
)
from storage.mongo import migration, queries
from storage.mongo.concurrency_limit import ConcurrencyLimit
from storage.mongo.documents import (
    Document,
    api_key_document,
    api_key_in,
    chunk_document,
    chunk_in,
    conversation_document,
    conversation_in,
    deletion_in,
    ended_fields,
    key_document,
    key_in,
    message_document,
    message_in,
    peer_requests_in,
    span_id,
)
from storage.mongo.error_hints import hosts, reason, words
from storage.mongo.schema import INDEXES, VALIDATORS
from storage.pages import (
    ORPHANS,
    conversations_page_builder,
    messages_page_builder,
    page_of_api_keys,
    page_of_branch,
    page_of_conversations,
    page_of_messages,
)
from storage.sizes import CONVERSATION_BYTES

P = ParamSpec("P")
T = TypeVar("T")

# Seconds for one command, or one transaction with its retries; finding a server is part of it. A
# person waits for a question to be kept: longer than this, and a 503 serves them better.
_TIMEOUT = 5.0

# Seconds. An index on a collection that somebody else filled takes longer than a command may.
_OPEN_TIMEOUT = 60.0

# Seconds that a change of a collection may wait at the server for the transactions in it, with all
# who write there behind it: 3.7 were seen without this, and a person notices half a second. Between
# two tries there are pauses of once to thrice as long, for those writes.
_TRY_SECONDS = 0.1

# Seconds of trying. Transactions of ours last for 5 at most, and the server ends any after 60.
_BUSY_SECONDS = 60.0

# Seconds, for what only saves others time: to end a transaction that failed (the server does it
# after 60 s, and its conversation is locked until then), to give a lease back.
_GOODBYE_TIMEOUT = 1.0

# How many commands of a kind may be in flight: 16 + 8 + 6 + 8 are 38 in all, for 39 threads. So a
# lease never waits behind a backlog of anything, nor the end of an answer behind a rush of
# questions, nor what others want of this process behind the growth that it follows. Whoever deletes
# conversations by the hundred fills the two places for that, and no others. Of keys there are two
# queries at a time: one that looks after those that are known, and one for all that are not.
_CONCURRENCY = {
    "request": 16,
    "ending": 8,
    "chunks": 2,
    "deletion": 2,
    "clearing": 1,
    "api_keys": 2,
    "lease": 1,
    "peer_requests": 1,
    "follow": 1,
    "counts": 1,
    "sweep": 1,
    "ping": 1,
}

# How many messages to look through for those of one branch: 100 bytes each, a hundred in the first
# reply and the rest in another, if it comes to that.
_LINKS = 1000

# How many messages of a deleted conversation, or chunks, to take away at once: 20 ms here. Others
# wait for one such batch at most.
_CLEARED = 500

# How many followed answers to ask for at once: it takes 30 ms here, and 1.7 for a single one. Their
# ids are 100 KB then, far from the 16 MB that a command may have.
_FOLLOWED = 1000

# How many API keys to look after at once. Their ids are 20 KB then, what comes back some 250.
_API_KEYS = 1000

# Set here, whatever the URL says: every promise of the contract rests on them. Milliseconds.
_OPTIONS: dict[str, Any] = {
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
    "readPreference": "primary",
    "retryWrites": True,
    "timeoutMS": int(_TIMEOUT * 1000),
    "serverSelectionTimeoutMS": int(_TIMEOUT * 1000),
    "maxPoolSize": int(os.environ["MOTOR_MAX_WORKERS"]),
    # What another program wrote, and Python cannot hold, would else fail whatever is read with it.
    "datetime_conversion": "DATETIME_CLAMP",
    "unicode_decode_error_handler": "replace",
    "tz_aware": True,
    "tzinfo": UTC,
    "appName": "headrace",
}

_UNKNOWN_COMMIT = "UnknownTransactionCommitResult"

# The server's codes.
_DUPLICATE_KEY = 11000
_NAMESPACE_EXISTS = 48

_Method = Callable[Concatenate["MongoStorage", P], Coroutine[Any, Any, T]]


def _command(kind: str) -> Callable[[_Method[P, T]], _Method[P, T]]:
    """Have a method run within the limit of its `kind`, to its end, and raise our errors."""

    def decorate(method: _Method[P, T]) -> _Method[P, T]:
        @functools.wraps(method)
        async def run(storage: "MongoStorage", /, *args: P.args, **kwargs: P.kwargs) -> T:
            async def command() -> T:
                with storage._our_errors(method.__name__.lstrip("_")):
                    return await method(storage, *args, **kwargs)

            return await storage._limits[kind].run(command)

        return run

    return decorate


class MongoStorage(Storage):
    """Conversations in a replica set or a sharded cluster; see the contract for the promises."""

    def __init__(self, url: str, process: str, lease_seconds: float) -> None:
        self.process = process
        self._url = url
        self._lease = int(lease_seconds * 1000)  # as the server counts
        self._since: datetime | None = None  # when the lease began that we know of
        self._limits = {
            kind: ConcurrencyLimit(limit, timeout=_TIMEOUT) for kind, limit in _CONCURRENCY.items()
        }
        self._client: MotorClient[Document] | None = None

    async def open(self, *, beside: bool = False) -> None:
        try:
            self._connect()
            with self._our_errors("open"):
                await self._check_server()
                await self._create_missing()
            # Before any answer of ours, so that nobody ever finds one without its lease.
            if not beside:
                await self.renew_lease({})
        except BaseException:  # whoever left while it was opened closes nothing
            await self.close()
            raise

    async def report(self) -> StoreReport:
        try:
            self._connect()
            with self._our_errors("examination"):
                # First, so that connecting is no part of what is timed behind it.
                build = await self._database.command("buildInfo")
                asked = datetime.now(UTC)
                hello = await self._check_server()
                middle = asked + (datetime.now(UTC) - asked) / 2
                there = await self._look()
                _check_rules(there)
        finally:
            await self.close()
        hosts = hello.get("hosts", ())
        shape = f"replica set {hello.get('setName')} of {len(hosts)} at {', '.join(hosts)}"
        return StoreReport(
            name="MongoDB",
            version=tuple(build["versionArray"][:3]),
            shape=shape if hosts else "sharded cluster",
            missing=tuple(migration.missing(there)),
            due=migration.due(there),
            ahead_seconds=(hello["localTime"].replace(tzinfo=UTC) - middle).total_seconds(),
        )

    async def migrate(self, say: Callable[[str], None]) -> bool:
        try:
            self._connect()
            with self._our_errors("migration"):
                await self._check_server()
                there = await self._look()
                if there.version > SCHEMA_VERSION:
                    raise StorageError("a newer version of Headrace has migrated this database")
                for step in migration.steps(there):
                    await self._change(step)
                    say(f"changed: {step.what}")
                # Last: whoever reads it may rely on the rest.
                if not migration.is_fresh(there) and there.version < SCHEMA_VERSION:
                    await self._note_version()
                    say(f"changed: {migration.version_step(there)}")
        finally:
            await self.close()
        return bool(migration.due(there))

    async def close(self) -> None:
        if self._client is None:
            return
        client, self._client = self._client, None
        try:
            for limit in self._limits.values():
                await limit.wait_until_idle()
            if self._since is not None:
                lease = queries.lease_given_back(self.process)
                await _let_go(lambda: self._processes.delete_one(lease))  # or it runs out
        finally:  # also if whoever closes it leaves: nobody else has the client by now
            # AsyncMongoClient: `await client.close()`. Motor's says goodbye to the servers in this
            # thread, which must not wait for them.
            await asyncio.get_running_loop().run_in_executor(None, client.close)

    @_command("ping")
    async def ping(self) -> None:
        await self._database.command("ping")  # finds the server that takes writes

    @_command("request")
    async def create_conversation(self, conversation: Conversation) -> None:
        with suppress(DuplicateKeyError):  # by an earlier try
            await self._conversations.insert_one(conversation_document(conversation))

    @_command("request")
    async def conversation(self, user: str, conversation_id: str) -> Conversation:
        key = queries.conversation_key(user, conversation_id)
        found = await self._conversations.find_one(key)
        if found is None:
            raise NotFound
        return conversation_in(found)

    @_command("request")
    async def conversations(
        self, user: str, *, limit: int, after: str | None, order: Order = Order.CREATED
    ) -> Page[Conversation]:
        query = queries.conversations_after(user, after, order)
        cursor = self._conversations.find(query).sort([(order.field, -1), ("_id", -1)])
        cursor.allow_disk_use(True)  # for a store that is not migrated, which sorts them
        page = conversations_page_builder(limit)
        async with _closing(cursor.limit(limit + 1)) as documents:
            async for document in documents:
                if not page.add(conversation_in(document)):
                    break
        return page_of_conversations(page, order)

    @_command("request")
    async def change_conversation(
        self, user: str, conversation_id: str, changes: Changes, updated_at: datetime
    ) -> Conversation:
        changed = await self._conversations.find_one_and_update(
            queries.conversation_key(user, conversation_id),
            queries.changed(changes, updated_at),
            return_document=pymongo.ReturnDocument.AFTER,
        )
        if changed is None:
            raise NotFound
        return conversation_in(changed)

    @_command("deletion")
    async def delete_conversation(self, user: str, conversation_id: str) -> None:
        key = queries.conversation_key(user, conversation_id)
        live = queries.messages_of(user, conversation_id) | queries.LIVE

        async def forget(session: MotorClientSession) -> None:
            gone = await self._conversations.delete_one(key, session=session)
            if not gone.deleted_count:
                raise NotFound
            await self._deletions.update_one(
                queries.deletion_key(conversation_id),
                queries.deleted(user),
                upsert=True,
                session=session,
            )
            # Whoever writes an answer there finds it gone when it ends.
            await self._messages.delete_one(live, session=session)

        async def is_forgotten() -> bool:
            return await self._conversations.find_one(key, {"_id": 1}) is None

        await self._transact(forget, is_forgotten)

    @_command("clearing")
    async def deletion(self) -> Deletion | None:
        # The one that is due first, if any is: which that is the server's clock decides, by the id.
        found = await self._deletions.find_one(sort=[("due_at", 1)])
        if found is None:
            return None
        due = queries.deletion_due(found["_id"])
        claimed = await self._deletions.update_one(due, queries.deletion_claimed(self._lease))
        return deletion_in(found) if claimed.matched_count else None

    @_command("clearing")
    async def clear(self, deletion: Deletion) -> bool:
        user, conversation_id = deletion.user, deletion.conversation_id
        key = queries.deletion_key(conversation_id)
        # For as long as a lease: two that clear one conversation do no harm, only work for nothing.
        await self._deletions.update_one(key, queries.deletion_claimed(self._lease))
        messages = queries.messages_of(user, conversation_id)
        first = await self._messages.find_one(messages, {"ordinal": 1}, sort=[("ordinal", 1)])
        if first is not None:
            batch = queries.messages_below(user, conversation_id, first["ordinal"] + _CLEARED)
            await self._messages.delete_many(batch)
            return True
        chunks = queries.chunks_of_conversation(conversation_id)
        last = await self._chunks.find_one(chunks, {"_id": 1}, sort=[("_id", 1)], skip=_CLEARED - 1)
        if last is not None:
            await self._chunks.delete_many(queries.chunks_up_to(conversation_id, last["_id"]))
            return True
        await self._chunks.delete_many(chunks)
        if deletion.again:
            await self._deletions.delete_one(key)
        else:
            await self._deletions.update_one(key, queries.CLEARED)
        return False

    @_command("request")
    async def kept_bytes(self, user: str) -> int:
        found = self._conversations.aggregate(queries.sum_of_bytes(user))
        sums = [each["count"] * CONVERSATION_BYTES + each["bytes"] async for each in found]
        return sum(sums)

    @_command("request")
    async def ask(
        self,
        question: Message | None,
        answer: Message,
        *,
        title: str | None,
        new: Conversation | None,
        key: IdempotencyKey | None = None,
        replaces: str | None = None,
    ) -> None:
        kept = (answer,) if question is None else (question, answer)
        make = new
        entitled = key is None  # to be told what it meets in the conversation

        async def keep(session: MotorClientSession) -> None:
            nonlocal make, entitled
            if key is not None:
                entitled = False
                await self._claim(session, key, replaces)
                entitled = True
            try:
                ordinal = await self._enter(session, kept, title, make)
            except DuplicateKeyError:
                make = None  # it is there already: the next try finds out whether it is theirs
                raise
            documents = [message_document(each, place) for place, each in enumerate(kept, ordinal)]
            # In this order: that it was asked before comes out ahead of busy.
            await self._messages.insert_many(documents, session=session)

        async def is_kept() -> bool:
            # The key behind the live answer: if they came together, it shows by then.
            live = await self._live(answer.user, answer.conversation_id)
            if key is not None:
                await self._check_claim(key, replaces)
            if await self._is_message(answer):
                return True
            # Who did not get the key waits for it to show: on its shard that may take longer.
            if entitled and live not in (None, answer.id):
                raise Busy(live)
            return False

        await self._transact(keep, is_kept)

    @_command("request")
    async def idempotency_key(self, user: str, key_id: str) -> IdempotencyKey | None:
        found = await self._keys.find_one(queries.idempotency_key(user, key_id))
        return None if found is None else key_in(found)

    @_command("request")
    async def message(self, user: str, message_id: str) -> Message:
        found = await self._messages.find_one(queries.message_key(message_id) | {"user": user})
        if found is None:
            raise NotFound
        message = await self._grown(message_in(found))
        await self._check_conversation(user, conversation_of(message_id))
        return message

    @_command("request")
    async def answer_status(self, user: str, answer_id: str) -> str:
        key = queries.message_key(answer_id) | {"user": user, "role": Role.ASSISTANT.value}
        found = await self._messages.find_one(key, {"_id": 0, "status": 1})
        if found is None:
            raise NotFound
        await self._check_conversation(user, conversation_of(answer_id))
        return str(found["status"])

    @_command("request")
    async def messages(
        self, user: str, conversation_id: str, *, limit: int, before: str | None
    ) -> Page[Message]:
        query = queries.messages_before(user, conversation_id, before)
        cursor = self._messages.find(query).sort("ordinal", -1).limit(limit + 1)
        page = messages_page_builder(limit)
        async with _closing(cursor) as documents:
            async for document in documents:
                if not page.add(await self._grown(message_in(document))):
                    break
        await self._check_conversation(user, conversation_id)
        return page_of_messages(page)

    @_command("request")
    async def branch(
        self,
        user: str,
        conversation_id: str,
        *,
        limit: int,
        last: str | None,
        max_chars: int | None = None,
    ) -> Page[Message]:
        query = queries.messages_of(user, conversation_id)
        if last is not None:
            place = await self._place(user, conversation_id, last)
            query = queries.messages_up_to(user, conversation_id, place)
        cursor = self._messages.find(query).sort("ordinal", -1).limit(limit)
        page = messages_page_builder(limit, max_chars)
        found = page.found
        # Most go on from what was said just before, so that this one read brings them all.
        async with _closing(cursor) as documents:
            async for document in documents:
                place = document["ordinal"]
                if found and document["_id"] != found[-1].parent_id:
                    continue  # of another branch
                if not page.add(await self._grown(message_in(document))):
                    break
        parent_id = found[-1].parent_id if found and not page.has_more else None
        if parent_id is not None and len(found) < limit:
            line = await self._line(
                user, conversation_id, parent_id, below=place, limit=limit - len(found)
            )
            query = queries.messages_at(user, conversation_id, line)
            async with _closing(self._messages.find(query).sort("ordinal", -1)) as documents:
                async for document in documents:
                    if not page.add(message_in(document)):
                        break
        await self._check_conversation(user, conversation_id)
        return page_of_branch(found)

    @_command("deletion")  # which asks for it first
    async def live_answer(self, user: str, conversation_id: str) -> str | None:
        live = await self._live(user, conversation_id)
        await self._check_conversation(user, conversation_id)
        return live

    @_command("chunks")
    async def append_chunks(self, chunks: Sequence[Chunk]) -> frozenset[str]:
        if not chunks:
            return frozenset()
        written_at = now()
        documents = [chunk_document(chunk, written_at) for chunk in chunks]
        try:
            # Unordered: one that is there already does not keep the others out.
            await self._chunks.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if not _only_duplicates(error):
                raise
        # Only now: what is written before it is deleted is found by whoever clears it.
        gone = await self._deleted({chunk.answer_id for chunk in chunks})
        for conversation_id in {conversation_of(answer_id) for answer_id in gone}:
            await self._chunks.delete_many(queries.chunks_of_conversation(conversation_id))
        return gone

    @_command("ending")
    async def end_answer(self, answer_id: str, owner: str, ending: Ending) -> bool:
        key = queries.message_key(answer_id) | {"owner": owner}
        update = {"$set": ended_fields(ending)}
        ended = await self._messages.update_one(key | queries.LIVE, update)
        if ended.matched_count:
            return True
        kept = await self._messages.find_one(key)
        return kept is not None and message_in(kept).has(ending)

    async def renew_lease(self, requests: Mapping[str, PeerRequests]) -> bool:
        since = await self._renew_lease(requests)
        # Remembered here, where the caller waits: one who left did not learn of a gap, and the
        # next one has to. The same goes for a reply that was lost.
        unbroken = self._since in (None, since)
        self._since = since
        return unbroken

    @_command("lease")
    async def _renew_lease(self, requests: Mapping[str, PeerRequests]) -> datetime:
        """Renew it; returns since when it is held without a gap."""
        renewed = await self._processes.find_one_and_update(
            {"_id": self.process},
            queries.lease_renewed(self._lease, requests),
            {"since": 1},
            upsert=True,
            return_document=pymongo.ReturnDocument.AFTER,
        )
        since: datetime = renewed["since"]
        return since

    @_command("request")
    async def unreadable(self, kinds: Collection[str]) -> frozenset[str]:
        if not kinds:
            return frozenset()
        cursor = self._processes.find(queries.not_reading(kinds), {"reads": 1})
        reads = [document.get("reads", ()) async for document in cursor]
        return frozenset(kind for kind in kinds if any(kind not in each for each in reads))

    @_command("peer_requests")
    async def peer_requests(self) -> PeerRequests:
        of_ours = {"wants": {"$elemMatch": {"owner": self.process}}}  # a process names us once
        cursor = self._processes.find(queries.wanting(self.process), of_ours)
        return peer_requests_in([document["wants"][0] async for document in cursor])

    @_command("follow")
    async def growth(self, positions: Mapping[str, int]) -> Growth:
        chunks: list[Chunk] = []
        ended: list[Message] = []
        gone: set[str] = set()
        known = iter(positions.items())
        while some := dict(islice(known, _FOLLOWED)):
            cursor = self._chunks.find(queries.next_chunks(some))
            grown = [chunk async for document in cursor if (chunk := chunk_in(document))]
            # Only now, for an ending brings all of its answer, whatever chunks it had meanwhile.
            over, lost = await self._over(some.keys() - {chunk.answer_id for chunk in grown})
            seen = {chunk.answer_id for chunk in grown} | {message.id for message in over}
            lost |= await self._deleted(seen)
            chunks += [chunk for chunk in grown if chunk.answer_id not in lost]
            ended += [message for message in over if message.id not in lost]
            gone |= lost
        return Growth(tuple(chunks), tuple(ended), frozenset(gone))

    @_command("counts")
    async def share_counts(self, counts: Sequence[Count]) -> Mapping[Span, int]:
        if updates := [
            pymongo.UpdateOne(queries.span_key(count.span), queries.counted(count), upsert=True)
            for count in counts
            if count.amount
        ]:
            try:
                await self._counts.bulk_write(updates, ordered=False)
            except BulkWriteError as error:
                if not _only_duplicates(error):
                    raise
                # Made by another process in this moment: now it can be updated.
                await self._counts.bulk_write(updates, ordered=False)
        shared = {count.span: 0 for count in counts}
        spans = {span_id(span): span for span in shared}
        async for document in self._counts.find(queries.spans_by_id(spans)):
            shared[spans[document["_id"]]] = sum(document["counts"].values())
        return shared

    @_command("sweep")
    async def own_live_answers(self) -> frozenset[str]:
        own = queries.LIVE | {"owner": self.process}
        cursor = self._messages.find(own, {"_id": 1})
        return frozenset([document["_id"] async for document in cursor])

    @_command("sweep")
    async def orphans(self) -> list[Message]:
        judge = queries.lease_held_throughout(self.process, self._lease)
        if await self._processes.find_one(judge, {"_id": 1}) is None:
            return []
        # Owners first and leases afterwards: a process has its lease before it has an answer.
        owners = await self._messages.distinct("owner", queries.LIVE)
        alive = self._processes.find(queries.lease_held(owners), {"_id": 1})
        dead = set(owners) - {process["_id"] async for process in alive}
        if not dead:
            return []
        theirs = queries.LIVE | {"owner": {"$in": list(dead)}}
        page = messages_page_builder(ORPHANS)
        async with _closing(self._messages.find(theirs).limit(ORPHANS)) as documents:
            async for document in documents:
                if not page.add(await self._grown(message_in(document))):
                    break
        return [message for message in page.found if message.status is Status.LIVE]

    @_command("request")
    async def create_api_key(self, key: ApiKey) -> None:
        with suppress(DuplicateKeyError):  # by an earlier try
            await self._api_keys.insert_one(api_key_document(key))

    @_command("api_keys")
    async def api_keys(self, key_ids: Collection[str]) -> list[ApiKey]:
        found: list[ApiKey] = []
        known = iter(key_ids)
        while some := tuple(islice(known, _API_KEYS)):
            cursor = self._api_keys.find(queries.api_keys_by_id(some))
            found += [api_key_in(document) async for document in cursor]
        return found

    @_command("request")
    async def list_api_keys(
        self, user: str | None, *, limit: int, after: str | None
    ) -> Page[ApiKey]:
        query = queries.api_keys_after(user, after)
        cursor = self._api_keys.find(query).sort("_id", 1).limit(limit + 1)
        found = [api_key_in(document) async for document in cursor]
        return page_of_api_keys(found, limit)

    @_command("request")
    async def revoke_api_key(self, key_id: str, revoked_at: datetime) -> ApiKey:
        revoked = await self._api_keys.find_one_and_update(
            queries.api_key(key_id),
            queries.api_key_revoked(revoked_at),
            return_document=pymongo.ReturnDocument.AFTER,
        )
        if revoked is None:
            raise NotFound
        return api_key_in(revoked)

    async def _claim(
        self, session: MotorClientSession, key: IdempotencyKey, replaces: str | None
    ) -> None:
        """Have `key` stand for its answer; a DuplicateKeyError if it stands for another."""
        await self._keys.replace_one(
            queries.claimed(key, replaces), key_document(key), upsert=True, session=session
        )

    async def _check_claim(self, key: IdempotencyKey, replaces: str | None) -> None:
        """Raise KeyTaken if `key` stands for another answer by now."""
        kept = await self._keys.find_one(queries.idempotency_key(key.user, key.id))
        if kept is not None and kept["answer_id"] not in (key.answer_id, replaces):
            raise KeyTaken

    async def _enter(
        self,
        session: MotorClientSession,
        kept: Sequence[Message],
        title: str | None,
        new: Conversation | None,
    ) -> int:
        """Take places in the conversation, made first if `new`, for `kept`; return the first."""
        key = queries.conversation_key(kept[0].user, kept[0].conversation_id)
        conversation = await self._conversations.find_one_and_update(
            key,
            queries.entered(kept, new, title),
            {"title": 1, "ordinals": 1},
            upsert=new is not None,
            return_document=pymongo.ReturnDocument.AFTER,
            session=session,
        )
        if conversation is None:
            raise NotFound
        if title is not None and conversation["title"] is None:
            await self._conversations.update_one(key, {"$set": {"title": title}}, session=session)
        ordinals: int = conversation["ordinals"]
        return ordinals - len(kept)

    async def _is_message(self, message: Message) -> bool:
        key = queries.message_key(message.id) | {"user": message.user}
        return await self._messages.find_one(key, {"_id": 1}) is not None

    async def _live(self, user: str, conversation_id: str) -> str | None:
        live = queries.messages_of(user, conversation_id) | queries.LIVE
        found = await self._messages.find_one(live, {"_id": 1})
        return None if found is None else str(found["_id"])

    async def _place(self, user: str, conversation_id: str, message_id: str) -> int:
        """The ordinal of a message of a conversation. Raises NotFound."""
        key = queries.messages_of(user, conversation_id) | {"_id": message_id}
        found = await self._messages.find_one(key, {"ordinal": 1})
        if found is None:
            raise NotFound
        place: int = found["ordinal"]
        return place

    async def _line(
        self, user: str, conversation_id: str, last: str, *, below: int, limit: int
    ) -> list[int]:
        """The ordinals of the message `last` and of the nearest it goes on from, `limit` in all.

        All of them lie below one that goes on from it. The messages of other branches that lie in
        between are read as well, without what they say; past very many of them it is looked up
        where the next one is.
        """
        line: list[int] = []
        query = queries.messages_below(user, conversation_id, below)
        while True:
            cursor = self._messages.find(query, {"ordinal": 1, "parent_id": 1})
            async with _closing(cursor.sort("ordinal", -1).limit(_LINKS)) as documents:
                async for document in documents:
                    if document["_id"] == last:
                        line.append(document["ordinal"])
                        last = document.get("parent_id")
                        if last is None or len(line) == limit:
                            return line
            place = await self._place(user, conversation_id, last)
            query = queries.messages_up_to(user, conversation_id, place)

    async def _deleted(self, answer_ids: Set[str]) -> frozenset[str]:
        """Those of the answers whose conversation is deleted."""
        if not answer_ids:
            return frozenset()
        found = self._deletions.find(
            queries.deletions_of({conversation_of(answer_id) for answer_id in answer_ids}),
            {"_id": 1},
        )
        deleted = {document["_id"] async for document in found}
        return frozenset(each for each in answer_ids if conversation_of(each) in deleted)

    async def _check_conversation(self, user: str, conversation_id: str) -> None:
        """Raise NotFound if it is deleted, or never was: its messages may still be there.

        Asked behind what was read of it: whoever deletes it meanwhile takes that away as well.
        """
        key = queries.conversation_key(user, conversation_id)
        if await self._conversations.find_one(key, {"_id": 1}) is None:
            raise NotFound

    async def _over(self, ids: Set[str]) -> tuple[list[Message], Set[str]]:
        """Those of the messages that have ended, whole, and the ids of those that are gone."""
        states = self._messages.find(queries.messages_by_id(ids), {"status": 1})
        live = {each["_id"] async for each in states if each["status"] == Status.LIVE}
        left = ids - live
        if not left:
            return [], left
        cursor = self._messages.find(queries.messages_by_id(left))
        ended = [message_in(document) async for document in cursor]
        return ended, left - {message.id for message in ended}

    async def _grown(self, message: Message) -> Message:
        """A live answer with the blocks checkpointed so far; any other message as it is.

        A gap in its chunks means that one is being retried, or that the answer ended long ago,
        after we had read it, and they are being cleared away: reading it again tells.
        """
        if message.status is not Status.LIVE:
            return message
        cursor = self._chunks.find(queries.chunks_of_answer(message.id)).sort("_id", 1)
        chunks = [chunk async for document in cursor if (chunk := chunk_in(document))]
        grown = msgspec.structs.replace(message, blocks=fold(chunks))
        if sum(piece.length for chunk in chunks for piece in chunk.pieces) == grown.position:
            return grown
        again = await self._messages.find_one(queries.message_key(message.id))
        if again is None or again["status"] == Status.LIVE.value:
            return grown
        return message_in(again)

    async def _transact(
        self,
        work: Callable[[MotorClientSession], Awaitable[None]],
        is_done: Callable[[], Awaitable[bool]],
    ) -> None:
        """Do `work` in one transaction, and again if it met another one.

        In between `is_done` looks whether that is still needed; it may raise instead.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _TIMEOUT
        pause = 0.005  # seconds: about two transactions; random and doubled, to come apart
        committing = False
        session = await self._database.client.start_session()  # AsyncMongoClient: not awaited
        try:
            while True:
                try:
                    with pymongo.timeout(max(deadline - loop.time(), 0.01)):
                        if not committing:
                            session.start_transaction()  # AsyncMongoClient: awaited
                            await work(session)
                            committing = True
                        return await session.commit_transaction()
                except PyMongoError as error:
                    if not _is_worth_retrying(error) or loop.time() + pause > deadline:
                        raise
                    # Its outcome unknown, the same commit is sent again: it may stand half done,
                    # and lock out a new transaction.
                    committing = committing and error.has_error_label(_UNKNOWN_COMMIT)
                if not committing:
                    await _let_go(session.abort_transaction)
                    if await is_done():
                        return
                await asyncio.sleep(random.uniform(0, pause))
                pause = min(2 * pause, 0.2)
        finally:
            # Ends the transaction too, if it is still open. Not left to `async with`: there Motor
            # does it in the event loop's own thread.
            await _let_go(session.end_session)

    def _connect(self) -> None:
        try:
            with warnings.catch_warnings():
                # An option it cannot read the driver only warns of, and does without: no "tls".
                warnings.simplefilter("error", UserWarning)
                client: MotorClient[Document] = MotorClient(self._url, **_OPTIONS)
            database = client.get_default_database("headrace")
        # Not even as the cause: its words may quote the URL, password and all.
        except UserWarning:
            raise StorageError("storage.url has an option that is unknown or wrong") from None
        except (PyMongoError, ValueError, TypeError) as error:
            name = type(error).__name__
            raise StorageError(f"storage.url is not one that MongoDB takes: {name}") from None
        self._client = client
        self._database = database
        self._conversations: MotorCollection[Document] = database["conversations"]
        self._messages: MotorCollection[Document] = database["messages"]
        self._chunks: MotorCollection[Document] = database["chunks"]
        self._keys: MotorCollection[Document] = database["idempotency_keys"]
        self._api_keys: MotorCollection[Document] = database["api_keys"]
        self._processes: MotorCollection[Document] = database["processes"]
        self._counts: MotorCollection[Document] = database["counts"]
        self._deletions: MotorCollection[Document] = database["deletions"]
        self._store: MotorCollection[Document] = database["store"]

    async def _check_server(self) -> Document:
        """What the server says of itself. Raises StorageError if it stands alone."""
        hello: Document = await self._database.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise StorageError(
                "MongoDB must run as a replica set (one server will do) or a sharded cluster: "
                "a server without --replSet has no transactions"
            )
        return hello

    async def _look(self) -> migration.There:
        """What there is of the store."""
        listed = await self._database.command(
            "listCollections", filter={"name": {"$in": list(VALIDATORS)}}
        )
        validators = {
            each["name"]: each["options"].get("validator")
            for each in listed["cursor"]["firstBatch"]
        }
        indexes = {name: await self._indexes(name) for name in validators}
        noted = await self._store.find_one(queries.VERSION)
        # The first stage noted none.
        version = 1 if noted is None else noted["schema"]
        return migration.There(validators, indexes, version)

    async def _indexes(self, name: str) -> frozenset[str]:
        listed = await self._database.command("listIndexes", name)
        return frozenset(each["name"] for each in listed["cursor"]["firstBatch"])

    async def _create_missing(self) -> None:
        there = await self._look()
        _check_rules(there)
        if migration.is_fresh(there):
            await self._note_version()
        with pymongo.timeout(_OPEN_TIMEOUT):
            for name in migration.unmade(there):
                await self._create(name)

    async def _create(self, name: str) -> None:
        """Make a collection, or what it lacks; in this order, see `migration.py`."""
        try:
            await self._database.command("create", name)
        except OperationFailure as error:
            if error.code != _NAMESPACE_EXISTS:  # else another process opens as well
                raise
        await self._database.command("createIndexes", name, indexes=INDEXES[name])
        await self._database.command("collMod", name, validator=VALIDATORS[name])

    async def _note_version(self) -> None:
        """Say that the store is of this version, or of a later one that said so meanwhile."""
        with suppress(DuplicateKeyError):  # another process says so in this moment
            await self._store.update_one(queries.VERSION, queries.VERSION_NOTED, upsert=True)

    async def _change(self, step: migration.Step) -> None:
        """Do it in tries so short that nobody is held up for long who writes to the collection.

        Raises StorageError if the collection never was free in time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _BUSY_SECONDS
        patience = _TRY_SECONDS
        while True:
            await self._database.command("ping")  # or making a connection would be part of the try
            try:
                with pymongo.timeout(patience):
                    await self._database.command(step.command)
                return
            except PyMongoError as error:
                if not error.timeout or isinstance(error, ServerSelectionTimeoutError):
                    raise
            if loop.time() > deadline:
                raise StorageError(f"{step.what}: the collection is busy; run it again")
            if step.is_long:
                patience *= 2
            await asyncio.sleep(random.uniform(patience, 3 * patience))

    @contextmanager
    def _our_errors(self, doing: str) -> Iterator[None]:
        """Turn the driver's errors into ours, without their words: those may quote documents."""
        try:
            yield
        except (PyMongoError, BSONError) as error:
            # What goes wrong with a connection quotes addresses only; it stays as the cause.
            cause = error if isinstance(error, ConnectionFailure) else None
            code = _code(error)
            what = words(type(error).__name__, code)
            timed_out = isinstance(error, PyMongoError) and error.timeout
            raise failure(
                f"{doing} failed on MongoDB at {hosts(self._url)}: {what}",
                reason(type(error).__mro__, code, timed_out=timed_out),
            ) from cause


@asynccontextmanager
async def _closing(cursor: Any) -> AsyncIterator[Any]:
    """A cursor that is not read to its end, or may fail in the middle: the server lets go of it."""
    try:
        yield cursor
    finally:
        await cursor.close()


async def _let_go(goodbye: Callable[[], Awaitable[object]]) -> None:
    with suppress(PyMongoError), pymongo.timeout(_GOODBYE_TIMEOUT):
        await goodbye()


def _check_rules(there: migration.There) -> None:
    """Raises Outdated if nothing would keep a rule, such as one live answer to a conversation."""
    if broken := migration.broken_rules(there):
        raise Outdated(
            f"unique indexes are not there: {', '.join(broken)}; `server.py migrate` makes them"
        )


def _is_worth_retrying(error: PyMongoError) -> bool:
    """Whether a transaction met another one, or may have been kept for all we know."""
    return (
        error.has_error_label("TransientTransactionError")
        or error.has_error_label(_UNKNOWN_COMMIT)
        or _code(error) == _DUPLICATE_KEY
    )


def _only_duplicates(error: BulkWriteError) -> bool:
    """Whether all that failed of many writes is there already."""
    codes = {failed["code"] for failed in error.details["writeErrors"]}
    return codes == {_DUPLICATE_KEY} and not error.details["writeConcernErrors"]


def _code(error: Exception) -> int | None:
    """The server's number for an error; of several, the first one's."""
    if isinstance(error, BulkWriteError) and error.details["writeErrors"]:
        code: int = error.details["writeErrors"][0]["code"]
        return code
    return error.code if isinstance(error, OperationFailure) else None
