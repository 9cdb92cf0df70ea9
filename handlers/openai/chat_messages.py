"""The messages of a chat completion's request, and the turns of a prompt that they become.

Unknown fields of messages and parts are passed over, as OpenAI's own models do with `name`; what
would change the answer and cannot be said to every provider is refused by its name. Docstrings and
descriptions of fields are part of the OpenAPI document.
"""

from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from handlers.attached_files import DATA
from handlers.errors import ApiError
from handlers.file_parts import (
    DATA_PATTERN,
    IMAGE_DETAIL,
    ImageDetail,
    Url,
    check_address,
    stored_detail,
)
from handlers.openai.final_turn import add_question
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
from model.prompt import Turn


class OpenBody(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the bodies of OpenAI's API, whose clients may send fields of later versions."""


class ChatText(OpenBody, frozen=True, tag_field="type", tag="text"):
    """A part that is text."""

    text: Annotated[str, Meta(description="The text.", examples=["What is a headrace?"])]


class ChatRefusal(OpenBody, frozen=True, tag_field="type", tag="refusal"):
    """A part of an answer in which the model declined; it is sent as text."""

    refusal: Annotated[str, Meta(description="The text.")]


class ChatImageUrl(OpenBody, frozen=True):
    """The address of an image, or the image itself."""

    url: Annotated[
        Url,
        Meta(
            description="An https address, which the model's provider fetches and this server does "
            "not, or a `data:` URI with the content in base64.",
            examples=["data:image/png;base64,iVBORw0KGgo="],
        ),
    ]
    detail: Annotated[ImageDetail | None, IMAGE_DETAIL] = None

    def __post_init__(self) -> None:
        check_address(self.url)


class ChatImage(OpenBody, frozen=True, tag_field="type", tag="image_url"):
    """A part that is an image."""

    image_url: Annotated[ChatImageUrl, Meta(description="The image.")]


class ChatFileData(OpenBody, frozen=True):
    """A file with its content."""

    file_data: Annotated[
        str,
        Meta(
            description="A `data:` URI with the content in base64; ids of uploaded files are not "
            "known here.",
            examples=["data:application/pdf;base64,JVBERi0xLjc="],
            extra_json_schema=DATA_PATTERN,
        ),
    ]
    filename: Annotated[
        Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+\Z")] | None,
        Meta(description="The file's name.", examples=["report.pdf"]),
    ] = None

    def __post_init__(self) -> None:
        if not self.file_data.startswith(DATA):
            raise ValueError("Expected a data: URI")


class ChatFile(OpenBody, frozen=True, tag_field="type", tag="file"):
    """A part that is a file: PDF or text."""

    file: Annotated[ChatFileData, Meta(description="The file.")]


class ChatFunctionCall(OpenBody, frozen=True):
    """The function that an answer called."""

    name: Annotated[str, Meta(description="The function's name.", examples=["weather"])]
    arguments: Annotated[
        str, Meta(description="The arguments as JSON.", examples=['{"city": "Paris"}'])
    ]


class ChatToolCall(OpenBody, frozen=True):
    """A call that an answer made."""

    id: Annotated[str, Meta(description="The call's id, as the answer had it.")]
    function: Annotated[ChatFunctionCall, Meta(description="What was called.")]
    type: Annotated[Literal["function"], Meta(description="Always `function`.")] = "function"


_TEXT = Meta(description="The text, or parts that are text.")


class SystemMessage(OpenBody, frozen=True, tag_field="role", tag="system"):
    """What the model is told to be; all such messages together become its system prompt."""

    content: Annotated[str | list[ChatText], _TEXT]


class DeveloperMessage(OpenBody, frozen=True, tag_field="role", tag="developer"):
    """The same as a system message."""

    content: Annotated[str | list[ChatText], _TEXT]


class UserMessage(OpenBody, frozen=True, tag_field="role", tag="user"):
    """What is asked."""

    content: Annotated[
        str | list[ChatText | ChatImage | ChatFile],
        Meta(description="The text, or parts: text, images and files."),
    ]


class AssistantMessage(OpenBody, frozen=True, tag_field="role", tag="assistant"):
    """An earlier answer."""

    content: Annotated[
        str | list[ChatText | ChatRefusal] | None,
        Meta(description="The text, or parts that are text; null if there is none."),
    ] = None
    refusal: Annotated[str | None, Meta(description="The text with which the model declined.")] = (
        None
    )
    reasoning_content: Annotated[
        str | None,
        Meta(description="The reasoning; models that need it after their tool calls get it."),
    ] = None
    tool_calls: Annotated[
        list[ChatToolCall] | None, Meta(description="The calls that it made.")
    ] = None
    function_call: Annotated[None, Meta(description="Refused: use `tool_calls`.")] = None
    audio: Annotated[None, Meta(description="Refused: answers are text.")] = None


class ToolMessage(OpenBody, frozen=True, tag_field="role", tag="tool"):
    """The result of a tool call."""

    tool_call_id: Annotated[str, Meta(min_length=1, description="The call's id.")]
    content: Annotated[str | list[ChatText], _TEXT]


ChatMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


class ChatTurns(NamedTuple):
    """What messages become. Without a system message `system` is None; else it is what all of
    them say, of which the turns have the places.
    """

    system: str | None
    turns: tuple[Turn, ...]


def chat_turns(messages: Sequence[ChatMessage]) -> ChatTurns:
    """The system prompt and the turns, the last of which is the question. Raises ApiError."""
    system: list[str] = []
    places: list[int] = []  # of these, by how many turns are before each
    turns: list[Turn] = []
    for message in messages:
        if isinstance(message, SystemMessage | DeveloperMessage):
            system.append(_text(message.content))
            places.append(len(turns))
            continue
        role, blocks = _turn(message)
        if not blocks:
            continue
        if turns and turns[-1].role is role is Role.USER and _are_results(turns[-1].blocks):
            # All results of an answer's calls belong together, in front of what is asked next.
            turns[-1] = Turn(role, turns[-1].blocks + blocks)
        else:
            turns.append(Turn(role, blocks))
    add_question(turns, system, _role_of(messages[-1]))
    if not turns or turns[-1].role is not Role.USER or not _asks_something(turns[-1].blocks):
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_body",
            "The last of the messages has to be a user's or a tool's, and not empty.",
            param="messages",
        )
    # The last one may have become the question.
    for text, place in zip(system, places, strict=False):
        if place:
            turn = turns[place - 1]
            said = (*turn.system_after, text)
            turns[place - 1] = msgspec.structs.replace(turn, system_after=said)
    return ChatTurns("\n\n".join(system) if system else None, tuple(turns))


