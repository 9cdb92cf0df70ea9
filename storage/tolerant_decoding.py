"""What is stored, read without trusting it.

Another version, another program or a failing disk may have written what this version cannot read.
An exception would hide all that stands beside it; left out, a message would leave a hole in its
branch and, if it is live, its conversation busy for ever. So such a message is read in parts: what
can be read is told, and the rest is what nobody takes for true. What is stored stays as it is.

A chunk is different: growth that cannot be read is like growth that is not there, a gap.
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

# What a message or a conversation cannot be without, where it cannot be read. Other fields have
# defaults that say nothing.
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
    """The conversation with these fields, plain values as they are stored."""
    return _read(fields, Conversation)


def decode_message(fields: Mapping[str, Any]) -> Message:
    """The message with these fields, plain values as they are stored."""
    blocks = fields.get("blocks")
    blocks = blocks_in(blocks if isinstance(blocks, list) else [blocks])
    return _read({**fields, "blocks": blocks}, Message)


def decode_chunk(answer_id: str, position: int, pieces: Any) -> Chunk | None:
    """The chunk there, its pieces plain values as they are stored; None if they are unreadable."""
    try:
        return Chunk(answer_id, position, pieces_in(pieces))
    except msgspec.ValidationError:
        _warn(LogEvent("unreadable growth", answer=answer_id, position=position))
        return None


def decode_json(stored: Any) -> Any:
    """The plain value of JSON text; what is none stays what it is, for those above to find out."""
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
    told: dict[str, Any] = {}
    lost: list[str] = []
    for field in msgspec.structs.fields(kind):
        try:
            told[field.name] = msgspec.convert(fields[field.name], field.type)
        except (KeyError, msgspec.ValidationError):
            if field.name in _UNREADABLE:
                told[field.name] = _UNREADABLE[field.name]
            if field.name in fields:
                lost.append(field.name)
    which = {kind.__name__.lower(): told["id"], "fields": ",".join(lost)}
    _warn(LogEvent("unreadable", **which))
    return kind(**told)


@lru_cache(maxsize=1000)  # polls and sweeps meet the same one many times a minute
def _warn(event: LogEvent) -> None:
    log.warning(event)
