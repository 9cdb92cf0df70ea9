"""MongoDB's documents: how types are stored, and the fields that every writer must write.

It imports no driver. A document has the type's fields under their own names, except `_id` and
`conversation`, the shard key. Every document has `schema`, the version that wrote it.

Keys that users choose are never field names: "$" and "." have a meaning there, and NUL cannot be
stored. `metadata` is a list of `{k, v}`. The same goes for providers: provider data is stored as
JSON text, which can also represent numbers that BSON cannot.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from model.blocks import Block, ReasoningBlock, ToolCallBlock
from model.growth import Chunk, Piece
from model.messages import ClientData, Conversation, Ending, Message
from storage.sizes import fields_bytes
from storage.tolerant_decoding import decode_chunk, decode_conversation, decode_json, decode_message
from storage.values import (
    SCHEMA_VERSION,
    ApiKey,
    Changes,
    Deletion,
    IdempotencyKey,
    PeerRequests,
    StoredFile,
    UsageSpan,
    WebhookDelivery,
    conversation_of,
)

Document = dict[str, Any]

# Blocks that may have provider data.
Holder = TypeVar("Holder", Block, Piece)


def conversation_document(conversation: Conversation) -> Document:
    """Return the document of a conversation.

    `ordinals` counts its messages so far, `bytes` what was put in.
    """
    document: Document = _plain(conversation)
    document["_id"] = document.pop("id")
    document["metadata"] = pairs(conversation.metadata)
    counted = {"ordinals": 0, "bytes": fields_bytes(conversation)}
    return document | counted | {"schema": SCHEMA_VERSION}


def conversation_in(document: Mapping[str, Any]) -> Conversation:
    """Return the conversation in a document."""
    fields = dict(document)
    fields["id"] = fields["_id"]
    with suppress(KeyError, TypeError):  # it stays what it is then, for `tolerant_decoding.py`
        fields["metadata"] = {pair["k"]: pair["v"] for pair in fields["metadata"]}
    return decode_conversation(fields)


def changed_fields(changes: Changes, updated_at: datetime) -> Document:
    """Return the fields of a conversation that `changes` sets."""
    fields: Document = _plain(changes)
    if "metadata" in fields:
        fields["metadata"] = pairs(fields["metadata"])
    return fields | {"updated_at": updated_at}


def message_document(message: Message, ordinal: int) -> Document:
    """Return the document of a question or an answer, with its ordinal in the conversation."""
    stored = msgspec.structs.replace(message, blocks=_sealed(message.blocks), client=None)
    document: Document = _plain(stored)
    document["_id"] = document.pop("id")
    document["conversation"] = document.pop("conversation_id")
    del document["client"]
    if message.client is not None:
        document["client"] = _client_document(message.client)
    return document | {"ordinal": ordinal, "schema": SCHEMA_VERSION}


def message_in(document: Mapping[str, Any]) -> Message:
    """Return the message in a document."""
    fields = dict(document)
    fields["id"] = fields["_id"]
    fields["conversation_id"] = fields.get("conversation")
    if fields.get("client") is not None:
        with suppress(KeyError, TypeError):  # as with `conversation_in`
            fields["client"] = _client_fields(fields["client"])
    message = decode_message(fields)
    return msgspec.structs.replace(message, blocks=_opened(message.blocks))


def changed_client_fields(metadata: Mapping[str, str]) -> Document:
    """Return the fields of an answer that a change of its client's metadata sets."""
    return {"client.metadata": pairs(metadata)}


def ended_fields(ending: Ending) -> Document:
    """Return the fields of an answer that its ending sets."""
    fields: Document = _plain(msgspec.structs.replace(ending, blocks=_sealed(ending.blocks)))
    return fields


def chunk_id(answer_id: str, position: float) -> Document:
    """A chunk's `_id`. The order of its fields matters: in another order it is another id."""
    return {"answer": answer_id, "position": position}


def chunk_document(chunk: Chunk, created_at: datetime) -> Document:
    """A chunk. Its `_id` makes retries harmless, and finds and sorts chunks."""
    return {
        "_id": chunk_id(chunk.answer_id, chunk.position),
        "conversation": conversation_of(chunk.answer_id),
        "pieces": _plain(_sealed(chunk.pieces)),
        "created_at": created_at,
        "schema": SCHEMA_VERSION,
    }


def chunk_in(document: Mapping[str, Any]) -> Chunk | None:
    """Return the chunk in a document; None if it cannot be read."""
    place = document["_id"]
    chunk = decode_chunk(place["answer"], place["position"], document["pieces"])
    return chunk and msgspec.structs.replace(chunk, pieces=_opened(chunk.pieces))


