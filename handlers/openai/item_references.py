"""Items of earlier answers that an input names by their ids, as the AI SDK's OpenAI provider does.

They are looked up before the input is read, which needs no store.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from handlers.json_body import UNREADABLE, decoded
from handlers.openai.field_errors import invalid_field
from handlers.openai.response_items import message_id_in
from handlers.openai.response_object import items_of_answer
from model.messages import Role
from storage.contract import MessageStore
from storage.errors import NotFound

REFERENCE: Final = "item_reference"

# Answers of one input, each of which costs a read of the store. A longer conversation goes on by
# `previous_response_id`.
_MOST_ANSWERS: Final = 200

# Characters of all these answers, as many as a body may have bytes unless that is configured.
_MOST_CHARS: Final = 1_048_576

Items = Mapping[str, Mapping[str, Any]]


class _GivenItem(msgspec.Struct):
    type: Any = None
    id: Any = None


class _Referring(msgspec.Struct):
    input: str | list[_GivenItem] = ""


async def referred_items(storage: MessageStore, user: str, body: bytes) -> Items:
    """The items that the input of a request's body refers to, by their ids, as far as the user has
    them. Raises ApiError and StorageError.
    """
    if REFERENCE.encode() not in body:  # as nearly always
        return {}
    try:
        given = decoded(body, _Referring).input
    except UNREADABLE:
        return {}  # who reads the body will say what is wrong with it
    named = [each.id for each in given if isinstance(each, _GivenItem) and each.type == REFERENCE]
    message_ids = dict.fromkeys(message_id_in(name) for name in named if isinstance(name, str))
    if len(message_ids) > _MOST_ANSWERS:
        raise invalid_field("input", f"`input` refers to more than {_MOST_ANSWERS} answers.")
    found: dict[str, Mapping[str, Any]] = {}
    chars = 0
    for message_id in filter(None, message_ids):
        try:
            message = await storage.message(user, message_id)
        except NotFound:
            continue
        if message.role == Role.ASSISTANT:
            chars += message.position
            if chars > _MOST_CHARS:
                raise invalid_field("input", "`input` refers to answers that are too long.")
            found |= {item.id: msgspec.to_builtins(item) for item in items_of_answer(message)}
    return found
