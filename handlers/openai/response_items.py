"""The items of OpenAI's Responses and Conversations: blocks of questions and answers as clients see
them.

An answer's blocks are one item each: text a message, reasoning a reasoning item, a tool call a
function call. A question is one message with the texts, images and files of it, after an item for
each result of a tool call. The ids are made of the message's id and the block's index, so that an
item has the same id wherever it is shown, and none is stored.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.random_ids import ID_DIGITS

ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputText(msgspec.Struct, frozen=True, tag_field="type", tag="output_text"):
    """Text of an answer."""

    text: Annotated[str, Meta(description="The text.")]
    annotations: Annotated[list[Any], Meta(description="Always empty.")] = []
    logprobs: Annotated[list[Any], Meta(description="Always empty.")] = []


class OutputMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """An item that is text of an answer."""

    id: Annotated[str, Meta(description="The item's id.")]
    status: Annotated[ItemStatus, Meta(description="`in_progress`, `completed` or `incomplete`.")]
    role: Annotated[str, Meta(description="Always `assistant`.")] = "assistant"
    content: Annotated[
        tuple[OutputText, ...],
        Meta(description="The text, as one part; none before its first delta."),
    ]


class SummaryText(msgspec.Struct, frozen=True, tag_field="type", tag="summary_text"):
    """Reasoning, which is shown where OpenAI shows its summary: clients read it nowhere else."""

    text: Annotated[str, Meta(description="The reasoning.")]


class ReasoningItem(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="reasoning"):
    """An item that is reasoning."""

    id: Annotated[str, Meta(description="The item's id.")]
    summary: Annotated[
        tuple[SummaryText, ...],
        Meta(description="The reasoning, as one part; none before its first delta."),
    ]


class FunctionCall(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"
):
    """An item that is a call of a function, which the client carries out."""

    id: Annotated[str, Meta(description="The item's id.")]
    call_id: Annotated[str, Meta(description="The id by which its output names the call.")]
    name: Annotated[str, Meta(description="The function's name.")]
    arguments: Annotated[
        str, Meta(description="JSON, as the model wrote it; it may have made a mistake.")
    ]
    status: Annotated[ItemStatus, Meta(description="`in_progress`, `completed` or `incomplete`.")]


class InputText(msgspec.Struct, frozen=True, tag_field="type", tag="input_text"):
    """Text of a question."""

    text: Annotated[str, Meta(description="The text.")]


class InputImage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_image"):
    """An image of a question: its address, here or elsewhere."""

    image_url: Annotated[str | None, Meta(description="Its address; null if `file_id` names it.")]
    file_id: Annotated[
        str | None, Meta(description="The id of its content here, at `/api/v1/files/{file_id}`.")
    ]
    detail: Annotated[str, Meta(description="How closely the model looks at it.")] = "auto"


class InputFile(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="input_file"):
    """A file of a question: its address, here or elsewhere."""

    file_url: Annotated[str | None, Meta(description="Its address; null if `file_id` names it.")]
    file_id: Annotated[
        str | None, Meta(description="The id of its content here, at `/api/v1/files/{file_id}`.")
    ]
    filename: Annotated[str | None, Meta(description="The file's name.")]


class InputMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """An item that is a question."""

    id: Annotated[str, Meta(description="The item's id.")]
    status: Annotated[ItemStatus, Meta(description="Always `completed`.")] = "completed"
    role: Annotated[str, Meta(description="Always `user`.")] = "user"
    content: Annotated[
        tuple[InputText | InputImage | InputFile, ...],
        Meta(description="The parts of the question."),
    ]


class FunctionCallOutput(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"
):
    """An item that is the result of a function call."""

    id: Annotated[str, Meta(description="The item's id.")]
    call_id: Annotated[str, Meta(description="The id of the call.")]
    output: Annotated[str, Meta(description="The output as text.")]
    status: Annotated[ItemStatus, Meta(description="Always `completed`.")] = "completed"


OutputItem = OutputMessage | ReasoningItem | FunctionCall
InputItem = InputMessage | FunctionCallOutput
Item = OutputItem | InputItem


class InputItemList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the items of a question."""

    object: Annotated[str, Meta(description="Always `list`.")] = "list"
    data: Annotated[list[InputItem], Meta(description="The items.")]
    first_id: Annotated[str, Meta(description="The id of the first item; empty without any.")]
    last_id: Annotated[str, Meta(description="The id of the last item; empty without any.")]
    has_more: Annotated[bool, Meta(description="Whether there are items after these.")]

    @classmethod
    def of(cls, items: list[InputItem], *, has_more: bool) -> "InputItemList":
        """The page of these items; the ids are empty without any."""
        first, last = (items[0].id, items[-1].id) if items else ("", "")
        return cls(data=items, first_id=first, last_id=last, has_more=has_more)


