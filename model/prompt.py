"""The prompt for a model: system prompt, turns, tools and options, in no provider's format."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import astuple

from model.blocks import Block, TextBlock, ToolResultBlock
from model.messages import Role

# In place of a question of the history that has only what the model does not take: its answer would
# stand alone, which many APIs refuse.
NOTHING_SENT: Final = "[attachment]"

# In front of an answer that begins a conversation, such as an app's greeting.
_NOTHING_BEFORE: Final = "[conversation starts]"


class Turn(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a prompt.

    `system_after` is what a system said behind it. It is a part of the prompt's `system` all the
    same: only servers that take a system's messages anywhere are sent it in this place.
    """

    role: Role
    blocks: tuple[Block, ...]
    system_after: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text blocks joined."""
        return "".join(block.text for block in self.blocks if isinstance(block, TextBlock))


class Tool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A function that the model may call; the client runs it and sends its result back."""

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] | None = None  # JSON Schema of an object; None: no parameters
    strict: bool | None = None  # the arguments have to match the schema exactly


class NamedTool(msgspec.Struct, frozen=True):
    """For `tool_choice`: the one tool that the model has to call."""

    name: str


ToolChoice = Literal["auto", "none", "required"] | NamedTool

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class ResponseFormat(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer's text is one JSON object, which matches `schema` if there is one."""

    schema: Mapping[str, Any] | None = None
    name: str = "answer"  # of the schema; some providers require one
    strict: bool | None = None


class FileContent(msgspec.Struct, frozen=True):
    """The content of an image or a file that a turn refers to by its `file_id`."""

    media_type: str
    base64: str  # as every provider takes it
    name: str | None = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Turns, oldest first, the last one the user's, and options; those that are None are unset.

    A turn of the user may consist of tool results; they answer the tool calls of the turn before.
    `files` has the contents of the images and files in the turns, by their `file_id`.
    """

    model: str
    turns: tuple[Turn, ...]
    system: str | None = None
    files: Mapping[str, FileContent] = {}
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_effort: ReasoningEffort | None = None
    reasoning_budget: int | None = None  # the most tokens to spend on reasoning
    response_format: ResponseFormat | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    extra: Mapping[str, Any] = {}  # further fields of the provider's own request

    def options(self) -> Iterable[tuple[str, Any]]:
        """The options that are set, by name."""
        values = astuple(self)[_FIRST_OPTION:]
        if values == _UNSET_OPTIONS:  # as for most questions: no look at each
            return ()
        return [
            (name, value)
            for name, value, unset in zip(OPTION_NAMES, values, _UNSET_OPTIONS, strict=True)
            if value != unset
        ]


# Clients use the same names.
_FIRST_OPTION: Final = Prompt.__struct_fields__.index("temperature")
OPTION_NAMES: Final = Prompt.__struct_fields__[_FIRST_OPTION:]
_UNSET_OPTIONS: Final = astuple(Prompt(model="", turns=()))[_FIRST_OPTION:]


def text_turn(role: Role, text: str) -> Turn:
    """A turn of text alone."""
    return Turn(role, (TextBlock(text),))


def system_before(system: str, turns: Iterable[Turn]) -> str | None:
    """What of a system prompt is in no turn's `system_after`.

    None if these are not its end: a turn that had one of them may have been left out.
    """
    after = "\n\n".join(text for turn in turns for text in turn.system_after)
    if not after:
        return system
    return system.removesuffix(after).removesuffix("\n\n") if system.endswith(after) else None


def begun_by_user(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """`turns`, for APIs whose first turn has to be the user's."""
    if turns and turns[0].role == Role.ASSISTANT:
        return (text_turn(Role.USER, _NOTHING_BEFORE), *turns)
    return turns


def merged(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """`turns` with neighbours of the same role joined, their texts by an empty line.

    Where an answer failed before its first token, the history has two user turns in a row, and some
    providers refuse that. Tool results stay at the beginning of their turn, next to the calls.
    """
    one_by_one: list[Turn] = []
    for turn in turns:
        if one_by_one and one_by_one[-1].role == turn.role:
            one_by_one[-1] = _joined(one_by_one[-1], turn)
        else:
            one_by_one.append(turn)
    return tuple(one_by_one)


def _joined(one: Turn, other: Turn) -> Turn:
    *before, last = one.blocks
    first, *after = other.blocks
    if isinstance(last, TextBlock) and isinstance(first, TextBlock):
        between: tuple[Block, ...] = (TextBlock(f"{last.text}\n\n{first.text}"),)
    else:
        between = (last, first)
    blocks = (*before, *between, *after)
    if any(isinstance(block, ToolResultBlock) for block in other.blocks):
        blocks = tuple(sorted(blocks, key=lambda block: not isinstance(block, ToolResultBlock)))
    return Turn(one.role, blocks, one.system_after + other.system_after)
