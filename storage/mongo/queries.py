"""Filters and updates for MongoDB, as plain values. It imports no driver.

Every filter of a request has the user and the shard key of its collection: the user for
conversations, the conversation for messages, chunks and files, whose ids begin with it, and the
`_id` for idempotency keys, API keys and deliveries to webhooks. So each goes to one shard, and
finds nothing of another user's. Only an API key is looked up without a user, since it tells who the
user is; deliveries are no user's.

Exceptions are queries that a process makes for all its users together: checkpoints, followed growth
and whether its conversations were deleted; sweeps, also of files; rechecks of API keys; shared
counts; which endings of a batch are written, if not all are; batches of questions, which a sharded
cluster does not get; which deliveries to a webhook are due, claimed, or made at the same time. So
are the operator's lists of everybody's keys, and the lists of a user's answers of all conversations
(`answer_queries.py`).
"""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from model.blocks import LATER_KINDS
from model.messages import Conversation, Message, Status
from storage.cursors import (
    decode_api_key_cursor,
    decode_conversation_cursor,
    decode_message_cursor,
)
from storage.mongo.documents import (
    Document,
    changed_fields,
    chunk_id,
    conversation_document,
    delivery_document,
    delivery_id,
    peer_requests_list,
    span_id,
)
from storage.sizes import fields_bytes, messages_bytes
from storage.values import (
    SCHEMA_VERSION,
    Changes,
    IdempotencyKey,
    Order,
    PeerRequests,
    UsageCount,
    UsageSpan,
    WebhookDelivery,
    conversation_of,
)

LIVE = {"status": Status.LIVE.value}

# Of a file: whether its question is stored.
UNASKED = {"asked": False}
ASKED: Document = {"$set": {"asked": True}}

# The document with the version that the store was created for or migrated to.
VERSION = {"_id": "migrated"}
VERSION_NOTED = {"$max": {"schema": SCHEMA_VERSION}}

# Leases use the server's clock only, since those of the machines may differ.
_LEASE_HELD = {"$gt": ["$lease_until", "$$NOW"]}

# So do deletions and deliveries, which are due at a time.
_DUE: Document = {"$expr": {"$lte": ["$due_at", "$$NOW"]}}

# Milliseconds. A deletion is stored for so long after it was cleared, so that a process that was
# saving an answer there finds out, however long it was delayed; then it is cleared again, in case a
# process died before it found out.
_LATE = 3600_000


def conversation_key(user: str, conversation_id: str) -> Document:
    """The filter for one conversation."""
    return {"_id": conversation_id, "user": user}


def conversations_after(user: str, cursor: str | None, order: Order) -> Document:
    """The filter for the conversations after a page's end, newest first. Raises InvalidCursor."""
    if cursor is None:
        return {"user": user}
    time, conversation_id = decode_conversation_cursor(cursor, order)
    return {
        "user": user,
        order.field: {"$lte": time},  # bounds the index
        "$or": [{order.field: {"$lt": time}}, {"_id": {"$lt": conversation_id}}],
    }


def messages_of(user: str, conversation_id: str) -> Document:
    """The filter for all messages of a conversation."""
    return {"conversation": conversation_id, "user": user}


def messages_before(user: str, conversation_id: str, cursor: str | None) -> Document:
    """The filter for a conversation's messages before a page's beginning. Raises InvalidCursor."""
    query = messages_of(user, conversation_id)
    return query if cursor is None else query | {"ordinal": {"$lt": decode_message_cursor(cursor)}}


def messages_up_to(user: str, conversation_id: str, ordinal: int) -> Document:
    """The filter for the messages of a conversation up to an ordinal."""
    return messages_of(user, conversation_id) | {"ordinal": {"$lte": ordinal}}


def messages_at(user: str, conversation_id: str, ordinals: Collection[int]) -> Document:
    """The filter for the messages of a conversation with these ordinals."""
    return messages_of(user, conversation_id) | {"ordinal": {"$in": list(ordinals)}}


