"""MongoDB's collections: validators and indexes.

It imports no driver: these are the server's commands as plain values. Creating what exists changes
nothing, so any number of processes may open the store at a time. Changes of what exists are for
`server.py migrate` only; `migration.py` tells them apart.

**Validators** demand what `documents.py` needs to read a document, and no more: a later version
that runs beside this one may add fields and values.

**Sharding**: `{user: 1}` for conversations, `{conversation: 1}` for messages, chunks and files,
`{_id: 1}` for idempotency keys, API keys, counts, deletions and deliveries to webhooks; processes
and store are not sharded. Unique indexes begin with the shard key, as the server demands.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from storage.values import KEY_SECONDS

Document = dict[str, Any]

# How long chunks are stored. They are needed while their answer is live, and until a process ends
# the answer of a dead one: longer than any answer takes, and than a weekend without a server.
_CHUNK_SECONDS = 4 * 24 * 3600

# A process that did not renew its lease for so long is dead, as is one without a document.
_PROCESS_SECONDS = 24 * 3600

_MAYBE_TEXT = ["string", "null"]
_NUMBER = ["int", "long"]


def _type(kind: Any) -> Document:
    return kind if isinstance(kind, dict) else {"bsonType": kind}


def _object(**required: Any) -> Document:
    properties = {name: _type(kind) for name, kind in required.items()}
    return {"bsonType": "object", "required": list(properties), "properties": properties}


def _list_of(**required: Any) -> Document:
    return {"bsonType": "array", "items": _object(**required)}


def _document(**required: Any) -> Document:
    schema = {"bsonType": "int", "minimum": 1}
    return {"$jsonSchema": _object(**required, schema=schema)}


VALIDATORS: Mapping[str, Document] = {
    "conversations": _document(
        user="string",
        title=_MAYBE_TEXT,
        model=_MAYBE_TEXT,
        system=_MAYBE_TEXT,
        metadata=_list_of(k="string", v="string"),
        created_at="date",
        updated_at="date",
        ordinals=_NUMBER,
    ),
    "messages": _document(
        conversation="string",
        user="string",
        role="string",  # any: a later version may have others
        ordinal=_NUMBER,
        blocks=_list_of(type="string"),
        status="string",  # any, as above
        owner=_MAYBE_TEXT,
        created_at="date",
        ended_at=["date", "null"],
    ),
    "chunks": _document(
        _id=_object(answer="string", position=_NUMBER),
        conversation="string",
        pieces=_list_of(block=_NUMBER, type="string", text="string"),
        created_at="date",
    ),
    "files": _document(
        conversation="string",
        user="string",
        media_type="string",
        name=_MAYBE_TEXT,
        data="binData",
        asked="bool",
        created_at="date",
    ),
    "idempotency_keys": _document(
        user="string", fingerprint="string", answer_id="string", created_at="date"
    ),
    "api_keys": _document(
        digest="string",
        user="string",
        admin="bool",
        note="string",
        created_at="date",
        expires_at=["date", "null"],
        revoked_at=["date", "null"],
    ),
    "processes": _document(since="date", lease_until="date"),
    "counts": _document(user="string", counts="object", ends_at="date"),
    "deletions": _document(user="string", again="bool", due_at="date"),
    "webhook_deliveries": _document(
        webhook="string",
        answer_id="string",
        event="string",
        ended_at="date",
        due_at="date",
        tries=_NUMBER,
    ),
}

_LIVE = {"status": "live"}

# The index without which answers of a protocol are not listed: all messages would be read.
PROTOCOL_INDEX = "of_protocol"

_UNASKED = {"asked": False}

INDEXES: Mapping[str, Sequence[Document]] = {
    "conversations": [
        {"name": "of_user", "key": {"user": 1, "created_at": -1, "_id": -1}},
        {"name": "by_activity", "key": {"user": 1, "updated_at": -1, "_id": -1}},
        # The sum of a user's bytes is computed from this index alone.
        {"name": "by_size", "key": {"user": 1, "bytes": 1}},
    ],
    "messages": [
        {"name": "in_order", "key": {"conversation": 1, "ordinal": -1}, "unique": True},
        # The rule: one live answer per conversation.
        {
            "name": "live",
            "key": {"conversation": 1},
            "unique": True,
            "partialFilterExpression": _LIVE,
        },
        # For the sweep, which reads owners; it contains live answers only, so it is small.
        {
            "name": "live_owners",
            "key": {"status": 1, "owner": 1},
            "partialFilterExpression": _LIVE,
        },
        # For what a user's app shows when it comes to the front.
        {
            "name": "live_of_user",
            "key": {"user": 1, "created_at": -1, "_id": -1},
            "partialFilterExpression": _LIVE,
        },
        {
            "name": PROTOCOL_INDEX,
            "key": {"user": 1, "client.protocol": 1, "created_at": -1, "_id": -1},
            "partialFilterExpression": {"client.protocol": {"$exists": True}},
        },
    ],
    # Chunks are found by `_id`: another index would cost something for every chunk.
    "chunks": [
        {"name": "lifetime", "key": {"created_at": 1}, "expireAfterSeconds": _CHUNK_SECONDS},
    ],
    "files": [
        {"name": "of_conversation", "key": {"conversation": 1}},
        # For the sweep of files without a question; it contains hardly any.
        {
            "name": "unasked",
            "key": {"created_at": 1},
            "partialFilterExpression": _UNASKED,
        },
    ],
    "idempotency_keys": [
        {"name": "lifetime", "key": {"created_at": 1}, "expireAfterSeconds": KEY_SECONDS},
    ],
    # Not expired by MongoDB: it may be asked long afterwards whose key it was.
    "api_keys": [
        {"name": "of_user", "key": {"user": 1, "_id": 1}},
    ],
    "processes": [
        {"name": "lifetime", "key": {"lease_until": 1}, "expireAfterSeconds": _PROCESS_SECONDS},
        # For owners, which read the peer requests to them.
        {"name": "wanted", "key": {"wants.owner": 1}},
    ],
    "counts": [
        {"name": "lifetime", "key": {"ends_at": 1}, "expireAfterSeconds": 0},
    ],
    "deletions": [
        {"name": "due", "key": {"due_at": 1}},
    ],
    "webhook_deliveries": [
        {"name": "due", "key": {"webhook": 1, "due_at": 1}},
    ],
}