_PREFIXES = {"reasoning": "rs", "tool_call": "fc", "tool_result": "fco"}

# Between them are the 32 bytes of a message's id.
_ITEM_ID = re.compile(r"(?:msg|rs|fc|fco)_([A-Za-z0-9_-]{43})_[0-9]+")


def item_id(message_id: str, kind: str, index: int) -> str:
    """The id of the item for the block of type `kind` at `index` of a message.

    It has all of the message's id, since clients send items of any conversation by their ids, and
    has it short, since it is in each delta.
    """
    own = urlsafe_b64encode(bytes.fromhex(message_id.replace("-", ""))).rstrip(b"=").decode()
    return f"{_PREFIXES.get(kind, 'msg')}_{own}_{index}"


def message_id_in(given_id: str) -> str | None:
    """The id of the message that an item's id has; None if it is no item's id."""
    if (match := _ITEM_ID.fullmatch(given_id)) is None:
        return None
    digits = urlsafe_b64decode(f"{match[1]}=").hex()
    return f"{digits[:ID_DIGITS]}-{digits[ID_DIGITS:]}"


def output_item(message_id: str, index: int, block: Block, status: ItemStatus) -> OutputItem:
    """The item for a block of an answer."""
    match block:
        case ReasoningBlock():
            return ReasoningItem(
                id=item_id(message_id, "reasoning", index), summary=(SummaryText(block.text),)
            )
        case ToolCallBlock():
            return FunctionCall(
                id=item_id(message_id, "tool_call", index),
                call_id=block.id,
                name=block.name,
                arguments=block.arguments,
                status=status,
            )
        case _:
            return OutputMessage(
                id=item_id(message_id, "text", index),
                status=status,
                content=(OutputText(output_text(block)),),
            )


def output_text(block: Block) -> str:
    """The text that shows a block, which is Markdown for an image or a file."""
    match block:
        case TextBlock():
            return block.text
        case ImageBlock():
            return f"![image]({_address(block)})"
        case FileBlock():
            return f"[{block.name or 'file'}]({_address(block)})"
        case _:
            return ""


def output_items(
    message_id: str, blocks: Sequence[Block], last_status: ItemStatus
) -> tuple[OutputItem, ...]:
    """The items of an answer, of which only the last may be something else than completed."""
    last = len(blocks) - 1
    return tuple(
        output_item(message_id, index, block, last_status if index == last else "completed")
        for index, block in enumerate(blocks)
    )


def input_items(message_id: str, blocks: Sequence[Block]) -> tuple[InputItem, ...]:
    """The items of a question: results of tool calls, and then a message with all the rest."""
    return tuple(_input_items(message_id, blocks))


def _input_items(message_id: str, blocks: Sequence[Block]) -> Iterator[InputItem]:
    content: list[InputText | InputImage | InputFile] = []
    first = 0
    for index, block in enumerate(blocks):
        if isinstance(block, ToolResultBlock):
            yield FunctionCallOutput(
                id=item_id(message_id, "tool_result", index), call_id=block.id, output=block.text
            )
            continue
        if not content:
            first = index
        match block:
            case ImageBlock():
                content.append(
                    InputImage(
                        image_url=block.url,
                        file_id=block.file_id,
                        detail=block.detail or "auto",
                    )
                )
            case FileBlock():
                content.append(
                    InputFile(file_url=block.url, file_id=block.file_id, filename=block.name)
                )
            case _:
                content.append(InputText(output_text(block)))
    if content:
        yield InputMessage(id=item_id(message_id, "text", first), content=tuple(content))


def _address(block: ImageBlock | FileBlock) -> Any:
    return block.url or f"/api/v1/files/{block.file_id}"
