"""The turns of a prompt as input items of OpenAI's Responses API.

Messages, tool calls, their results and reasoning are items of one list, in the order in which they
came. Reasoning that this model encrypted goes back whole and unchanged, other reasoning not at all.
It goes back only in front of something else of its answer: the API refuses reasoning that nothing
follows, as in an answer that was cut off.

Tool calls go without the ids of their items, which the API would take for references to stored
items where their reasoning is missing; `call_id` is what pairs them with their results.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    data_for,
)
from model.messages import Role
from model.prompt import Prompt, Turn
from providers.attachments import address_of, content_of, data_uri
from providers.openai_responses_interpreter import DIALECT
from providers.tool_history import argument_text, paired, result_text

# Characters of a call's id. Those of other providers may be longer.
_MAX_CALL_ID_CHARS: Final = 64

# A file needs a name, by whose ending its kind is known.
_FILE_NAMES: Final = {
    "application/pdf": "file.pdf",
    "text/plain": "file.txt",
    "text/markdown": "file.md",
    "text/csv": "file.csv",
    "application/json": "file.json",
}


def input_items(prompt: Prompt) -> list[dict[str, Any]]:
    """Return the items for all turns of a prompt."""
    items: list[dict[str, Any]] = []
    for turn in paired(prompt.turns):
        if turn.role == Role.ASSISTANT:
            items += _followed(_answer(turn, prompt.model))
        else:
            items += _question(turn, prompt)
    return items


def _answer(turn: Turn, model: str) -> Iterator[dict[str, Any]]:
    for block in turn.blocks:
        if isinstance(block, TextBlock) and block.text:
            yield {"role": "assistant", "content": block.text}
        elif isinstance(block, ToolCallBlock):
            yield {
                "type": "function_call",
                "call_id": _call_id(block.id),
                "name": block.name,
                "arguments": argument_text(block),
            }
        # Reasoning without a summary after a tool call is that call's data.
        if isinstance(reasoning := data_for(block, DIALECT, model), dict):
            yield reasoning


def _followed(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return `items` without the reasoning at their end."""
    kept = list(items)
    while kept and kept[-1].get("type") == "reasoning":
        kept.pop()
    return kept


def _question(turn: Turn, prompt: Prompt) -> Iterator[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for block in turn.blocks:
        if isinstance(block, ToolResultBlock):
            output = result_text(block)
            call_id = _call_id(block.id)
            yield {"type": "function_call_output", "call_id": call_id, "output": output}
        elif (part := _part(block, prompt)) is not None:
            parts.append(part)
    if len(parts) == 1 and parts[0]["type"] == "input_text":
        yield {"role": "user", "content": parts[0]["text"]}
    elif parts:
        yield {"role": "user", "content": parts}


def _call_id(call_id: str) -> str:
    """Return a call's id; one that is too long for this API is replaced, always by the same."""
    if len(call_id) <= _MAX_CALL_ID_CHARS:
        return call_id
    return "call_" + hashlib.sha256(call_id.encode()).hexdigest()[:32]


def _part(block: Block, prompt: Prompt) -> dict[str, Any] | None:
    match block:
        case TextBlock() if block.text:
            return {"type": "input_text", "text": block.text}
        case ImageBlock():
            url = address_of(block, prompt)
            return {"type": "input_image", "image_url": url, "detail": block.detail or "auto"}
        case FileBlock():
            return _file(block, prompt)
        case _:
            return None


def _file(block: FileBlock, prompt: Prompt) -> dict[str, Any]:
    content = content_of(block, prompt)
    if content is None:
        return {"type": "input_file", "file_url": block.url}
    return {
        "type": "input_file",
        "filename": block.name or content.name or _FILE_NAMES.get(content.media_type, "file"),
        "file_data": data_uri(content),
    }