def _role_of(message: ChatMessage) -> Role | None:
    """The role of a message's turn; None for a part of the system prompt."""
    match message:
        case SystemMessage() | DeveloperMessage():
            return None
        case AssistantMessage():
            return Role.ASSISTANT
        case _:
            return Role.USER


def _turn(
    message: UserMessage | AssistantMessage | ToolMessage,
) -> tuple[Role, tuple[Block, ...]]:
    match message:
        case UserMessage():
            return Role.USER, tuple(_asked(message.content))
        case ToolMessage():
            result = ToolResultBlock(message.tool_call_id, _text(message.content))
            return Role.USER, (result,)
        case AssistantMessage():
            return Role.ASSISTANT, tuple(_answered(message))


def _text(content: str | Iterable[ChatText | ChatRefusal] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text if isinstance(part, ChatText) else part.refusal for part in content)


def _asked(content: str | list[ChatText | ChatImage | ChatFile]) -> Iterator[Block]:
    texts: list[str] = []
    for part in [content] if isinstance(content, str) else content:
        match part:
            case str():
                texts.append(part)
                continue
            case ChatText():
                texts.append(part.text)
                continue
            case ChatImage():
                image = part.image_url
                block: Block = ImageBlock(url=image.url, detail=stored_detail(image.detail))
            case ChatFile():
                block = FileBlock(url=part.file.file_data, name=part.file.filename)
        yield from _text_block(texts)
        yield block
    yield from _text_block(texts)


def _text_block(texts: list[str]) -> Iterator[Block]:
    """One block of neighbouring texts, which are removed from the list."""
    if text := "".join(texts):
        yield TextBlock(text)
    texts.clear()


def _answered(message: AssistantMessage) -> Iterator[Block]:
    if message.reasoning_content:
        yield ReasoningBlock(message.reasoning_content)
    if text := _text(message.content) or message.refusal:
        yield TextBlock(text)
    for call in message.tool_calls or ():
        yield ToolCallBlock(call.id, call.function.name, call.function.arguments)


def _are_results(blocks: Iterable[Block]) -> bool:
    return all(isinstance(block, ToolResultBlock) for block in blocks)


def _asks_something(blocks: Iterable[Block]) -> bool:
    return any(not isinstance(block, TextBlock) or block.text.strip() for block in blocks)