def file_document(file: StoredFile) -> Document:
    """Return the document of a file whose question is not stored yet."""
    document = msgspec.structs.asdict(file)
    document["_id"] = document.pop("id")
    document["conversation"] = conversation_of(file.id)
    return document | {"asked": False, "schema": SCHEMA_VERSION}


def file_in(document: Mapping[str, Any]) -> StoredFile:
    """Return the file in a document."""
    known = {name: document[name] for name in StoredFile.__struct_fields__ if name in document}
    return StoredFile(**{**known, "id": document["_id"]})


def key_document(key: IdempotencyKey) -> Document:
    """Return the document of an idempotency key."""
    document: Document = _plain(key)
    document["_id"] = document.pop("id")
    return document | {"schema": SCHEMA_VERSION}


def key_in(document: Mapping[str, Any]) -> IdempotencyKey:
    """Return the idempotency key in a document."""
    return msgspec.convert({**document, "id": document["_id"]}, IdempotencyKey)


def delivery_id(delivery: WebhookDelivery) -> str:
    """The `_id` of a delivery: an answer ends once, so a webhook has one of each answer."""
    return f"{delivery.answer_id} {delivery.webhook}"


def delivery_document(delivery: WebhookDelivery) -> Document:
    """Return the fields of a delivery to a webhook, without its `_id` and when it is due."""
    document: Document = _plain(delivery)
    return document | {"schema": SCHEMA_VERSION}


def delivery_in(document: Mapping[str, Any]) -> WebhookDelivery:
    """Return the delivery to a webhook in a document."""
    return msgspec.convert(document, WebhookDelivery)


def deletion_in(document: Mapping[str, Any]) -> Deletion:
    """Return the deleted conversation in a document."""
    return Deletion(document["_id"], document["user"], document["again"])


def api_key_document(key: ApiKey) -> Document:
    """Return the document of an API key."""
    document: Document = _plain(key)
    document["_id"] = document.pop("id")
    return document | {"schema": SCHEMA_VERSION}


def api_key_in(document: Mapping[str, Any]) -> ApiKey:
    """Return the API key in a document."""
    return msgspec.convert({**document, "id": document["_id"]}, ApiKey)


def span_id(span: UsageSpan) -> str:
    """A span's `_id`. The user comes last, since the other parts contain no space."""
    return f"{span.begins_at:%Y-%m-%dT%H:%M:%SZ} {span.what} {span.user}"


def peer_requests_list(requests: Mapping[str, PeerRequests]) -> list[Document]:
    """The peer requests of a process, by owner, as its document lists them.

    They are sorted, so that a renewal only writes what has changed.
    """
    return [
        {
            "owner": owner,
            "follows": sorted(each.follows),
            "stops": sorted(each.stops),
            "stops_unread": sorted(each.stops_unread),
        }
        for owner, each in sorted(requests.items())
        if each != PeerRequests()
    ]


def peer_requests_in(listed: Iterable[Mapping[str, Any]]) -> PeerRequests:
    """Return the union of what several processes request of one owner."""
    follows: set[str] = set()
    stops: set[str] = set()
    stops_unread: set[str] = set()
    for each in listed:
        follows.update(each["follows"])
        stops.update(each["stops"])
        stops_unread.update(each.get("stops_unread", ()))  # earlier versions have none
    return PeerRequests(frozenset(follows), frozenset(stops), frozenset(stops_unread))


def _client_document(client: ClientData) -> Document:
    """What a client stored with an answer; `request` has keys of its own choice, so it is JSON."""
    return {
        "protocol": client.protocol,
        "metadata": pairs(client.metadata),
        "request": msgspec.json.encode(client.request).decode(),
    }


def _client_fields(document: Document) -> Document:
    metadata = {pair["k"]: pair["v"] for pair in document["metadata"]}
    return {**document, "metadata": metadata, "request": decode_json(document["request"])}


def _sealed(holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
    """Return blocks with their provider data as JSON text."""

    def as_json(value: Any) -> str:
        return msgspec.json.encode(value).decode()

    return tuple(_with_value(each, as_json) for each in holders)


def _opened(holders: tuple[Holder, ...]) -> tuple[Holder, ...]:
    """Return blocks with their provider data as the provider sent it."""
    return tuple(_with_value(each, decode_json) for each in holders)


def _with_value(holder: Holder, change: Callable[[Any], Any]) -> Holder:
    if isinstance(holder, ReasoningBlock | ToolCallBlock | Piece) and holder.data is not None:
        data = msgspec.structs.replace(holder.data, value=change(holder.data.value))
        return msgspec.structs.replace(holder, data=data)
    return holder


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, builtin_types=(datetime,))


def pairs(metadata: Mapping[str, str]) -> list[Document]:
    """Return metadata as it is stored."""
    return [{"k": key, "v": value} for key, value in metadata.items()]
