"""How much of a store is somebody's: what they put into it, in bytes of JSON.

Counted is what people bring: conversations with what stands in them, and questions with all their
parts. Answers are not: they are bounded by what providers are paid for. What is brought stays
counted until its conversation is deleted, also if something else has taken its place there: so a
count only ever grows, by what each write brings, and needs no look at what was there before.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from model.messages import Conversation, Message, Role
from storage.values import Changes

# For a conversation without a word: its row or document, its places in indexes, and those of its
# messages' own facts. It is also what is counted of one that an older version made.
CONVERSATION_BYTES = 1000

_FACTS = ("title", "model", "system", "metadata")


def facts_bytes(facts: Conversation | Changes) -> int:
    """What somebody says of a conversation, or changes of it."""
    said = (getattr(facts, name) for name in _FACTS)
    return sum(_length(each) for each in said if each and each is not msgspec.UNSET)


def conversation_bytes(conversation: Conversation) -> int:
    """A new conversation, with what is said of it."""
    return CONVERSATION_BYTES + facts_bytes(conversation)


def messages_bytes(messages: Iterable[Message]) -> int:
    """What somebody asks in these messages."""
    return sum(_length(each.blocks) for each in messages if each.role == Role.USER)


def _length(value: Any) -> int:
    return len(msgspec.json.encode(value))
