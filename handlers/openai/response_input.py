"""The input of a response: items of OpenAI's API, and the turns of a prompt that they become.

A message of a system or developer is part of the system prompt. Neighbouring items of one side are
one turn: an answer with its reasoning, text and calls, or results of calls and what is asked.
Items and parts that this server cannot do are refused by name. Docstrings and descriptions of
fields are part of the OpenAPI document.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from handlers.attached_files import DATA
from handlers.errors import ApiError
from handlers.file_parts import ImageDetail, check_address, stored_detail
from handlers.openai.field_errors import converted, invalid_field, unsupported_field
from handlers.openai.final_turn import add_question
from handlers.openai.item_references import REFERENCE, Items
from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.messages import Role
from model.prompt import Turn, merged

# Items of one request. A conversation of so many is longer than any context.
_MAX_ITEMS = 2_000

_CallId = Annotated[str, Meta(min_length=1, max_length=1000)]


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    """Base of items and parts. Clients return what they received, so fields may be unknown."""


class _Text(_Given, frozen=True):
    text: str


class _Refusal(_Given, frozen=True):
    refusal: str


class _Image(_Given, frozen=True):
    image_url: str | None = None
    file_id: str | None = None
    detail: ImageDetail | None = None


class _File(_Given, frozen=True):
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: (
        Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+\Z")] | None
    ) = None


class _Message(_Given, frozen=True):
    role: str
    content: str | list[dict[str, Any]]


class _Call(_Given, frozen=True):
    call_id: _CallId
    name: str
    arguments: str


class _Output(_Given, frozen=True):
    call_id: _CallId
    output: str | list[dict[str, Any]]


class _Reasoning(_Given, frozen=True):
    summary: list[_Text] = []
    content: list[_Text] | None = None


class _Reference(_Given, frozen=True):
    id: str


class Input(NamedTuple):
    """What the items of a request are: what messages of a system say, and all others."""

    system: tuple[str, ...]
    turns: tuple[Turn, ...]


def read_input(given: str | Sequence[Mapping[str, Any]], known: Items) -> Input:
    """The turns of the input, the last of which is the question. Raises ApiError.

    `known` are the items that it refers to, by their ids.
    """
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if len(given) > _MAX_ITEMS:
        raise invalid_field("input", f"`input` has more than {_MAX_ITEMS:,} items.")
    system: list[str] = []
    turns: list[Turn] = []
    role: Role | None = Role.USER
    for index, item in enumerate(given):
        place = f"input[{index}]"
        if item.get("type") == REFERENCE:
            item = _referred(item, place, known)
        kind = item.get("type", "message")
        read = _ITEMS.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise _untaken(place, f"items of type `{_shown(kind)}`")
        role, blocks = read(item, place)
        if role is None:
            system += [block.text for block in blocks if isinstance(block, TextBlock)]
        elif blocks:
            turns.append(Turn(role, blocks))
    add_question(turns, system, role)
    joined = merged(turns)
    if not joined or joined[-1].role is not Role.USER or not any(map(_says, joined[-1].blocks)):
        raise invalid_field(
            "input",
            "`input` has to end with a message of the user, or with the outputs of function calls.",
        )
    return Input(tuple(system), joined)


def _referred(item: Mapping[str, Any], place: str, known: Items) -> Mapping[str, Any]:
    if (found := known.get(converted(item, _Reference, place).id)) is None:
        raise invalid_field(
            f"{place}.id",
            f"`{place}.id` is not the id of an item of a response that is stored here.",
        )
    return found


def _message(item: Mapping[str, Any], place: str) -> tuple[Role | None, tuple[Block, ...]]:
    message = converted(item, _Message, place)
    inner = f"{place}.content"
    match message.role:
        case "user":
            return Role.USER, _joined_texts(_parts(message.content, inner, _USER_PARTS))
        case "assistant":
            return Role.ASSISTANT, _joined_texts(_parts(message.content, inner, _ANSWER_PARTS))
        case "system" | "developer":
            texts = _parts(message.content, inner, _TEXT_PARTS)
            return None, _joined_texts(texts)
        case _:
            raise invalid_field(
                f"{place}.role", f"`{place}.role` is none of the roles of messages."
            )


def _call(item: Mapping[str, Any], place: str) -> tuple[Role | None, tuple[Block, ...]]:
    call = converted(item, _Call, place)
    return Role.ASSISTANT, (ToolCallBlock(call.call_id, call.name, call.arguments),)


def _output(item: Mapping[str, Any], place: str) -> tuple[Role | None, tuple[Block, ...]]:
    output = converted(item, _Output, place)
    blocks = _parts(output.output, f"{place}.output", _TEXT_PARTS)
    text = "".join(block.text for block in blocks if isinstance(block, TextBlock))
    return Role.USER, (ToolResultBlock(output.call_id, text),)


def _reasoning(item: Mapping[str, Any], place: str) -> tuple[Role | None, tuple[Block, ...]]:
    reasoning = converted(item, _Reasoning, place)
    texts = reasoning.content or reasoning.summary
    text = "\n\n".join(part.text for part in texts)
    return Role.ASSISTANT, (ReasoningBlock(text),) if text else ()


_Read = Callable[[Mapping[str, Any], str], tuple[Role | None, tuple[Block, ...]]]
_ITEMS: dict[str, _Read] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
    "reasoning": _reasoning,
}


def _text(part: Mapping[str, Any], place: str) -> Block:
    return TextBlock(converted(part, _Text, place).text)


def _refusal(part: Mapping[str, Any], place: str) -> Block:
    return TextBlock(converted(part, _Refusal, place).refusal)


def _image(part: Mapping[str, Any], place: str) -> Block:
    image = converted(part, _Image, place)
    if image.file_id is not None:
        raise _untaken(f"{place}.file_id", "ids of uploaded files")
    url = _checked(image.image_url, f"{place}.image_url")
    return ImageBlock(url=url, detail=stored_detail(image.detail))


def _file(part: Mapping[str, Any], place: str) -> Block:
    file = converted(part, _File, place)
    if file.file_id is not None:
        raise _untaken(f"{place}.file_id", "ids of uploaded files")
    if file.file_data is not None:
        if not file.file_data.startswith(DATA):
            raise invalid_field(f"{place}.file_data", f"`{place}.file_data` has to be a data: URI.")
        return FileBlock(url=file.file_data, name=file.filename)
    return FileBlock(url=_checked(file.file_url, f"{place}.file_url"), name=file.filename)


_ReadPart = Callable[[Mapping[str, Any], str], Block]
_TEXT_PARTS: dict[str, _ReadPart] = {"input_text": _text, "output_text": _text, "text": _text}
_ANSWER_PARTS: dict[str, _ReadPart] = {**_TEXT_PARTS, "refusal": _refusal}
_USER_PARTS: dict[str, _ReadPart] = {**_TEXT_PARTS, "input_image": _image, "input_file": _file}


def _parts(
    content: str | list[dict[str, Any]], place: str, kinds: Mapping[str, _ReadPart]
) -> list[Block]:
    if isinstance(content, str):
        return [TextBlock(content)]
    blocks = []
    for index, part in enumerate(content):
        inner = f"{place}[{index}]"
        kind = part.get("type")
        read = kinds.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise _untaken(inner, f"parts of type `{_shown(kind)}` here")
        blocks.append(read(part, inner))
    return blocks


def _joined_texts(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """`blocks` without empty texts, and with neighbouring ones as one."""
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if isinstance(block, TextBlock):
            if not block.text:
                continue
            if isinstance(last, TextBlock):
                joined[-1] = TextBlock(last.text + block.text)
                continue
        joined.append(block)
    return tuple(joined)


def _says(block: Block) -> bool:
    return not isinstance(block, TextBlock) or bool(block.text.strip())


def _checked(url: str | None, place: str) -> str:
    if url is None:
        raise invalid_field(place, f"`{place}` is missing.")
    try:
        check_address(url)
    except ValueError as error:
        raise invalid_field(place, f"{error} - at `{place}`.") from None
    return url


def _shown(kind: object) -> str:
    """A type that a client sent, as far as it is a word."""
    return kind if isinstance(kind, str) and kind.isidentifier() and len(kind) < 64 else "?"


def _untaken(place: str, what: str) -> ApiError:
    return unsupported_field(place, f"`{place}`: this server does not take {what}.")
