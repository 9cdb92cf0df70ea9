"""The turns of a prompt as messages of Anthropic's Messages API, and the blocks in them.

What the API demands: texts are not blank; tool results come first in the turn that follows their
calls (`tool_history.py` pairs them); the ids of calls consist of few characters; thinking comes
from the model that is asked, unchanged, with its signature, and never last in its message.
"""

import base64
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from model.blocks import (
    FileBlock,
    ImageBlock,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.messages import Role
from model.prompt import NOTHING_SENT, Prompt, Turn
from providers.anthropic_interpreter import DIALECT
from providers.anthropic_thinking import THINKING
from providers.attachments import content_of
from providers.errors import UnsupportedPart
from providers.tool_history import argument_text

IMAGE_TYPES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
PDF: Final = "application/pdf"

# Characters that an id of a call must not have; other providers' ids have dots and colons.
_NOT_IN_IDS: Final = re.compile("[^a-zA-Z0-9_-]")

Message = dict[str, Any]


def check_parts(turn: Turn) -> None:
    """Raises UnsupportedPart for a media type that the API does not take."""
    for block in turn.blocks:
        if isinstance(block, ImageBlock | FileBlock):
            media_type = block.media_type
            if media_type is not None and not _is_taken(media_type, block):
                raise UnsupportedPart(media_type)


def messages(prompt: Prompt, turns: Sequence[Turn]) -> list[Message]:
    """Return the messages for `turns` of `prompt`, whose tool calls all have results.

    Of reasoning only what the model that is asked wrote is sent, with its signature. Images and
    files in answers or of types that the API does not take, and unknown blocks, are left out.
    """
    found = []
    for turn in turns:
        if turn.role == Role.ASSISTANT:
            content = _answer(turn, prompt.model)
        else:
            content = list(_question(turn, prompt))
            if not content:  # a blank question is sent as it is, and refused by the API
                blank = turn.text if turn is turns[-1] else NOTHING_SENT
                content.append({"type": "text", "text": blank})
        if content:
            found.append({"role": turn.role.value, "content": content})
    return found


def tool_names(turns: Iterable[Turn]) -> list[str]:
    """Return the names of the tools that were called in `turns`, each once."""
    calls = (block for turn in turns for block in turn.blocks if isinstance(block, ToolCallBlock))
    return list(dict.fromkeys(call.name for call in calls))


def _answer(turn: Turn, model: str) -> list[Message]:
    content = list(_blocks_of_answer(turn, model))
    while content and content[-1]["type"] in THINKING:  # the answer was cut off after it
        content.pop()
    return content


def _blocks_of_answer(turn: Turn, model: str) -> Iterator[Message]:
    for block in turn.blocks:
        match block:
            case TextBlock() if block.text.strip():
                yield {"type": "text", "text": block.text}
            case ReasoningBlock():
                yield from _thinking(block.text, block.data, model)
            case ToolCallBlock():
                yield {
                    "type": "tool_use",
                    "id": _call_id(block.id),
                    "name": block.name,
                    "input": msgspec.Raw(argument_text(block).encode()),  # as the model spelled it
                }
                yield from _thinking("", block.data, model)  # hidden, and after the call
            case _:
                pass


def _question(turn: Turn, prompt: Prompt) -> Iterator[Message]:
    yield from (_result(block) for block in turn.blocks if isinstance(block, ToolResultBlock))
    for block in turn.blocks:
        match block:
            case TextBlock() if block.text.strip():
                yield {"type": "text", "text": block.text}
            case ImageBlock() | FileBlock():
                if (part := _part(block, prompt)) is not None:
                    yield part
            case _:
                pass


def _thinking(text: str, data: ProviderData | None, model: str) -> Iterator[Message]:
    """Yield the block that `data` belongs to, unless another dialect or model made it."""
    if data is None or data.dialect != DIALECT or data.model != model:
        return
    value = data.value
    if value["type"] == "thinking":
        yield {"type": "thinking", "thinking": text, "signature": value["signature"]}
    else:
        yield {"type": "redacted_thinking", "data": value["data"]}


def _result(block: ToolResultBlock) -> Message:
    result: Message = {"type": "tool_result", "tool_use_id": _call_id(block.id)}
    if block.text.strip():
        result["content"] = block.text
    if block.is_error:
        result["is_error"] = True
    return result


def _call_id(call_id: str) -> str:
    """Return an id that the API accepts: the same for the call and its result."""
    plain = _NOT_IN_IDS.sub("_", call_id)
    if plain == call_id and call_id:
        return call_id
    return f"{plain or 'call'}_{zlib.crc32(call_id.encode()):08x}"  # two ids stay two


# Images and files


def _part(block: ImageBlock | FileBlock, prompt: Prompt) -> Message | None:
    """Return the block for an image or a file; None if the API does not take its type."""
    content = content_of(block, prompt)
    name = block.name if isinstance(block, FileBlock) else None
    if content is None:
        source: Message = {"type": "url", "url": block.url}
        is_image = _is_image(block, block.media_type or "")
        return {"type": "image", "source": source} if is_image else _document(source, name)
    media_type, data, name = content.media_type, content.base64, name or content.name
    if not _is_taken(media_type, block):
        return None
    source = {"type": "base64", "media_type": media_type, "data": data}
    if _is_image(block, media_type):
        return {"type": "image", "source": source}
    if media_type != PDF:
        text = base64.b64decode(data).decode("utf-8", "replace")
        source = {"type": "text", "media_type": "text/plain", "data": text}
    return _document(source, name)


def _document(source: Message, name: str | None) -> Message:
    document: Message = {"type": "document", "source": source}
    if name:
        document["title"] = name
    return document


def _is_image(block: ImageBlock | FileBlock, media_type: str) -> bool:
    return isinstance(block, ImageBlock) or media_type.startswith("image/")


def _is_taken(media_type: str, block: ImageBlock | FileBlock) -> bool:
    """Whether the API takes an image or a file of this type."""
    if media_type in IMAGE_TYPES:
        return True
    is_document = media_type == PDF or media_type.startswith("text/")
    return is_document and isinstance(block, FileBlock)
