"""How many bytes of a store count against a user's quota: what they put into it, as JSON.

Conversations with their fields count, and questions with all their parts and files. Answers do not,
since their providers are paid for, except what clients stored with them (`ClientData`). What was
put in counts until its conversation is deleted, also if it was replaced: so a count only grows, by
what each write brings, without reading what was there.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from model.blocks import stored_file_bytes
from model.messages import ClientData, Conversation, Message, Role
from storage.values import Changes

# Bytes of an empty conversation: its row or document, its index entries, and those of its messages.
# A conversation of an older version counts so much, too.
CONVERSATION_BYTES = 1000

_FIELDS = ("title", "model", "system", "metadata")


def fields_bytes(source: Conversation | Changes) -> int:
    """The bytes of a conversation's fields, or of changes to them."""
    values = (getattr(source, name) for name in _FIELDS)
    return sum(_length(value) for value in values if value and value is not msgspec.UNSET)


def conversation_bytes(conversation: Conversation) -> int:
    """Return the bytes of a new conversation."""
    return CONVERSATION_BYTES + fields_bytes(conversation)


def messages_bytes(messages: Iterable[Message]) -> int:
    """Return the bytes of questions, with their files, and of what clients stored with answers."""
    size = 0
    for each in messages:
        if each.role == Role.USER:
            size += _length(each.blocks) + stored_file_bytes(each.blocks)
        if each.client is not None:
            size += client_bytes(each.client)
    return size


def client_bytes(client: ClientData) -> int:
    """Return the bytes of what a client stored with an answer."""
    return _length(client)


def metadata_bytes(metadata: Mapping[str, str]) -> int:
    """Return the bytes of metadata that replace an answer's."""
    return _length(metadata)


def _length(value: Any) -> int:
    return len(msgspec.json.encode(value))
