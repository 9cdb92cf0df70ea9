"""The messages of a thread as TanStack AI's client shows them, of what is stored.

It keeps messages of parts, in which a tool's result is a part of the message that called the tool.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from handlers.ag_ui.snapshot_messages import ids_of_question, part_of
from model.blocks import (
    Block,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    kind_of,
)
from model.embedded_json import embedded_json
from model.messages import Message, Role, Status

Shown = dict[str, Any]

# The kinds of blocks that a part of a person's message is made of.
_ASKED: Final = frozenset({"text", "image", "file"})


def ui_messages(messages: Sequence[Message], file_path: str) -> list[Shown]:
    """The messages of a branch, oldest first. A file's address is `file_path` and its id.

    Questions have the ids that their client gave them, which are stored with the answers. A live
    answer is there even if it has nothing yet: a client that joins its run replaces it.
    """
    found: list[Shown] = []
    for place, message in enumerate(messages):
        if message.role == Role.ASSISTANT:
            found.append(_message(message.id, message, _answer_parts(message)))
            continue
        results = {
            block.id: block for block in message.blocks if isinstance(block, ToolResultBlock)
        }
        if results and found:
            _add_results(found[-1], results)
        asked = [block for block in message.blocks if kind_of(block) in _ASKED]
        if asked:
            answer = messages[place + 1] if place + 1 < len(messages) else None
            ids = [] if answer is None else ids_of_question(answer)
            named = ids[-1] if len(ids) > len(results) else ""
            parts = [_asked_part(block, file_path) for block in asked]
            found.append(_message(named or message.id, message, parts))
    return found


def _message(message_id: str, message: Message, parts: list[Shown]) -> Shown:
    return {
        "id": message_id,
        "role": str(message.role),
        "parts": parts,
        "createdAt": message.created_at,
    }


def _asked_part(block: Block, file_path: str) -> Shown:
    if isinstance(block, TextBlock):
        return {"type": "text", "content": block.text}
    return part_of(block, file_path)


def _answer_parts(answer: Message) -> list[Shown]:
    return list(_parts(answer.blocks, is_live=answer.status is Status.LIVE))


def _parts(blocks: Iterable[Block], *, is_live: bool) -> Iterator[Shown]:
    for block in blocks:
        match block:
            case TextBlock():
                yield {"type": "text", "content": block.text}
            case ReasoningBlock() if block.text:
                yield {"type": "thinking", "content": block.text}
            case ToolCallBlock():
                yield {
                    "type": "tool-call",
                    "id": block.id,
                    "name": block.name,
                    "arguments": block.arguments,
                    "state": "input-streaming" if is_live else "input-complete",
                }


def _add_results(answer: Shown, results: dict[str, ToolResultBlock]) -> None:
    """Add the results of tools to the message of the answer that called them."""
    parts: list[Shown] = answer["parts"]
    for part in parts:
        if part["type"] == "tool-call" and part["id"] in results:
            result = results[part["id"]]
            part["state"] = "error" if result.is_error else "complete"
            part["output"] = _output(result)
    for result in results.values():
        added: Shown = {
            "type": "tool-result",
            "toolCallId": result.id,
            "content": result.text,
            "state": "error" if result.is_error else "complete",
        }
        if result.is_error:
            added["error"] = result.text
        parts.append(added)


def _output(result: ToolResultBlock) -> Any:
    """What the tool returned: JSON, if it is that."""
    if result.is_error:
        return {"error": result.text}
    try:
        return embedded_json(result.text)
    except ValueError:
        return result.text
