"""The messages of `useChat`, and what questions and history they make.

An assistant's message may be a chain of several answers, one step each: an answer that calls
tools, the tools' results, the next answer. Each step begins with a part of type `step-start`. Parts
that no model is asked with (reasoning, sources, an app's own `data-…`) are passed over, as the SDK
does.
"""

from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from handlers.attached_files import DATA
from handlers.errors import ApiError
from handlers.file_parts import check_address
from handlers.json_body import UNREADABLE, decoded, unreadable
from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.messages import Role
from model.prompt import NOTHING_SENT, Turn

# The beginnings and the whole of the types of parts that are tool calls.
_STATIC_TOOL: Final = "tool-"
_DYNAMIC_TOOL: Final = "dynamic-tool"

# What the SDK tells a model of a call that the person did not allow.
_DENIED: Final = "Tool execution denied."


def _words(description: str, **schema: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **schema}


_PARTS = Meta(
    description="The parts, as `useChat` sends them: of a user's message `text` and `file` count, "
    "of an assistant's the outputs of tools.",
    extra_json_schema={
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "type": _words("The part's type; others than the examples are passed over.")
                | {"examples": ["text", "file", "tool-weather", "dynamic-tool", "step-start"]},
                "text": _words("Of `text`: the text."),
                "url": _words("Of `file`: an https address, or a `data:` URI with the content."),
                "mediaType": _words("Of `file`: an image if it begins with `image/`."),
                "filename": _words("Of `file`: its name."),
                "toolCallId": _words("Of a tool: the id of the call."),
                "toolName": _words("Of `dynamic-tool`: the tool's name."),
                "state": _words("Of a tool: whether its `output` is there."),
                "output": {"description": "Of a tool: what it returned, as any JSON."},
                "errorText": _words("Of a tool: why it failed."),
            },
            "required": ["type"],
        },
    },
)


class UIMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of `useChat`."""

    role: Annotated[
        Literal["system", "user", "assistant"],
        Meta(description="Who wrote it.", examples=["user"]),
    ]
    # Only a few of them are looked at, and each may have megabytes of images.
    parts: Annotated[msgspec.Raw, _PARTS]
    id: Annotated[str, Meta(description="The message's id.", examples=["iX9Qm2c4"])] = ""
    metadata: Annotated[
        Any,
        Meta(description="What this server sent with the message, returned; else it is ignored."),
    ] = None

    @property
    def answer_id(self) -> str | None:
        """The id of the last answer in an assistant's message, by its metadata."""
        found = self.metadata.get("answer_id") if isinstance(self.metadata, dict) else None
        return found if isinstance(found, str) else None

    def decoded_parts(self) -> list["UIPart"]:
        """The parts. Raises ApiError."""
        try:
            return decoded(bytes(self.parts), list[UIPart])
        except msgspec.ValidationError:
            raise _invalid("A message has parts that are not those of a UI message.") from None
        except UNREADABLE as error:
            raise unreadable(error) from None


class _Approval(msgspec.Struct, frozen=True):
    reason: str | None = None


class UIPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of any type, with the fields of those that count here."""

    type: str
    text: str | None = None
    media_type: str | None = None
    url: str | None = None
    filename: str | None = None
    tool_call_id: str = ""
    tool_name: str | None = None
    state: str = ""
    input: Any = None
    output: Any = msgspec.UNSET
    error_text: str | None = None
    approval: _Approval | None = None

    @property
    def is_tool(self) -> bool:
        """Whether it is a tool call."""
        return self.type.startswith(_STATIC_TOOL) or self.type == _DYNAMIC_TOOL

    def call(self) -> ToolCallBlock:
        """The tool call that the model made."""
        name = self.tool_name or self.type.removeprefix(_STATIC_TOOL)
        return ToolCallBlock(self.tool_call_id, name, msgspec.json.encode(self.input).decode())

    def result(self) -> ToolResultBlock | None:
        """The result of the tool call; None if there is none yet."""
        match self.state:
            case "output-available":
                return ToolResultBlock(self.tool_call_id, _text_of(self.output))
            case "output-error":
                return ToolResultBlock(self.tool_call_id, self.error_text or "", is_error=True)
            case "output-denied":
                reason = self.approval and self.approval.reason
                return ToolResultBlock(self.tool_call_id, reason or _DENIED, is_error=True)
            case _:
                return None

    def content(self) -> Block | None:
        """The block of a part of a user's message; None if no model is asked with it.

        Raises ApiError.
        """
        if self.type == "text":
            return TextBlock(self.text or "")
        if self.type != "file":
            return None
        if self.url is None:
            raise _invalid("A file has no `url`. Send a data: URI or an https address.")
        try:
            check_address(self.url)
        except ValueError as error:
            raise _invalid(f"{error}.") from None
        media_type = self.media_type or ""
        if media_type == "image" or media_type.startswith("image/"):
            return ImageBlock(url=self.url)
        return FileBlock(url=self.url, name=self.filename or None)


def question_blocks(message: UIMessage, before: UIMessage | None) -> tuple[Block, ...]:
    """What the last message of a chat asks. Raises ApiError.

    Of an assistant's message that is the results of the tools that its last step called, and of a
    user's message its texts and files. A user may go on before the results of `before`, the message
    that theirs follows, were sent: they are a part of the question then.
    """
    if message.role == "assistant":
        return results_of(message)
    results = () if before is None or before.role != "assistant" else results_of(before)
    return (*results, *_joined(_contents(message)))


def results_of(message: UIMessage) -> tuple[ToolResultBlock, ...]:
    """The results of the tools that the last step of an assistant's message called.

    Raises ApiError.
    """
    *_, step = _steps(message)
    results = (part.result() for part in step if part.is_tool)
    return tuple(result for result in results if result is not None)


def history_of(messages: Iterable[UIMessage]) -> tuple[Turn, ...]:
    """Messages that the store does not have, as turns; of files only those with an address.

    Raises ApiError.
    """
    turns: list[Turn] = []
    for message in messages:
        if message.role == "user":
            turns.append(Turn(Role.USER, tuple(_sent_again(message))))
        elif message.role == "assistant":
            for step in _steps(message):
                turns += _turns_of(step)
    return tuple(turn for turn in turns if turn.blocks)


def system_of(messages: Iterable[UIMessage]) -> str | None:
    """The texts of the system messages; None if there are none. Raises ApiError."""
    texts = [
        part.text
        for message in messages
        if message.role == "system"
        for part in message.decoded_parts()
        if part.type == "text" and part.text
    ]
    return "\n\n".join(texts) or None


def file_bytes(message: UIMessage) -> int:
    """The length of the `data:` URIs of the files in a message. Raises ApiError."""
    urls = (part.url or "" for part in message.decoded_parts() if part.type == "file")
    return sum(len(url) for url in urls if url.startswith(DATA))


def _contents(message: UIMessage) -> Iterator[Block]:
    for part in message.decoded_parts():
        if (block := part.content()) is not None:
            yield block


def _sent_again(message: UIMessage) -> Iterator[Block]:
    for block in _joined(_contents(message)):
        if isinstance(block, ImageBlock | FileBlock) and (block.url or "").startswith(DATA):
            yield TextBlock(NOTHING_SENT)
        else:
            yield block


def _steps(message: UIMessage) -> list[list[UIPart]]:
    """The parts of each step; at least one, which may be empty."""
    steps: list[list[UIPart]] = [[]]
    for part in message.decoded_parts():
        if part.type == "step-start":
            steps.append([])
        else:
            steps[-1].append(part)
    return steps


def _turns_of(step: Sequence[UIPart]) -> Iterator[Turn]:
    said: list[Block] = []
    results: list[Block] = []
    for part in step:
        if part.is_tool:
            said.append(part.call())
            if (result := part.result()) is not None:
                results.append(result)
        elif part.type == "text" and part.text:
            said.append(TextBlock(part.text))
    yield Turn(Role.ASSISTANT, tuple(_joined(said)))
    yield Turn(Role.USER, tuple(results))


def _joined(blocks: Iterable[Block]) -> Iterator[Block]:
    """`blocks` with neighbouring texts in one."""
    for is_text, some in groupby(blocks, lambda block: isinstance(block, TextBlock)):
        if not is_text:
            yield from some
            continue
        text = "".join(block.text for block in some if isinstance(block, TextBlock))
        if text:
            yield TextBlock(text)


def _text_of(output: Any) -> str:
    """A tool's output as text: a string as it is, anything else as JSON."""
    if output is msgspec.UNSET:
        return ""
    return output if isinstance(output, str) else msgspec.json.encode(output).decode()


def _invalid(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", message)
