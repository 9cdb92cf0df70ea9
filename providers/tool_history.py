"""The tool calls in a prompt, as the APIs of providers accept them.

APIs refuse a call without a result and a result without a call. Conversations have both: an answer
may be cut off within a call, nobody may have run its tool, and the history may begin after a call.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from model.blocks import (
    Block,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    UnknownBlock,
)
from model.messages import Role
from model.prompt import Turn, merged

_TOOL_BLOCKS: Final = (ToolCallBlock, ToolResultBlock)

_SAYS_NOTHING_ALONE: Final = (ReasoningBlock, UnknownBlock)

_NO_CALLS: Final[frozenset[str]] = frozenset()


def texts_of(turns: tuple[Turn, ...]) -> list[str] | None:
    """The text of each turn; None unless all turns are text alone, as nearly always."""
    texts = []
    for turn in turns:
        if len(turn.blocks) == 1 and type(block := turn.blocks[0]) is TextBlock:
            texts.append(block.text)
        elif all(type(block) is TextBlock for block in turn.blocks):
            texts.append(turn.text)
        else:
            return None
    return texts


def paired(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """`turns` with only those tool calls that the next turn answers, and only their results.

    Of several calls or results with the same id in one turn the first is kept. Turns of which
    nothing or only reasoning remains are left out, and neighbours of the same role are joined.
    """
    if texts_of(turns) is not None:
        return turns
    kept: list[Turn] = []
    called = _NO_CALLS  # ids of the calls in the turn before that are kept
    for turn, following in zip(turns, (*turns[1:], None), strict=True):
        if turn.role == Role.ASSISTANT:
            answered = _NO_CALLS if following is None else _ids(following, ToolResultBlock)
            called = _ids(turn, ToolCallBlock) & answered
        blocks = tuple(_kept(turn.blocks, turn.role, set(called)))
        if turn.role != Role.ASSISTANT:
            called = _NO_CALLS
        if not all(isinstance(block, _SAYS_NOTHING_ALONE) for block in blocks):
            kept.append(turn if len(blocks) == len(turn.blocks) else Turn(turn.role, blocks))
    return merged(kept)


def _kept(blocks: Iterable[Block], role: Role, ids: set[str]) -> Iterable[Block]:
    pair = ToolCallBlock if role == Role.ASSISTANT else ToolResultBlock
    for block in blocks:
        if not isinstance(block, _TOOL_BLOCKS):
            yield block
        elif isinstance(block, pair) and block.id in ids:
            ids.remove(block.id)
            yield block


def _ids(turn: Turn, kind: type[ToolCallBlock] | type[ToolResultBlock]) -> frozenset[str]:
    return frozenset(block.id for block in turn.blocks if isinstance(block, kind))


def arguments_of(call: ToolCallBlock) -> dict[str, Any]:
    """The arguments of a call; empty if they are no JSON object, as where the answer was cut off.

    APIs that parse them refuse anything else.
    """
    try:
        arguments = msgspec.json.decode(call.arguments)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return arguments if isinstance(arguments, dict) else {}


def argument_text(call: ToolCallBlock) -> str:
    """The arguments of a call as the model wrote them; `{}` if they are no JSON object."""
    return call.arguments if arguments_of(call) else "{}"
