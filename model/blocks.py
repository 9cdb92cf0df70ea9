"""What a message is made of.

A block's position is counted in code points of its text; whatever has none counts one, so that
every growth of an answer moves its position: a tool call's opening, provider data, an image, a
file, a tool result.

Kinds that this version does not know are kept and shown as they are (`UnknownBlock`): another
version, which wrote them, may share the store.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec


class ProviderData(msgspec.Struct, frozen=True):
    """What a provider wants back unchanged with a block, such as a signature.

    Nobody else can read it: it goes back to the dialect and model that made it, and only with a
    block that is whole. It closes its block: what comes behind it opens another.
    """

    dialect: str
    model: str
    value: Any  # as JSON has it


class TextBlock(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """What the user asked or the model answered."""

    text: str


class ReasoningBlock(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="reasoning"
):
    """What the model thought; the text is empty where the provider shows only its data."""

    text: str
    data: ProviderData | None = None


class ToolCallBlock(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="tool_call"
):
    """A tool the model asks for; `arguments` is JSON text as the model wrote it, valid or not."""

    id: str
    name: str
    arguments: str
    data: ProviderData | None = None


class ToolResultBlock(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="tool_result"
):
    """What came of a tool call, by the call's id."""

    id: str
    text: str
    is_error: bool = False


class ImageBlock(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="image"):
    """A picture: where it is, or the id of the file that holds it."""

    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None


class FileBlock(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="file"):
    """A document: where it is, or the id of the file that holds it."""

    url: str | None = None
    file_id: str | None = None
    media_type: str | None = None
    name: str | None = None


KnownBlock = TextBlock | ReasoningBlock | ToolCallBlock | ToolResultBlock | ImageBlock | FileBlock


class UnknownBlock(dict[str, Any]):
    """A block of a kind that a later version wrote, with all its fields as they were stored.

    A dict, so that it is stored and shown as it came. Nothing changes it.
    """

    @property
    def type(self) -> str:
        """Its kind."""
        return str(self.get("type"))


if TYPE_CHECKING:
    Block = KnownBlock | UnknownBlock
else:  # msgspec reads no union of structs and a dict; `blocks_in` does
    Block = Any

# What processes of the first stage cannot read. Of a block with `data` they would read the rest,
# and count another position.
LATER_KINDS = frozenset({"tool_result", "image", "file", "data"})

# Blocks that have no text of their own and come whole.
WholeBlock = ToolResultBlock | ImageBlock | FileBlock

_MANY: Any = tuple[KnownBlock, ...]


def blocks_in(stored: Iterable[Any]) -> tuple[Block, ...]:
    """The blocks that a store holds as plain values; what this version cannot read stays unknown.

    Values that a version known here would have written differently are unknown, too: an image
    whose address is a list, say.
    """
    try:
        known: tuple[Block, ...] = msgspec.convert(stored, _MANY)
    except msgspec.ValidationError:
        return tuple(_block_in(each) for each in stored)
    return known


def _block_in(stored: Any) -> Block:
    try:
        known: Block = msgspec.convert(stored, KnownBlock)
    except msgspec.ValidationError:
        # Whatever is no object was never a block, and is shown all the same.
        return UnknownBlock(stored) if isinstance(stored, dict) else UnknownBlock(value=stored)
    return known


def kind_of(block: Block) -> str:
    """The block's kind, as it is stored and shown."""
    if isinstance(block, UnknownBlock):
        return block.type
    kind = block.__struct_config__.tag
    assert isinstance(kind, str)
    return kind


def later_kinds(blocks: Iterable[Block]) -> frozenset[str]:
    """What of `blocks` a process has to know that was not there in the first stage."""
    kinds: set[str] = set()
    for block in blocks:
        match block:
            case ReasoningBlock(data=data) | ToolCallBlock(data=data):
                if data is not None:
                    kinds.add("data")
            case TextBlock():
                pass
            case _:
                kinds.add(kind_of(block))
    return frozenset(kinds)


def text_in(block: Block) -> str:
    """What a block has of text, of whatever kind: its arguments, if it is a tool call."""
    match block:
        case TextBlock() | ReasoningBlock() | ToolResultBlock():
            return block.text
        case ToolCallBlock():
            return block.arguments
        case _:
            return ""


def length_of(block: Block) -> int:
    """By how much a block moves its message's position."""
    match block:
        case TextBlock():
            return len(block.text)
        case ReasoningBlock():
            return len(block.text) + (block.data is not None)
        case ToolCallBlock():
            # Its opening, which brings id and name, counts one.
            return 1 + len(block.arguments) + (block.data is not None)
        case _:
            return 1


def chars_in(block: Block) -> int:
    """How much there is to hold of a block: its text, and one for all that has none."""
    return len(text_in(block)) + (not isinstance(block, TextBlock | ReasoningBlock))


def bytes_in(block: Block) -> int:
    """About what a block takes in memory: a string takes up to four bytes a character."""
    if isinstance(block, UnknownBlock):
        return len(msgspec.json.encode(block))
    count = 0
    for name in block.__struct_fields__:
        value = getattr(block, name)
        if isinstance(value, str):
            count += sys.getsizeof(value)
        elif isinstance(value, ProviderData):
            count += len(msgspec.json.encode(value))
    return count
