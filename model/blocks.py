"""The blocks that messages are made of: text, reasoning, tool calls, images and files.

A block's length, and so an answer's position, is counted in code points of its text. What has no
text counts one (a tool call's opening, provider data, an image, a file, a tool result), so that
every growth of an answer moves its position.

Blocks of a type that this version does not know are kept and shown as they are (`UnknownBlock`):
another version, which wrote them, may share the store.
"""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

_TOOL_CALL_ID = Meta(description="The tool call's id.", examples=["call_8f2c"])
_DATA = Meta(description="The provider's own data for this block.")
_URL = Meta(description="The address of the content; null if `file_id` names it.")
_FILE_ID = Meta(description="The id of the file with the content; null if `url` has its address.")
_MEDIA_TYPE = Meta(
    description="The media type of the content; null if it is not known.", examples=["image/png"]
)
_SIZE = Meta(
    description="The size of the file that `file_id` names, in bytes; null for a `url`.",
    examples=[48_120],
)


class ProviderData(msgspec.Struct, frozen=True):
    """Data that a provider needs back unchanged with a block, such as a signature.

    It is opaque: it is sent only to the dialect and model that made it, of the same provider, with
    the whole block. It completes its block, so that text which follows it opens another one.
    """

    dialect: Annotated[
        str, Meta(description="The provider's API that made it.", examples=["openai"])
    ]
    model: Annotated[str, Meta(description="The model that made it.", examples=["gpt-4o-mini"])]
    value: Annotated[Any, Meta(description="The data, as JSON.")]


