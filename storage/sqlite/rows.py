"""Converts types to rows of SQLite's tables and back.

Times are whole milliseconds since 1970. Values that are only read as a whole are JSON: blocks,
metadata, usage, timing, error, attempts, client data and the pieces of a chunk. `sqlite3 FILE`
shows all of it as text.

A row of a file of another version may lack columns, or have additional ones.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from model.growth import Chunk
from model.messages import Conversation, Ending, Message
from storage.sizes import fields_bytes
from storage.timestamps import from_milliseconds, to_milliseconds
from storage.tolerant_decoding import decode_chunk, decode_conversation, decode_json, decode_message
from storage.values import (
    ApiKey,
    IdempotencyKey,
    StoredFile,
    UsageCount,
    WebhookDelivery,
    conversation_of,
)

_API_KEY_TIMES = ("created_at", "expires_at", "revoked_at")

Row = Mapping[str, Any]


def conversation_row(conversation: Conversation) -> dict[str, Any]:
    """Return the columns of a conversation."""
    row = msgspec.structs.asdict(conversation)
    row["bytes"] = fields_bytes(conversation)
    row["metadata"] = as_json(conversation.metadata)
    row["created_at"] = to_milliseconds(conversation.created_at)
    row["updated_at"] = to_milliseconds(conversation.updated_at)
    return row


def conversation_in(row: Row) -> Conversation:
    """Return the conversation in a row."""
    columns = dict(row)
    columns["metadata"] = decode_json(columns["metadata"])
    columns["created_at"] = _time(columns["created_at"])
    columns["updated_at"] = _time(columns["updated_at"])
    return decode_conversation(columns)


def message_row(message: Message) -> dict[str, Any]:
    """Return the columns of a message."""
    row = msgspec.structs.asdict(message)
    row["created_at"] = to_milliseconds(message.created_at)
    if (client := message.client) is not None:
        row["client"] = as_json(client)
    row["protocol"] = None if client is None else client.protocol
    return row | _ending_columns(message)


def ending_row(ending: Ending) -> dict[str, Any]:
    """Return the columns that an ending sets."""
    return msgspec.structs.asdict(ending) | _ending_columns(ending)


def message_in(row: Row) -> Message:
    """Return the message in a row."""
    columns = dict(row)
    for name in ("blocks", "usage", "timing", "error"):
        columns[name] = decode_json(columns[name])
    columns["attempts"] = decode_json(columns.get("attempts")) or ()
    columns["client"] = decode_json(columns.get("client"))
    columns["created_at"] = _time(columns["created_at"])
    columns["ended_at"] = _time(columns["ended_at"])
    return decode_message(columns)


def chunk_row(chunk: Chunk) -> dict[str, Any]:
    """Return the columns of a chunk."""
    return {
        "answer_id": chunk.answer_id,
        "position": chunk.position,
        "pieces": as_json(chunk.pieces),
    }


def chunk_in(row: Row) -> Chunk | None:
    """Return the chunk in a row; None if it cannot be read."""
    return decode_chunk(row["answer_id"], row["position"], decode_json(row["pieces"]))


def file_row(file: StoredFile) -> dict[str, Any]:
    """Return the columns of a file."""
    row = msgspec.structs.asdict(file)
    row["conversation_id"] = conversation_of(file.id)
    row["created_at"] = to_milliseconds(file.created_at)
    return row


def file_in(row: Row) -> StoredFile:
    """Return the file in a row."""
    columns = _known(row, StoredFile)
    columns["created_at"] = from_milliseconds(columns["created_at"])
    return StoredFile(**columns)


def count_row(count: UsageCount) -> dict[str, Any]:
    """Return the columns of a count."""
    row = msgspec.structs.asdict(count.span)
    row["begins_at"] = to_milliseconds(count.span.begins_at)
    row["ends_at"] = to_milliseconds(count.span.ends_at)
    return row | {"writer": count.writer, "amount": count.amount}


def delivery_row(delivery: WebhookDelivery) -> dict[str, Any]:
    """Return the columns of a delivery to a webhook, without the time at which it is due."""
    return msgspec.structs.asdict(delivery) | {"ended_at": to_milliseconds(delivery.ended_at)}


def delivery_in(row: Row) -> WebhookDelivery:
    """Return the delivery to a webhook in a row."""
    columns = _known(row, WebhookDelivery)
    columns["ended_at"] = from_milliseconds(columns["ended_at"])
    return WebhookDelivery(**columns)


def key_row(key: IdempotencyKey) -> dict[str, Any]:
    """Return the columns of an idempotency key."""
    return msgspec.structs.asdict(key) | {"created_at": to_milliseconds(key.created_at)}


def key_in(row: Row) -> IdempotencyKey:
    """Return the idempotency key in a row."""
    columns = _known(row, IdempotencyKey)
    columns["created_at"] = from_milliseconds(columns["created_at"])
    return IdempotencyKey(**columns)


def api_key_row(key: ApiKey) -> dict[str, Any]:
    """Return the columns of an API key."""
    row = msgspec.structs.asdict(key)
    for name in _API_KEY_TIMES:
        row[name] = None if row[name] is None else to_milliseconds(row[name])
    row["models"] = None if key.models is None else as_json(key.models)
    return row


def api_key_in(row: Row) -> ApiKey:
    """Return the API key in a row."""
    columns = _known(row, ApiKey)
    columns["admin"] = bool(columns["admin"])
    for name in _API_KEY_TIMES:
        columns[name] = None if columns[name] is None else from_milliseconds(columns[name])
    if columns.get("models") is not None:
        columns["models"] = tuple(decode_json(columns["models"]))
    return ApiKey(**columns)


def as_json(value: Any) -> str:
    """Encode `value` for a column of JSON."""
    return msgspec.json.encode(value).decode()


@lru_cache  # about ten tables, each with the same columns every time
def insertion(table: str, columns: tuple[str, ...]) -> str:
    """Return the INSERT for a row with these columns.

    Names of tables and columns are constants, and never a user's input.
    """
    names = ", ".join(columns)
    values = ", ".join(f":{name}" for name in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({values})"


def assignments(row: Row) -> str:
    """Return the SET clause for a row, under the same condition."""
    return ", ".join(f"{name} = :{name}" for name in row)


def _ending_columns(ended: Message | Ending) -> dict[str, Any]:
    return {
        "status": ended.status.value,
        "blocks": as_json(ended.blocks),
        "usage": None if ended.usage is None else as_json(ended.usage),
        "timing": None if ended.timing is None else as_json(ended.timing),
        "error": None if ended.error is None else as_json(ended.error),
        "attempts": as_json(ended.attempts) if ended.attempts else None,
        "ended_at": None if ended.ended_at is None else to_milliseconds(ended.ended_at),
    }


def _known(row: Row, kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the columns of a row that are known fields; some fields are newer than the file."""
    columns = dict(row)
    return {name: columns[name] for name in kind.__struct_fields__ if name in columns}


def _time(stored: Any) -> Any:
    """Return the time in a column; an invalid one is returned unchanged for
    `tolerant_decoding.py`.
    """
    try:
        return from_milliseconds(stored)
    except (TypeError, ValueError):
        return stored
