"""The messages of a run's input, as AG-UI spells them, and the turns that they are.

What AG-UI has and a model of this server cannot take is refused by name. Fields that this module
does not name are the client's own.
"""

from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from handlers.attached_files import DATA
from handlers.errors import ApiError
from handlers.file_parts import check_address
from handlers.question_parts import MAX_PARTS
from model.blocks import Block, FileBlock, ImageBlock, TextBlock, ToolCallBlock, ToolResultBlock
from model.messages import Role
from model.prompt import Turn

# Ids are the clients' own, UUIDs or a word with some digits. They are stored with the answer.
_MAX_ID_CHARS = 255
Id = Annotated[str, Meta(min_length=1, max_length=_MAX_ID_CHARS)]
_CallId = Annotated[str, Meta(min_length=1, max_length=1000)]  # as in `question_parts.py`
_MessageId = Annotated[str, Meta(max_length=_MAX_ID_CHARS)]


class _Input(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of what clients send. Unknown fields are skipped."""


class AgUiDataSource(_Input, frozen=True, kw_only=True, tag_field="type", tag="data"):
    """Content in base64."""

    value: str
    mime_type: Annotated[str, Meta(pattern=r"^[^,]*\Z")]

    @property
    def url(self) -> str:
        """The content as a `data:` URI."""
        return f"{DATA}{self.mime_type};base64,{self.value}"


class AgUiUrlSource(_Input, frozen=True, kw_only=True, tag_field="type", tag="url"):
    """An https address, or a `data:` URI."""

    value: str

    @property
    def url(self) -> str:
        """The address."""
        return self.value


class AgUiFileSource(_Input, frozen=True, kw_only=True, tag_field="type", tag="file"):
    """A file that a provider stores, or this server."""

    value: str


class AgUiTextPart(_Input, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Text of a person."""

    text: str

    def block(self) -> Block:
        """The block that is stored."""
        return TextBlock(self.text)


class AgUiImagePart(_Input, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """An image of a person."""

    source: AgUiDataSource | AgUiUrlSource | AgUiFileSource

    def block(self) -> Block:
        """The block that is stored, its content still as a `data:` URI."""
        return ImageBlock(url=_url(self.source))


class AgUiDocumentPart(_Input, frozen=True, kw_only=True, tag_field="type", tag="document"):
    """A file of a person."""

    source: AgUiDataSource | AgUiUrlSource | AgUiFileSource
    metadata: Any = None

    def block(self) -> Block:
        """The block that is stored, its content still as a `data:` URI."""
        return FileBlock(url=_url(self.source))


class AgUiBinaryPart(_Input, frozen=True, kw_only=True, tag_field="type", tag="binary"):
    """An image or a file, as versions before 1.0 spell it."""

    mime_type: Annotated[str, Meta(pattern=r"^[^,]*\Z")]
    data: str | None = None
    url: str | None = None
    filename: Annotated[str, Meta(max_length=255, pattern=r"^[^\x00-\x1f\x7f]+\Z")] | None = None

    def block(self) -> Block:
        """The block that is stored, its content still as a `data:` URI."""
        if self.data is not None:
            source: AgUiDataSource | AgUiUrlSource = AgUiDataSource(
                value=self.data, mime_type=self.mime_type
            )
        elif self.url is not None:
            source = AgUiUrlSource(value=self.url)
        else:
            raise _unsupported("a file by its `id`")
        if self.mime_type.startswith("image/"):
            return ImageBlock(url=_url(source))
        return FileBlock(url=_url(source), name=self.filename)


class AgUiAudioPart(_Input, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    """Audio, which no model of this server takes."""

    def block(self) -> Block:
        """Raise ApiError."""
        raise _unsupported("`audio`")


class AgUiVideoPart(_Input, frozen=True, kw_only=True, tag_field="type", tag="video"):
    """A video, which no model of this server takes."""

    def block(self) -> Block:
        """Raise ApiError."""
        raise _unsupported("`video`")


AgUiPart = (
    AgUiTextPart | AgUiImagePart | AgUiDocumentPart | AgUiBinaryPart | AgUiAudioPart | AgUiVideoPart
)


class AgUiSystemMessage(_Input, frozen=True, kw_only=True, tag_field="role", tag="system"):
    """A part of the system prompt."""

    id: _MessageId = ""
    content: str = ""


class AgUiDeveloperMessage(_Input, frozen=True, kw_only=True, tag_field="role", tag="developer"):
    """A part of the system prompt."""

    id: _MessageId = ""
    content: str = ""


class AgUiUserMessage(_Input, frozen=True, kw_only=True, tag_field="role", tag="user"):
    """What a person says."""

    id: _MessageId = ""
    content: str | list[AgUiPart] = ""

    def blocks(self) -> Iterator[Block]:
        """The blocks of the message."""
        if isinstance(self.content, str):
            if self.content:
                yield TextBlock(self.content)
        else:
            for part in self.content:
                if not isinstance(part, AgUiTextPart) or part.text:
                    yield part.block()


class AgUiFunction(_Input, frozen=True, kw_only=True):
    """The function that a tool call names."""

    name: str
    arguments: str = ""


class AgUiToolCall(_Input, frozen=True, kw_only=True):
    """A tool call of an answer."""

    id: _CallId
    function: AgUiFunction
    type: Literal["function"] = "function"


class AgUiAssistantMessage(_Input, frozen=True, kw_only=True, tag_field="role", tag="assistant"):
    """An answer."""

    id: _MessageId = ""
    content: str | list[AgUiTextPart] | None = None
    tool_calls: list[AgUiToolCall] | None = None

    def blocks(self) -> Iterator[Block]:
        """The blocks of the message."""
        if isinstance(self.content, str):
            if self.content:
                yield TextBlock(self.content)
        else:
            yield from (part.block() for part in self.content or ())
        for call in self.tool_calls or ():
            yield ToolCallBlock(call.id, call.function.name, call.function.arguments)


class AgUiToolMessage(_Input, frozen=True, kw_only=True, tag_field="role", tag="tool"):
    """The result of a tool call."""

    tool_call_id: _CallId
    id: _MessageId = ""
    content: str | list[AgUiTextPart] = ""
    error: str | None = None

    def blocks(self) -> Iterator[Block]:
        """The blocks of the message."""
        text = self.content
        if not isinstance(text, str):
            text = "".join(part.text for part in text)
        yield ToolResultBlock(self.tool_call_id, text or self.error or "", self.error is not None)


class AgUiActivityMessage(_Input, frozen=True, kw_only=True, tag_field="role", tag="activity"):
    """What a client shows beside the messages; no model sees it."""

    id: _MessageId = ""


class AgUiReasoningMessage(_Input, frozen=True, kw_only=True, tag_field="role", tag="reasoning"):
    """What a client shows of an answer's reasoning; models get what is stored of it."""

    id: _MessageId = ""


AgUiMessage = (
    AgUiSystemMessage
    | AgUiDeveloperMessage
    | AgUiUserMessage
    | AgUiAssistantMessage
    | AgUiToolMessage
    | AgUiActivityMessage
    | AgUiReasoningMessage
)


def turns_of(messages: Sequence[AgUiMessage]) -> tuple[Turn, ...]:
    """The turns of a run's input, the last of which is the question.

    Each answer is a turn, and so is what a person and their programs say between two answers.
    Raises ApiError.
    """
    turns: list[Turn] = []
    for message in messages:
        match message:
            case AgUiAssistantMessage():
                role = Role.ASSISTANT
            case AgUiUserMessage() | AgUiToolMessage():
                role = Role.USER
            case _:
                continue
        blocks = tuple(message.blocks())
        if not blocks:
            continue
        if turns and turns[-1].role is role:
            blocks = (*turns[-1].blocks, *blocks)
            turns.pop()
        turns.append(Turn(role, tuple(_results_first(blocks))))
    if not turns or turns[-1].role is not Role.USER:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_body",
            "The last of the `messages` has to be of a user or a tool.",
        )
    if len(turns[-1].blocks) > MAX_PARTS:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_body",
            f"The question has more than {MAX_PARTS} messages and parts.",
        )
    if not any(_asks(block) for block in turns[-1].blocks):
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", "The question is empty.")
    return tuple(turns)


def system_of(messages: Sequence[AgUiMessage]) -> str:
    """The system prompt among the messages."""
    return "\n\n".join(
        message.content
        for message in messages
        if isinstance(message, AgUiSystemMessage | AgUiDeveloperMessage) and message.content
    )


def _asks(block: Block) -> bool:
    return not isinstance(block, TextBlock) or bool(block.text.strip())


def _results_first(blocks: Iterable[Block]) -> Iterable[Block]:
    """`blocks` in the order of a question: results first, texts that follow each other as one."""
    sorted_blocks = sorted(blocks, key=lambda block: not isinstance(block, ToolResultBlock))
    texts: list[str] = []
    for block in sorted_blocks:
        if isinstance(block, TextBlock):
            texts.append(block.text)
            continue
        if texts:
            yield TextBlock("\n\n".join(texts))
            texts = []
        yield block
    if texts:
        yield TextBlock("\n\n".join(texts))


def _url(source: AgUiDataSource | AgUiUrlSource | AgUiFileSource) -> str:
    if isinstance(source, AgUiFileSource):
        raise _unsupported("a source of type `file`")
    try:
        check_address(source.url)
    except ValueError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", f"{error}.") from None
    return source.url


def _unsupported(what: str) -> ApiError:
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        "unsupported_content",
        f"No model of this server can be asked with {what}.",
    )
