"""The messages of a thread as AG-UI's `MESSAGES_SNAPSHOT` has them, of what is stored."""

from collections.abc import Iterable, Iterator
from typing import Any

from handlers.wires.ag_ui import PROTOCOL, reasoning_id
from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    text_in,
)
from model.messages import Message, Role

Shown = dict[str, Any]


def snapshot_messages(messages: Iterable[Message], file_path: str) -> list[Shown]:
    """The messages of a branch, oldest first. A file's address is `file_path` and its id.

    Questions have the ids that their client gave them, which are stored with the answers.
    """
    found: list[Shown] = []
    question: Message | None = None
    for message in messages:
        if message.role == Role.USER:
            if question is not None:
                found += _question(question, [], file_path)
            question = message
        else:
            if question is not None:
                found += _question(question, ids_of_question(message), file_path)
                question = None
            found += _answer(message)
    if question is not None:
        found += _question(question, [], file_path)
    return found


def ids_of_question(answer: Message) -> list[str]:
    """The ids that the client gave the messages which the answer's question is made of."""
    kept = answer.client
    if kept is None or kept.protocol != PROTOCOL:
        return []
    ids = kept.request.get("messageIds")
    return [str(each) for each in ids] if isinstance(ids, list) else []


def _question(question: Message, ids: list[str], file_path: str) -> Iterator[Shown]:
    results = [block for block in question.blocks if isinstance(block, ToolResultBlock)]
    # A client may have sent other messages with the results; as many as there are have its ids.
    given = iter(ids[: len(results)] if len(ids) >= len(results) else [])
    for number, block in enumerate(results):
        result: Shown = {
            "id": next(given, "") or f"{question.id}-{number}",
            "role": "tool",
            "toolCallId": block.id,
            "content": block.text,
        }
        if block.is_error:
            result["error"] = block.text
        yield result
    asked = [block for block in question.blocks if not isinstance(block, ToolResultBlock)]
    if not asked:
        return
    content: str | list[Shown]
    if len(asked) == 1 and isinstance(asked[0], TextBlock):
        content = asked[0].text
    else:
        content = [part_of(block, file_path) for block in asked]
    named = ids[-1] if len(ids) > len(results) else ""
    yield {"id": named or question.id, "role": "user", "content": content}


def part_of(block: Block, file_path: str) -> Shown:
    """A part of a person's message."""
    if not isinstance(block, ImageBlock | FileBlock):
        return {"type": "text", "text": text_in(block)}
    url = block.url if block.file_id is None else f"{file_path}{block.file_id}"
    source: Shown = {"type": "url", "value": url}
    if block.media_type is not None:
        source["mimeType"] = block.media_type
    return {"type": "image" if isinstance(block, ImageBlock) else "document", "source": source}


def _answer(answer: Message) -> Iterator[Shown]:
    texts: list[str] = []
    calls: list[Shown] = []
    for place, block in enumerate(answer.blocks):
        match block:
            case ReasoningBlock() if block.text:
                yield {
                    "id": reasoning_id(answer.id, place),
                    "role": "reasoning",
                    "content": block.text,
                }
            case TextBlock():
                texts.append(block.text)
            case ToolCallBlock():
                function = {"name": block.name, "arguments": block.arguments}
                calls.append({"id": block.id, "type": "function", "function": function})
    if texts or calls:
        message: Shown = {"id": answer.id, "role": "assistant"}
        if texts:
            message["content"] = "".join(texts)
        if calls:
            message["toolCalls"] = calls
        yield message
