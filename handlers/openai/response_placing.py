"""Where a response goes: after another, into a conversation, or after turns that came with it.

What a response's input had before its question, and what messages of a system said in it, is in no
message. It is kept with the response, and is the beginning of what responses that follow it know.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec

from handlers.errors import ApiError
from handlers.openai.field_errors import unsupported_field
from handlers.openai.response_body import ResponseBody
from model.blocks import Block, FileBlock, ImageBlock, TextBlock, blocks_in
from model.messages import Message, Role, Status
from model.prompt import NOTHING_SENT, Turn
from relay.ask_request import AskRequest
from relay.errors import UnknownParent
from relay.tool_loop import kept_of, results_in
from storage.contract import MessageStore
from storage.errors import Busy, NotFound

# Messages of a branch that a fork takes along: those of fifty exchanges.
_MOST_FORKED = 100

# Where a stored response keeps the turns that its input had before the question.
_EARLIER = "earlier_turns"

# Where it keeps what messages of a system said. Each response keeps all of that, so it is bounded:
# so many characters are a long system prompt. What was said last counts most.
_SYSTEM = "earlier_system"
_MOST_SYSTEM_CHARS = 32_000


class _StoredTurn(msgspec.Struct, frozen=True):
    """A turn as it is kept with a response."""

    role: str
    blocks: list[dict[str, Any]]


async def placed(
    storage: MessageStore,
    request: AskRequest,
    body: ResponseBody,
    system: tuple[str, ...],
    history: tuple[Turn, ...],
) -> AskRequest:
    """The request with what it follows: a response, a conversation, or what came with it.

    `system` is what messages of a system say in it, `history` what precedes its question.

    Raises ApiError, StorageError, and Busy for one that follows a live response, of which nobody
    knows the end yet, and is not stored or brings further turns.
    """
    previous, conversation_id = body.previous_answer_id, body.conversation_id
    if previous is None and conversation_id is None:
        request = _told(request, body, None, system)
        request = msgspec.structs.replace(request, history=history, parent_id=None)
        return remembering(request, msgspec.to_builtins(history)) if history else request
    if previous is None:
        assert conversation_id is not None
        if history:
            raise unsupported_field(
                "input",
                "With `conversation`, `input` may have items of the user only: earlier answers are "
                "known.",
            )
        page = await storage.branch(request.user, conversation_id, limit=1, last=None)
        request = _told(request, body, page.data[-1] if page.data else None, system)
        return msgspec.structs.replace(request, conversation_id=conversation_id)
    try:
        parent = await storage.message(request.user, previous)
    except NotFound:
        raise _unknown_response() from None
    if parent.role != Role.ASSISTANT:
        raise _unknown_response()
    # Of what is stored in the conversation the store says so.
    if parent.status is Status.LIVE and (history or not request.store):
        raise Busy(parent.id)
    request = _told(request, body, parent, system)
    request = msgspec.structs.replace(
        request, conversation_id=parent.conversation_id, parent_id=parent.id
    )
    earlier = parent.client.request.get(_EARLIER) if parent.client is not None else None
    if not (earlier or history):
        return request
    branch = await branch_to(storage, request.user, parent.conversation_id, parent.id)
    turns = (*_known(earlier or ()), *branch, *history)
    if history:  # no message has it, and it comes after some: a conversation of its own begins
        request = msgspec.structs.replace(
            request, conversation_id=None, parent_id=None, history=turns
        )
        return remembering(request, msgspec.to_builtins(turns))
    return remembering(msgspec.structs.replace(request, history=turns), earlier)


def _known(earlier: Any) -> Iterator[Turn]:
    """The turns that a response keeps."""
    for turn in msgspec.convert(earlier, tuple[_StoredTurn, ...]):
        blocks = tuple(blocks_in(turn.blocks))
        yield Turn(Role(turn.role), _without_files(blocks))


async def branch_to(
    storage: MessageStore, user: str, conversation_id: str, last: str
) -> tuple[Turn, ...]:
    """The turns up to an answer, all of them or from a person's question on."""
    page = await storage.branch(user, conversation_id, limit=_MOST_FORKED, last=last)
    turns: list[Turn] = []
    for message in page.data:
        blocks = message.blocks
        if message.role == Role.ASSISTANT:
            blocks = kept_of(message, model=None, with_tools=True, with_reasoning=False)
        # The first message of all may be results of calls, which are among the turns kept with it.
        if blocks and (turns or page.next is None or _begins(message)):
            turns.append(Turn(message.role, blocks))
    return tuple(turns)


def remembering(request: AskRequest, turns: Any) -> AskRequest:
    """The request, with the turns kept for responses that follow."""
    return _keeping(request, _EARLIER, turns)


def _told(
    request: AskRequest, body: ResponseBody, parent: Message | None, said: tuple[str, ...]
) -> AskRequest:
    """The request with its system prompt: its instructions, which are its own, and what messages of
    a system said in it and in the responses before.
    """
    client = None if parent is None else parent.client
    before = [] if client is None else client.request.get(_SYSTEM, [])
    texts: list[str] = []
    chars = 0
    for text in reversed(dict.fromkeys((*before, *said))):  # some clients say it each time
        chars += len(text)
        if text not in said and chars > _MOST_SYSTEM_CHARS:
            break
        texts.insert(0, text)
    system = "\n\n".join(filter(None, (body.instructions, *texts))) or None
    request = msgspec.structs.replace(request, system=system)
    return _keeping(request, _SYSTEM, texts) if texts else request


def _keeping(request: AskRequest, name: str, value: Any) -> AskRequest:
    client = request.client
    if client is None or not request.store:
        return request
    kept = msgspec.structs.replace(client, request={**client.request, name: value})
    return msgspec.structs.replace(request, client=kept)


def _unknown_response() -> ApiError:
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        UnknownParent.code,
        "`previous_response_id` is not the id of a response that is stored here.",
        param="previous_response_id",
    )


def _without_files(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """The blocks without contents that are not stored with them; words for that if none is left,
    since many providers refuse a turn without content.
    """
    kept = (b for b in blocks if not isinstance(b, ImageBlock | FileBlock) or b.url is not None)
    return tuple(kept) or (TextBlock(NOTHING_SENT),)


def _begins(message: Message) -> bool:
    """Whether a part of a history may begin with the message: a person's question."""
    return message.role == Role.USER and not results_in(message.blocks)
