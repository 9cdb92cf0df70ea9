"""Finds where a stored chat completion belongs: in which conversation, and after which answer.

The client names a conversation by `metadata.conversation_id`: by the id that a response gave, or by
a name of its own, under which it is created. What the model is sent are the client's messages. In
the store its question follows the newest answer that says what the last answer of the messages
says, so that an edited question begins a branch; without one it is a first question.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from handlers.openai.completion import CONVERSATION_PREFIX
from model.blocks import Block, TextBlock, ToolCallBlock
from model.client_ids import conversation_id_of
from model.messages import Message, Role
from model.prompt import Turn
from storage.contract import MessageStore
from storage.errors import NotFound

PROTOCOL: Final = "chat_completions"

# The newest messages among which the last answer is looked for. Longer ago than the last dozens of
# questions hardly anybody edits one; the question is a first one then.
_AMONG: Final = 100

_OURS: Final = re.compile(rf"(?:{CONVERSATION_PREFIX})?([0-9a-f]{{32}})")


class Place(NamedTuple):
    """Where a question belongs; without a conversation it creates one.

    With `creates` the conversation is created if there is none.
    """

    conversation_id: str | None = None
    parent_id: str | None = None
    creates: bool = False


async def place_of(
    storage: MessageStore, user: str, name: str | None, history: Sequence[Turn]
) -> Place:
    """The place of a question that follows `history`, in the conversation that the client names.

    Raises NotFound and StorageError.
    """
    if not name:
        return Place()
    ours = _OURS.fullmatch(name)
    conversation_id = ours[1] if ours else conversation_id_of(user, PROTOCOL, name)
    try:
        page = await storage.messages(user, conversation_id, limit=_AMONG, before=None)
    except NotFound:
        if ours:
            raise
        return Place(conversation_id, creates=True)
    last = next((turn for turn in reversed(history) if turn.role is Role.ASSISTANT), None)
    parent_id = None if last is None else _said_by(page.data, last)
    return Place(conversation_id, parent_id, creates=ours is None)


def _said_by(messages: Sequence[Message], turn: Turn) -> str | None:
    """The id of the newest answer that says what `turn` says; None without one."""
    said = _said(turn.blocks)
    for message in reversed(messages):
        if message.role == Role.ASSISTANT and _said(message.blocks) == said:
            return message.id
    return None


def _said(blocks: Sequence[Block]) -> tuple[str, tuple[str, ...]]:
    """What clients send back of an answer: its text, and the ids of its calls."""
    text = "".join(block.text for block in blocks if isinstance(block, TextBlock))
    return text, tuple(block.id for block in blocks if isinstance(block, ToolCallBlock))
