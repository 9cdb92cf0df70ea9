"""What MongoDB is asked: filters and updates as plain values. Knows no driver.

Every filter of a request carries the user, and the shard key of its collection: the user for
conversations, the conversation for messages and chunks, whose ids begin with it, and the `_id` for
idempotency keys and API keys. So each goes to one shard, and finds nothing of another user's. An
API key alone is asked for without a user: it says who the user is.

Exempt is what a process asks for all its users at once, and never for one of them: the tick's
insert and the growth it follows, for readers that were let in before, with the look whether any of
their conversations is deleted; the sweeps; whether the API keys it knows are still good; and what
users asked and spent, which is shared for many of them at once. So is what an operator asks, who
lists everybody's.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from model.blocks import LATER_KINDS
from model.messages import Conversation, Message, Status
from storage.cursors import decode_api_key_cursor, decode_conversation_cursor, decode_message_cursor
from storage.mongo.documents import (
    Document,
    changed_fields,
    chunk_id,
    conversation_document,
    peer_requests_list,
    span_id,
)
from storage.sizes import facts_bytes, messages_bytes
from storage.values import (
    SCHEMA_VERSION,
    Changes,
    Count,
    IdempotencyKey,
    Order,
    PeerRequests,
    Span,
    conversation_of,
)

LIVE = {"status": Status.LIVE.value}

# The one document that says which version the store was made for, or migrated to.
VERSION = {"_id": "migrated"}
VERSION_NOTED = {"$max": {"schema": SCHEMA_VERSION}}

# Leases are measured by the server's clock alone: those of many machines need not agree.
_LEASE_HELD = {"$gt": ["$lease_until", "$$NOW"]}

# Milliseconds. A deletion is remembered for so long after it was cleared, so that whoever was
# saving an answer of that conversation finds out, however long it was held up; then it is cleared
# once more, of what was left by somebody who died before finding out.
_LATE = 3600_000


def conversation_key(user: str, conversation_id: str) -> Document:
    """One conversation."""
    return {"_id": conversation_id, "user": user}


def conversations_after(user: str, cursor: str | None, order: Order) -> Document:
    """The conversations behind a page's end, newest first. Raises InvalidCursor."""
    if cursor is None:
        return {"user": user}
    time, conversation_id = decode_conversation_cursor(cursor, order)
    return {
        "user": user,
        order.field: {"$lte": time},  # bounds the index
        "$or": [{order.field: {"$lt": time}}, {"_id": {"$lt": conversation_id}}],
    }


def messages_of(user: str, conversation_id: str) -> Document:
    """All messages of a conversation."""
    return {"conversation": conversation_id, "user": user}


def messages_before(user: str, conversation_id: str, cursor: str | None) -> Document:
    """The messages of a conversation ahead of a page's begin. Raises InvalidCursor."""
    query = messages_of(user, conversation_id)
    return query if cursor is None else query | {"ordinal": {"$lt": decode_message_cursor(cursor)}}


def messages_up_to(user: str, conversation_id: str, ordinal: int) -> Document:
    """The messages of a conversation up to one's place in it."""
    return messages_of(user, conversation_id) | {"ordinal": {"$lte": ordinal}}


def messages_at(user: str, conversation_id: str, ordinals: Collection[int]) -> Document:
    """The messages of a conversation that have these places in it."""
    return messages_of(user, conversation_id) | {"ordinal": {"$in": list(ordinals)}}


def message_key(message_id: str) -> Document:
    """One message, whoever's: the rest of the filter tells whose."""
    return {"_id": message_id, "conversation": conversation_of(message_id)}


def chunks_of_answer(answer_id: str) -> Document:
    """All chunks of an answer: a range of `_id`, whose index they need anyway."""
    ids = {"$gte": chunk_id(answer_id, 0), "$lt": chunk_id(answer_id, math.inf)}
    return {"conversation": conversation_of(answer_id), "_id": ids}


def chunks_of_conversation(conversation_id: str) -> Document:
    """All chunks of a conversation: its answers' ids lie between these two, "." follows "-"."""
    ids = {"$gte": {"answer": f"{conversation_id}-"}, "$lt": {"answer": f"{conversation_id}."}}
    return {"conversation": conversation_id, "_id": ids}


def chunks_up_to(conversation_id: str, last: Document) -> Document:
    """The chunks of a conversation up to the one with the `_id` `last`."""
    query = chunks_of_conversation(conversation_id)
    return query | {"_id": {"$gte": query["_id"]["$gte"], "$lte": last}}


def messages_below(user: str, conversation_id: str, ordinal: int) -> Document:
    """The messages of a conversation ahead of a place in it."""
    return messages_of(user, conversation_id) | {"ordinal": {"$lt": ordinal}}


def deletion_key(conversation_id: str) -> Document:
    """That a conversation is deleted."""
    return {"_id": conversation_id}


def deletions_of(conversation_ids: Collection[str]) -> Document:
    """Which of these conversations are deleted, whosever."""
    return {"_id": {"$in": list(conversation_ids)}}


def deleted(user: str) -> list[Document]:
    """The update that says so."""
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
    """A deletion, if somebody has to clear the conversation by now."""
    return deletion_key(conversation_id) | {"$expr": {"$lte": ["$due_at", "$$NOW"]}}


def deletion_claimed(milliseconds: int) -> list[Document]:
    """The update by which a process has so long for some of it, before another one may go on."""
    return [{"$set": {"due_at": {"$add": ["$$NOW", milliseconds]}}}]


