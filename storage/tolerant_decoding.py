"""Decodes stored data that another version, another program or a failing disk may have written.

An exception for one unreadable message would make the whole page unreadable; if the message were
left out, its branch would have a hole, and a live answer would keep its conversation busy for ever.
So its readable fields are returned, and the others have defaults that claim nothing. What is stored
is not changed.

An unreadable chunk is different: it counts as missing, which is a gap in the growth.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from model.blocks import blocks_in
from model.growth import Chunk, pieces_in
from model.messages import Conversation, Message, Role, Status
from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.storage")

T = TypeVar("T", Conversation, Message)

# Values for required fields that cannot be read. Other fields have defaults that claim nothing.
_UNREADABLE: Mapping[str, Any] = {
    "id": "unreadable",
    "conversation_id": "unreadable",
    "user": "unreadable",
    "role": Role("unreadable"),
    "status": Status("unreadable"),
    "created_at": datetime(1970, 1, 1, tzinfo=UTC),
    "updated_at": datetime(1970, 1, 1, tzinfo=UTC),
}


def decode_conversation(fields: Mapping[str, Any]) -> Conversation:
    """Return the conversation with these fields, which are plain values as they are stored."""
    return _read(fields, Conversation)


def decode_message(fields: Mapping[str, Any]) -> Message:
    """Return the message with these fields, which are plain values as they are stored."""
    blocks = fields.get("blocks")
    blocks = blocks_in(blocks if isinstance(blocks, list) else [blocks])
    return _read({**fields, "blocks": blocks}, Message)


def decode_chunk(answer_id: str, position: int, pieces: Any) -> Chunk | None:
    """Return the chunk, whose pieces are plain values as they are stored; None if it cannot be
    read.
    """
    try:
        return Chunk(answer_id, position, pieces_in(pieces))
    except msgspec.ValidationError:
        _warn(LogEvent("unreadable growth", answer=answer_id, position=position))
        return None


def decode_json(stored: Any) -> Any:
    """Return the plain value of JSON text; any other value unchanged, for the functions above to
    judge.
    """
    try:
        return None if stored is None else msgspec.json.decode(stored)
    except (TypeError, ValueError, msgspec.DecodeError):
        return stored


def _read(fields: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError:
        return _in_parts(fields, kind)


def _in_parts(fields: Mapping[str, Any], kind: type[T]) -> T:
    values: dict[str, Any] = {}
    lost: list[str] = []
    for field in msgspec.structs.fields(kind):
        try:
            values[field.name] = msgspec.convert(fields[field.name], field.type)
        except (KeyError, msgspec.ValidationError):
            if field.name in _UNREADABLE:
                values[field.name] = _UNREADABLE[field.name]
            if field.name in fields:
                lost.append(field.name)
    which = {kind.__name__.lower(): values["id"], "fields": ",".join(lost)}
    _warn(LogEvent("unreadable", **which))
    return kind(**values)


@lru_cache(maxsize=1000)  # polls and sweeps read the same one many times a minute
def _warn(event: LogEvent) -> None:
    log.warning(event)
