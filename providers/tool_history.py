"""The tool calls in a prompt, as the APIs of providers accept them.

APIs refuse a call without a result and a result without a call. Conversations have both: an answer
may be cut off within a call, nobody may have run its tool, and the history may begin after a call.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from msgspec import structs

from model.blocks import (
    Block,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    UnknownBlock,
)
from model.embedded_json import embedded_json
from model.messages import Role
from model.prompt import Turn, merged

_TOOL_BLOCKS: Final = (ToolCallBlock, ToolResultBlock)

_SAYS_NOTHING_ALONE: Final = (ReasoningBlock, UnknownBlock)

_NOTHING: Final = Turn(Role.USER, ())

# Tools have no other names. A model may call one by another, which OpenAI and Anthropic refuse.
_NOT_IN_NAMES: Final = re.compile("[^a-zA-Z0-9_-]")
_MAX_NAME_CHARS: Final = 64

_Ids = dict[int, str]  # by the places of blocks in their turn


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

    A call without an id, or with that of an earlier call, is given one, and so is its result: some
    servers count the calls of each answer anew. A name that no tool can have is spelled as one.
    Turns of which nothing or only reasoning remains are left out, and neighbours of the same role
    are joined.
    """
    if texts_of(turns) is not None:
        return turns
    kept: list[Turn] = []
    used: set[str] = set()
    answered: _Ids = {}  # of the turn before
    for number, (turn, following) in enumerate(zip(turns, (*turns[1:], _NOTHING), strict=True)):
        if turn.role == Role.ASSISTANT:
            called, answered = _pairs(turn, following, used, f"call_{number}")
            blocks = tuple(_kept(turn.blocks, called))
        else:
            blocks = tuple(_kept(turn.blocks, answered))
            answered = {}
        if not all(isinstance(block, _SAYS_NOTHING_ALONE) for block in blocks):
            kept.append(structs.replace(turn, blocks=blocks))
    return merged(kept)


def _pairs(turn: Turn, following: Turn, used: set[str], name: str) -> tuple[_Ids, _Ids]:
    """The ids of the calls in `turn` and of their results in `following`, by their places.

    They are none of those that were `used`, and are added to them.
    """
    results: dict[str, list[int]] = {}
    for place, block in enumerate(following.blocks):
        if isinstance(block, ToolResultBlock):
            results.setdefault(block.id, []).append(place)
    called: _Ids = {}
    answered: _Ids = {}
    for place, block in enumerate(turn.blocks):
        if isinstance(block, ToolCallBlock) and (places := results.get(block.id)):
            is_usable = block.id and block.id not in used
            called[place] = block.id if is_usable else f"{name}_{place}"
            used.add(called[place])
            answered[places.pop(0)] = called[place]
    return called, answered


def _kept(blocks: Iterable[Block], ids: _Ids) -> Iterable[Block]:
    for place, block in enumerate(blocks):
        if not isinstance(block, _TOOL_BLOCKS):
            yield block
        elif place in ids:
            if block.id != ids[place]:
                block = structs.replace(block, id=ids[place])
            yield _named(block) if isinstance(block, ToolCallBlock) else block


def _named(call: ToolCallBlock) -> ToolCallBlock:
    name = _NOT_IN_NAMES.sub("_", call.name)[:_MAX_NAME_CHARS] or "unnamed"
    return call if name == call.name else structs.replace(call, name=name)


def arguments_of(call: ToolCallBlock) -> dict[str, Any]:
    """The arguments of a call; empty if they are no JSON object, as where the answer was cut off.

    APIs that parse them refuse anything else.
    """
    try:
        arguments = embedded_json(call.arguments)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def result_text(result: ToolResultBlock) -> str:
    """The result's text, for APIs that have no field which says that a call failed."""
    return f"Error: {result.text}" if result.is_error else result.text


def argument_text(call: ToolCallBlock) -> str:
    """The arguments of a call as the model wrote them; `{}` if they are no JSON object."""
    return call.arguments if arguments_of(call) else "{}"