def message_key(message_id: str) -> Document:
    """The filter for one message of any user; callers add the user."""
    return {"_id": message_id, "conversation": conversation_of(message_id)}


def chunks_of_answer(answer_id: str) -> Document:
    """The filter for all chunks of an answer: a range of `_id`, whose index exists anyway."""
    ids = {"$gte": chunk_id(answer_id, 0), "$lt": chunk_id(answer_id, math.inf)}
    return {"conversation": conversation_of(answer_id), "_id": ids}


def chunks_of_conversation(conversation_id: str) -> Document:
    """The filter for all chunks of a conversation, a range of ids: "." is the character after
    "-".
    """
    ids = {"$gte": {"answer": f"{conversation_id}-"}, "$lt": {"answer": f"{conversation_id}."}}
    return {"conversation": conversation_id, "_id": ids}


def file_key(user: str, file_id: str) -> Document:
    """The filter for one file."""
    return {"_id": file_id, "conversation": conversation_of(file_id), "user": user}


def asked_file(user: str, file_id: str) -> Document:
    """The filter for one file, if its question is stored."""
    return file_key(user, file_id) | {"asked": True}


def files_named(user: str, conversation_id: str, ids: Collection[str]) -> Document:
    """The filter for files of a conversation by id."""
    return {"_id": {"$in": list(ids)}, "conversation": conversation_id, "user": user}


def asked_files_of(user: str, conversation_id: str) -> Document:
    """The filter for the files of a conversation's stored questions."""
    return {"conversation": conversation_id, "user": user, "asked": True}


def unasked_before(time: datetime) -> Document:
    """The filter for files that were stored before a time and have no question, of any user."""
    return UNASKED | {"created_at": {"$lt": time}}


def messages_below(user: str, conversation_id: str, ordinal: int) -> Document:
    """The filter for the messages of a conversation below an ordinal."""
    return messages_of(user, conversation_id) | {"ordinal": {"$lt": ordinal}}


def deletion_key(conversation_id: str) -> Document:
    """The filter for the deletion of a conversation."""
    return {"_id": conversation_id}


def deletions_of(conversation_ids: Collection[str]) -> Document:
    """The filter for the deletions of these conversations, of any user."""
    return {"_id": {"$in": list(conversation_ids)}}


def deleted(user: str) -> list[Document]:
    """The update that stores a deletion."""
    return [
        {
            "$set": {
                "user": {"$literal": user},  # whatever it begins with
                "again": False,
                "due_at": "$$NOW",
                "schema": SCHEMA_VERSION,
            }
        }
    ]


def deletion_due(conversation_id: str) -> Document:
    """The filter for a deletion that is due to be purged."""
    return deletion_key(conversation_id) | _DUE


def deletion_claimed(milliseconds: int) -> list[Document]:
    """The update that reserves a deletion for a process for some time."""
    return [{"$set": {"due_at": {"$add": ["$$NOW", milliseconds]}}}]


CLEARED: list[Document] = [{"$set": {"again": True, "due_at": {"$add": ["$$NOW", _LATE]}}}]


def next_chunks(positions: Mapping[str, int]) -> Document:
    """The filter for the chunk after each answer's position, where the next chunk begins.

    It has no conversations, because they are on all shards anyway, and only `_id` is looked up.
    """
    return {"_id": {"$in": [chunk_id(*known) for known in positions.items()]}}


def messages_by_id(message_ids: Collection[str]) -> Document:
    """The filter for messages by id, of any user."""
    return {"_id": {"$in": list(message_ids)}}


def idempotency_key(user: str, key_id: str) -> Document:
    """The filter for one idempotency key."""
    return {"_id": key_id, "user": user}


def claimed(key: IdempotencyKey, replaces: str | None) -> Document:
    """The filter for the key, if it stands for its answer already, or for the replaced one."""
    may_be = [answer_id for answer_id in (key.answer_id, replaces) if answer_id is not None]
    return idempotency_key(key.user, key.id) | {"answer_id": {"$in": may_be}}


