"""Stored messages as the requests of chat completions have them."""

from collections.abc import Iterator
from typing import Any

from handlers.openai.completion import image_url
from model.blocks import FileBlock, ImageBlock, TextBlock, ToolCallBlock, ToolResultBlock
from model.messages import Message, Role


def stored_messages(message: Message) -> Iterator[dict[str, Any]]:
    """The messages that a stored one is: each result of a tool call is a message of its own."""
    if message.role == Role.ASSISTANT:
        yield _answer(message)
        return
    results = [block for block in message.blocks if isinstance(block, ToolResultBlock)]
    for number, result in enumerate(results):
        yield {
            "id": f"{message.id}-{number}",
            "role": "tool",
            "tool_call_id": result.id,
            "content": result.text,
        }
    parts = [
        {"type": "text", "text": block.text}
        if isinstance(block, TextBlock)
        else image_url(block)
        if isinstance(block, ImageBlock)
        else _file(block)
        for block in message.blocks
        if isinstance(block, TextBlock | ImageBlock | FileBlock)
    ]
    if not parts:
        return
    is_text = all(part["type"] == "text" for part in parts)
    yield {
        "id": message.id,
        "role": "user",
        "content": message.text if is_text else None,
        "content_parts": None if is_text else parts,
    }


def _answer(message: Message) -> dict[str, Any]:
    calls = [
        {
            "id": block.id,
            "type": "function",
            "function": {"name": block.name, "arguments": block.arguments},
        }
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]
    said = {"id": message.id, "role": "assistant", "content": message.text or None}
    return said | ({"tool_calls": calls} if calls else {})


def _file(block: FileBlock) -> dict[str, Any]:
    url = block.url or f"/api/v1/files/{block.file_id}"
    return {"type": "file", "file": {"file_data": url, "filename": block.name}}