class TextBlock(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """Text of a question or an answer."""

    text: Annotated[str, Meta(description="The text, as Markdown in most answers.")]


class ReasoningBlock(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="reasoning"
):
    """The model's reasoning."""

    text: Annotated[
        str,
        Meta(description="The text; empty if the provider gives only `data` of its reasoning."),
    ]
    data: Annotated[ProviderData | None, _DATA] = None


class ToolCallBlock(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="tool_call"
):
    """A tool that the model asks the client to call."""

    id: Annotated[str, _TOOL_CALL_ID]
    name: Annotated[str, Meta(description="The tool's name.", examples=["weather"])]
    arguments: Annotated[
        str,
        Meta(
            description="The arguments as the model wrote them: JSON, unless it made a mistake.",
            examples=['{"city": "Paris"}'],
        ),
    ]
    data: Annotated[ProviderData | None, _DATA] = None


class ToolResultBlock(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="tool_result"
):
    """The result of a tool call."""

    id: Annotated[str, _TOOL_CALL_ID]
    text: Annotated[str, Meta(description="The result as text.")]
    is_error: Annotated[bool, Meta(description="True if the call failed.")] = False


class ImageBlock(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="image"):
    """An image."""

    url: Annotated[str | None, _URL] = None
    file_id: Annotated[str | None, _FILE_ID] = None
    media_type: Annotated[str | None, _MEDIA_TYPE] = None
    size: Annotated[int | None, _SIZE] = None
    detail: Annotated[
        str | None,
        Meta(
            description="How closely the model looks at it, as OpenAI's API has it: `low`, `high` "
            "or `original`; null if the provider decides. Other providers always decide.",
            examples=["low"],
        ),
    ] = None


class FileBlock(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="file"):
    """A file."""

    url: Annotated[str | None, _URL] = None
    file_id: Annotated[str | None, _FILE_ID] = None
    media_type: Annotated[str | None, _MEDIA_TYPE] = None
    name: Annotated[
        str | None,
        Meta(description="The file's name; null if it has none.", examples=["report.pdf"]),
    ] = None
    size: Annotated[int | None, _SIZE] = None


KnownBlock = TextBlock | ReasoningBlock | ToolCallBlock | ToolResultBlock | ImageBlock | FileBlock


class UnknownBlock(dict[str, Any]):
    """A block of a type that only a later version knows, with its fields as they were stored.

    It is a dict, so that it is stored and shown unchanged. Nothing writes to it.
    """

    @property
    def type(self) -> str:
        """The block's `type` field."""
        return str(self.get("type"))


if TYPE_CHECKING:
    Block = KnownBlock | UnknownBlock
else:  # msgspec reads no union of structs and a dict; `blocks_in` does
    Block = Any

# What processes of earlier versions cannot read. Of a block with `data` they would read the rest
# and count another position; with a conversation they would not delete its files (STORED_FILE).
STORED_FILE = "stored_file"
LATER_KINDS = frozenset({"tool_result", "image", "file", "data", STORED_FILE})

# Blocks that arrive in one piece.
WholeBlock = ToolResultBlock | ImageBlock | FileBlock

_MANY: Any = tuple[KnownBlock, ...]


def blocks_in(stored: Iterable[Any]) -> tuple[Block, ...]:
    """The blocks of plain values from the store; UnknownBlock for what this version cannot read.

    That includes known types with fields of another shape, such as an image whose url is a list.
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
        # A value that is no object was never a block; it is shown all the same.
        return UnknownBlock(stored) if isinstance(stored, dict) else UnknownBlock(value=stored)
    return known


def kind_of(block: Block) -> str:
    """The block's `type`, as it is stored and shown."""
    if isinstance(block, UnknownBlock):
        return block.type
    kind = block.__struct_config__.tag
    assert isinstance(kind, str)
    return kind


def later_kinds(blocks: Iterable[Block]) -> frozenset[str]:
    """The kinds in `blocks` that processes of the first version cannot read."""
    kinds: set[str] = set()
    for block in blocks:
        match block:
            case ReasoningBlock(data=data) | ToolCallBlock(data=data):
                if data is not None:
                    kinds.add("data")
            case TextBlock():
                pass
            case ImageBlock(file_id=str()) | FileBlock(file_id=str()):
                kinds |= {kind_of(block), STORED_FILE}
            case _:
                kinds.add(kind_of(block))
    return frozenset(kinds)


def input_kind(block: Block) -> str | None:
    """What a model has to take to be asked with this block, besides text; None if it is nothing.

    An image or a file by its address is another kind than one whose content is sent along, because
    not every provider fetches addresses.
    """
    match block:
        case ToolResultBlock():
            return "tool_result"
        case ImageBlock(file_id=None):
            return "image_url"
        case ImageBlock():
            return "image"
        case FileBlock(file_id=None):
            return "file_url"
        case FileBlock():
            return "file"
        case _:
            return None


def data_for(block: Block, dialect: str, model: str) -> Any | None:
    """The value of the block's provider data, if `dialect` and `model` made it; else None.

    Both names have to be equal: a signature is valid for the model that wrote it only, and models
    are compared by the names with which they are asked.
    """
    if not isinstance(block, ReasoningBlock | ToolCallBlock) or block.data is None:
        return None
    data = block.data
    return data.value if (data.dialect, data.model) == (dialect, model) else None


def file_ids(blocks: Iterable[Block]) -> tuple[str, ...]:
    """The ids of the files that `blocks` refer to, each once, in their order."""
    found = {
        block.file_id: None
        for block in blocks
        if isinstance(block, ImageBlock | FileBlock) and block.file_id is not None
    }
    return tuple(found)


def stored_file_bytes(blocks: Iterable[Block]) -> int:
    """The bytes of the files that `blocks` refer to, each counted once."""
    sizes = {
        block.file_id: block.size or 0
        for block in blocks
        if isinstance(block, ImageBlock | FileBlock) and block.file_id is not None
    }
    return sum(sizes.values())


def text_in(block: Block) -> str:
    """The text of a block of any type; a tool call's arguments."""
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
            # The opening, which brings id and name, counts one.
            return 1 + len(block.arguments) + (block.data is not None)
        case _:
            return 1


def chars_in(block: Block) -> int:
    """The number of characters in a block, for bounds: its text, and one for what has no text."""
    return len(text_in(block)) + (not isinstance(block, TextBlock | ReasoningBlock))


def bytes_in(block: Block) -> int:
    """The approximate size of a block in memory; a string takes one to four bytes a character."""
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