def entered(messages: Sequence[Message], new: Conversation | None, title: str | None) -> Document:
    """The update of a conversation to which messages are added.

    It creates the conversation if `new`, with its title.
    """
    counted = {"ordinals": len(messages), "bytes": messages_bytes(messages)}
    update: Document = {"$inc": counted, "$set": {"updated_at": messages[-1].created_at}}
    if new is not None:
        made = conversation_document(new)
        counted["bytes"] += made["bytes"]
        for elsewhere in ("_id", "user", *counted, "updated_at"):  # in the key and above
            del made[elsewhere]
        made["title"] = title if new.title is None else new.title
        update["$setOnInsert"] = made
    return update


def bytes_added(size: int) -> Document:
    """The update that counts bytes that were put into a conversation."""
    return {"$inc": {"bytes": size}}


def begun(messages: Sequence[Message], new: Conversation, title: str | None) -> Document:
    """A new conversation with the messages that it begins with: what `entered` creates."""
    document = conversation_document(new)
    document["ordinals"] += len(messages)
    document["bytes"] += messages_bytes(messages)
    document["title"] = title if new.title is None else new.title
    document["updated_at"] = messages[-1].created_at
    return document


def conversations_by_id(conversation_ids: Collection[str]) -> Document:
    """Conversations by id, of any user."""
    return {"_id": {"$in": list(conversation_ids)}}


def live_in(conversation_ids: Collection[str]) -> Document:
    """The live answers in these conversations, of any user."""
    return {"conversation": {"$in": list(conversation_ids)}} | LIVE


def idempotency_keys_by_id(key_ids: Collection[str]) -> Document:
    """Idempotency keys by id, of any user."""
    return {"_id": {"$in": list(key_ids)}}


def changed(changes: Changes, updated_at: datetime) -> Document:
    """The update that applies `changes` to a conversation."""
    fields = changed_fields(changes, updated_at)
    return {"$set": fields, "$inc": {"bytes": fields_bytes(changes)}}


def sum_of_bytes(user: str) -> list[Document]:
    """The pipeline that sums a user's conversations and their bytes, from the index alone."""
    return [
        {"$match": {"user": user}},
        {"$group": {"_id": None, "count": {"$sum": 1}, "bytes": {"$sum": "$bytes"}}},
    ]


def api_key(key_id: str) -> Document:
    """The filter for one API key."""
    return {"_id": key_id}


def api_keys_by_id(key_ids: Collection[str]) -> Document:
    """The filter for API keys by id, of any user."""
    return {"_id": {"$in": list(key_ids)}}


def api_keys_after(user: str | None, cursor: str | None) -> Document:
    """The filter for a user's API keys, or all, after a page's end. Raises InvalidCursor."""
    query: Document = {} if user is None else {"user": user}
    return query if cursor is None else query | {"_id": {"$gt": decode_api_key_cursor(cursor)}}


def api_key_revoked(revoked_at: datetime) -> list[Document]:
    """The update that revokes an API key; the time of the first revocation stays."""
    return [{"$set": {"revoked_at": {"$ifNull": ["$revoked_at", revoked_at]}}}]


def span_key(span: UsageSpan) -> Document:
    """The filter for a user's count in a span."""
    return {"_id": span_id(span), "user": span.user}


def spans_by_id(ids: Collection[str]) -> Document:
    """The filter for several spans, of any user."""
    return {"_id": {"$in": list(ids)}}


def counted(count: UsageCount) -> Document:
    """The update that stores a writer's count: each writer has a field of its own."""
    return {
        "$max": {f"counts.{count.writer}": count.amount},
        "$setOnInsert": {"ends_at": count.span.ends_at, "schema": SCHEMA_VERSION},
    }


def lease_renewed(milliseconds: int, requests: Mapping[str, PeerRequests]) -> list[Document]:
    """The update of a process' document with its new lease and its peer requests.

    `since` is the time from which it was held without a gap. The server computes it as well: the
    process' own clock stops while its machine sleeps, and after an election another machine's clock
    counts.
    """
    renewed: dict[str, Any] = {
        "since": {"$cond": [_LEASE_HELD, "$since", "$$NOW"]},
        "lease_until": {"$add": ["$$NOW", milliseconds]},
        "wants": {"$literal": peer_requests_list(requests)},  # ids, whatever they begin with
        "reads": sorted(LATER_KINDS),
        "schema": SCHEMA_VERSION,
    }
    return [{"$set": renewed}]