CLEARED: list[Document] = [{"$set": {"again": True, "due_at": {"$add": ["$$NOW", _LATE]}}}]


def next_chunks(positions: Mapping[str, int]) -> Document:
    """The chunk behind each answer's position: chunks are contiguous, so it begins right there.

    Without their conversations: so many lie on every shard, and `_id` alone is looked up.
    """
    return {"_id": {"$in": [chunk_id(*known) for known in positions.items()]}}


def messages_by_id(message_ids: Collection[str]) -> Document:
    """Messages, whoever's."""
    return {"_id": {"$in": list(message_ids)}}


def idempotency_key(user: str, key_id: str) -> Document:
    """One idempotency key."""
    return {"_id": key_id, "user": user}


def claimed(key: IdempotencyKey, replaces: str | None) -> Document:
    """The key, if it may stand for its answer: it does already, or for the one with that id."""
    may_be = [answer_id for answer_id in (key.answer_id, replaces) if answer_id is not None]
    return idempotency_key(key.user, key.id) | {"answer_id": {"$in": may_be}}


def entered(kept: Sequence[Message], new: Conversation | None, title: str | None) -> Document:
    """The update of a conversation that messages enter, made at one time.

    It makes the conversation if `new`, titled at once.
    """
    counted = {"ordinals": len(kept), "bytes": messages_bytes(kept)}
    update: Document = {"$inc": counted, "$set": {"updated_at": kept[-1].created_at}}
    if new is not None:
        made = conversation_document(new)
        counted["bytes"] += made["bytes"]
        for elsewhere in ("_id", "user", *counted, "updated_at"):  # in the key and above
            del made[elsewhere]
        made["title"] = title if new.title is None else new.title
        update["$setOnInsert"] = made
    return update


def changed(changes: Changes, updated_at: datetime) -> Document:
    """The update of a conversation that `changes` are made to."""
    fields = changed_fields(changes, updated_at)
    return {"$set": fields, "$inc": {"bytes": facts_bytes(changes)}}


def sum_of_bytes(user: str) -> list[Document]:
    """How many conversations a user has, and what was put into them: found in the index alone."""
    return [
        {"$match": {"user": user}},
        {"$group": {"_id": None, "count": {"$sum": 1}, "bytes": {"$sum": "$bytes"}}},
    ]


def api_key(key_id: str) -> Document:
    """One API key."""
    return {"_id": key_id}


def api_keys_by_id(key_ids: Collection[str]) -> Document:
    """API keys, whoever's."""
    return {"_id": {"$in": list(key_ids)}}


def api_keys_after(user: str | None, cursor: str | None) -> Document:
    """A user's API keys, or everybody's, behind a page's end. Raises InvalidCursor."""
    query: Document = {} if user is None else {"user": user}
    return query if cursor is None else query | {"_id": {"$gt": decode_api_key_cursor(cursor)}}


def api_key_revoked(revoked_at: datetime) -> list[Document]:
    """The update that takes a key back; the first time counts."""
    return [{"$set": {"revoked_at": {"$ifNull": ["$revoked_at", revoked_at]}}}]


def span_key(span: Span) -> Document:
    """A user's count of something in a span."""
    return {"_id": span_id(span), "user": span.user}


def spans_by_id(ids: Collection[str]) -> Document:
    """Several spans, whoever's."""
    return {"_id": {"$in": list(ids)}}


def counted(count: Count) -> Document:
    """The update by which a span holds what a writer counted: each has a field of its own."""
    return {
        "$max": {f"counts.{count.writer}": count.amount},
        "$setOnInsert": {"ends_at": count.span.ends_at, "schema": SCHEMA_VERSION},
    }


def lease_renewed(milliseconds: int, requests: Mapping[str, PeerRequests]) -> list[Document]:
    """The update of a process's document: the lease runs anew, and these are its requests to peers.

    `since` tells from when on it was held without a gap. The server decides that as well: the
    process's own clock stands still while its machine sleeps, and knows nothing of an election
    after which another machine's clock counts.
    """
    renewed: dict[str, Any] = {
        "since": {"$cond": [_LEASE_HELD, "$since", "$$NOW"]},
        "lease_until": {"$add": ["$$NOW", milliseconds]},
        "wants": {"$literal": peer_requests_list(requests)},  # ids, whatever they begin with
        "reads": sorted(LATER_KINDS),
        "schema": SCHEMA_VERSION,
    }
    return [{"$set": renewed}]


def not_reading(kinds: Collection[str]) -> Document:
    """The processes that live and cannot read all of `kinds`; one of the first stage reads none."""
    return {"reads": {"$not": {"$all": sorted(kinds)}}, "$expr": _LEASE_HELD}


def lease_held(processes: list[str]) -> Document:
    """Those of `processes` that live."""
    return {"_id": {"$in": processes}, "$expr": _LEASE_HELD}


def lease_held_throughout(process: str, milliseconds: int) -> Document:
    """The process, if it lives and had its lease all that time."""
    throughout = {"$lte": ["$since", {"$subtract": ["$$NOW", milliseconds]}]}
    return {"_id": process, "$expr": {"$and": [_LEASE_HELD, throughout]}}


def lease_given_back(process: str) -> Document:
    """The process, if it has no requests to peers."""
    return {"_id": process, "wants": []}


def wanting(process: str) -> Document:
    """The processes that live and have requests to this one."""
    return {"wants.owner": process, "$expr": _LEASE_HELD}
