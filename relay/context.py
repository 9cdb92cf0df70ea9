"""The history that is sent with a question: the newest exchanges of its branch that fit.

An exchange is a person's question and all that follows it up to the next one: the answer and, if
that called tools, their results and further answers. History begins with a person's question, so
that no call is cut off from its results.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    chars_in,
    input_kind,
)
from model.messages import Message, Role, Status
from model.prompt import NOTHING_SENT, Turn
from relay.ask_request import AskRequest
from relay.errors import ToolLoopTooLong, UnknownParent
from relay.limits import Limits
from relay.tool_loop import check_results, kept_of, open_calls, results_in
from storage.contract import MessageStore
from storage.errors import Busy, NotFound
from storage.values import Page

# The number of messages in the first read: rarely more than ten exchanges fit. More would be read
# in vain where long answers do not fit.
_FIRST_PAGE = 20

# The number in further reads: short messages may be many, and each read costs several queries.
_NEXT_PAGE = 100

# The least number of characters in a read: reasoning is read too, and some messages have nothing
# else.
_LEAST_ROOM = 20_000

_ROLES = (Role.USER, Role.ASSISTANT)


class History(NamedTuple):
    """The answer that a question follows, if there is one, and the turns up to it."""

    parent_id: str | None = None
    turns: tuple[Turn, ...] = ()
    has_files: bool = False  # whether there are images or files in `turns`


async def history(
    storage: MessageStore,
    request: AskRequest,
    conversation_id: str,
    *,
    model: str,
    kinds: Callable[[str], frozenset[str]],
    question_chars: int,
    limits: Limits,
) -> History:
    """The branch up to the answer that `request` follows: its `parent_id`, or the newest answer.

    Its turns are oldest first: of the newest `limits.context_messages` messages the exchanges that
    fit into `limits.context_chars`, together with the `question_chars` of the question itself. An
    exchange that the question goes on with by tool results is a part of the question: it is sent
    whole and counts against `limits.max_question_chars`. Messages of which nothing is sent are
    skipped, except questions that have images or files, which keep their place.

    `model` is `<provider>/<model>`. `kinds` returns what a model of the provider takes besides
    text, by `input_kind`; anything else is left out.

    Raises UnknownParent, UnknownToolCall, MissingToolResults, ToolLoopTooLong, Busy if there are
    results for an answer that is live, and NotFound for the conversation.
    """
    results = request.tool_results
    walk = _Walk(model, kinds, limits, question_chars, in_loop=bool(results))
    last = None if request.parent_id is msgspec.UNSET else request.parent_id
    try:
        page = await walk.read(storage, request.user, conversation_id, last, _FIRST_PAGE)
    except NotFound:
        if last is None:
            raise
        raise UnknownParent from None
    if not page.data:
        check_results(results, ())
        return History()
    parent = page.data[-1]
    if parent.role != Role.ASSISTANT:
        raise UnknownParent
    if results and parent.status is Status.LIVE:
        raise Busy(parent.id)
    check_results(results, open_calls(parent))
    while walk.takes(page) and page.next is not None:
        page = await walk.read(storage, request.user, conversation_id, page.next, _NEXT_PAGE)
    return History(parent.id, walk.turns(), walk.has_files)


class _Walk:
    """Goes through a branch from its end towards its beginning, as far as there is room."""

    def __init__(
        self,
        model: str,
        kinds: Callable[[str], frozenset[str]],
        limits: Limits,
        question_chars: int,
        *,
        in_loop: bool,
    ) -> None:
        self._model = model
        _, _, self._source_model = model.partition("/")
        self._kinds = kinds
        self._limits = limits
        self._in_loop = in_loop
        self._room = limits.context_chars - question_chars
        self._loop_room = limits.max_question_chars - question_chars
        self._part_bytes = limits.context_part_bytes
        self._messages = limits.context_messages
        self._newest_first: list[Turn] = []
        self.has_files = False

    async def read(
        self, storage: MessageStore, user: str, conversation_id: str, last: str | None, most: int
    ) -> Page[Message]:
        """Read the next page, which ends with the message `last`."""
        room = self._loop_room if self._in_loop else self._room
        return await storage.branch(
            user,
            conversation_id,
            limit=min(self._messages, most),
            last=last,
            max_chars=max(room, _LEAST_ROOM),
        )

    def takes(self, page: Page[Message]) -> bool:
        """Take the messages that fit, newest first; returns whether there is room for more."""
        self._messages -= len(page.data)
        for message in reversed(page.data):
            blocks = self._kept(message)
            chars = sum(map(_chars_sent, blocks))
            self._room -= chars
            if self._in_loop:
                self._loop_room -= chars
                if self._loop_room < 0:
                    raise self._too_long()
                self._in_loop = not _is_persons(message)
            elif self._room < 0:
                return False
            if blocks:
                self._newest_first.append(Turn(message.role, blocks))
        return self._messages > 0

    def turns(self) -> tuple[Turn, ...]:
        """The turns that fit, oldest first, from a person's question on."""
        if self._in_loop:
            raise self._too_long()
        turns = self._newest_first
        while turns and (turns[-1].role != Role.USER or results_in(turns[-1].blocks)):
            turns.pop()
        return tuple(reversed(turns))

    def _too_long(self) -> ToolLoopTooLong:
        return ToolLoopTooLong(
            chars=self._limits.max_question_chars, messages=self._limits.context_messages
        )

    def _kept(self, message: Message) -> tuple[Block, ...]:
        """The blocks of a message that are sent again."""
        blocks = message.blocks
        if len(blocks) == 1 and isinstance(blocks[0], TextBlock):  # as nearly all messages are
            return blocks if blocks[0].text and message.role in _ROLES else ()
        if message.role == Role.ASSISTANT:
            # Some providers require the reasoning that led to a call, as long as the calls go on.
            is_same = message.model == self._model
            with_reasoning = self._in_loop and is_same
            with_tools = "tool_result" in self._kinds(self._source_model)
            return kept_of(
                message,
                model=self._source_model if is_same else None,
                with_tools=with_tools,
                with_reasoning=with_reasoning,
            )
        if message.role == Role.USER:
            kept = tuple(self._asked(message))
            return kept or ((TextBlock(NOTHING_SENT),) if any(map(_is_part, blocks)) else ())
        return ()

    def _asked(self, message: Message) -> Iterator[Block]:
        is_of_question = self._in_loop and _is_persons(message)
        for block in message.blocks:
            match block:
                case TextBlock():
                    if block.text:
                        yield block
                case ToolResultBlock():
                    if "tool_result" in self._kinds(self._source_model):
                        yield block
                case ImageBlock() | FileBlock():
                    if self._takes_kind(block) and (is_of_question or self._has_room_for(block)):
                        self.has_files = True
                        yield block

    def _takes_kind(self, part: ImageBlock | FileBlock) -> bool:
        return input_kind(part) in self._kinds(self._source_model)

    def _has_room_for(self, part: ImageBlock | FileBlock) -> bool:
        self._part_bytes -= _bytes_sent(part)
        return self._part_bytes >= 0


def _is_persons(message: Message) -> bool:
    """Whether a person asked it, rather than a program that returns results of tool calls."""
    return message.role == Role.USER and not results_in(message.blocks)


def _is_part(block: Block) -> bool:
    return not isinstance(block, TextBlock | ToolResultBlock)


def _chars_sent(block: Block) -> int:
    data = block.data if isinstance(block, ReasoningBlock | ToolCallBlock) else None
    return chars_in(block) + (0 if data is None else len(msgspec.json.encode(data.value)))


def _bytes_sent(part: ImageBlock | FileBlock) -> int:
    """The bytes of an image or a file: of its content if it is stored here, else of its address."""
    return len(part.url or "") if part.size is None else part.size