def unable_to_read(kinds: Collection[str]) -> Document:
    """The filter for live processes that cannot read all of `kinds`; one of the first version
    reads none.
    """
    return {"reads": {"$not": {"$all": sorted(kinds)}}, "$expr": _LEASE_HELD}


def lease_held(processes: list[str]) -> Document:
    """The filter for those of `processes` that are live."""
    return {"_id": {"$in": processes}, "$expr": _LEASE_HELD}


def lease_held_throughout(process: str, milliseconds: int) -> Document:
    """The filter for the process, if it is live and had its lease all that time."""
    throughout = {"$lte": ["$since", {"$subtract": ["$$NOW", milliseconds]}]}
    return {"_id": process, "$expr": {"$and": [_LEASE_HELD, throughout]}}


def lease_given_back(process: str) -> Document:
    """The filter for the process, if it has no peer requests."""
    return {"_id": process, "wants": []}


def requesting_from(process: str) -> Document:
    """The filter for the live processes with peer requests to this one."""
    return {"wants.owner": process, "$expr": _LEASE_HELD}


def delivery_key(delivery: WebhookDelivery) -> Document:
    """The filter for a delivery to a webhook."""
    return {"_id": delivery_id(delivery)}


def deliveries_to(webhook: str) -> Document:
    """The filter for all deliveries to a webhook."""
    return {"webhook": webhook}


def deliveries_to_others(known: Collection[str], before: datetime) -> Document:
    """The filter for deliveries, to none of the `known` webhooks, of answers that ended before a
    time.
    """
    return {"webhook": {"$nin": list(known)}, "ended_at": {"$lt": before}}


def delivery_entered(delivery: WebhookDelivery) -> list[Document]:
    """The update that stores a delivery, which is due at once."""
    fields = {name: {"$literal": value} for name, value in delivery_document(delivery).items()}
    return [{"$set": {**fields, "due_at": "$$NOW"}}]


def first_due(webhook: str, limit: int) -> list[Document]:
    """The pipeline for the deliveries to a webhook that are due, of the first `limit` there are.

    So it reads no more of the index, however many are due later.
    """
    return [
        {"$match": deliveries_to(webhook)},
        {"$sort": {"due_at": 1}},
        {"$limit": limit},
        {"$match": _DUE},
        {"$project": {"_id": 1}},
    ]


def deliveries_claimed(claim: str, milliseconds: int) -> list[Document]:
    """The update that claims deliveries for a time, each claim under a name of its own."""
    tried = {"tries": {"$add": ["$tries", 1]}, "claim": claim}
    return [{"$set": {**tried, **_due_in(milliseconds)}}]


def still_due(ids: Collection[str]) -> Document:
    """The filter for those of the deliveries that are due and were not claimed meanwhile."""
    return {"_id": {"$in": list(ids)}, **_DUE}


def claimed_deliveries(ids: Collection[str], claim: str) -> Document:
    """The filter for those of the deliveries that a claim has."""
    return {"_id": {"$in": list(ids)}, "claim": claim}


def deliveries_by_id(deliveries: Collection[WebhookDelivery]) -> Document:
    """The filter for several deliveries."""
    return {"_id": {"$in": [delivery_id(delivery) for delivery in deliveries]}}


def claimed_last(delivery: WebhookDelivery) -> Document:
    """The filter for a delivery that was not claimed again since it was claimed here."""
    return delivery_key(delivery) | {"tries": delivery.tries}


def delivery_postponed(milliseconds: int) -> list[Document]:
    """The update that has a delivery be due in a time."""
    return [{"$set": _due_in(milliseconds)}]


def _due_in(milliseconds: int) -> Document:
    return {"due_at": {"$add": ["$$NOW", milliseconds]}}
