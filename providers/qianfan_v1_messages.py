"""The turns of a prompt as messages of Baidu's classic ERNIE endpoints.

Messages alternate between the user, or a function, and the assistant, and the first is the user's.
An assistant's message has one call of a function at most, and calls have no ids. So several calls
that an answer made at once are sent one after the other, each with its result.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from model.blocks import ToolCallBlock, ToolResultBlock
from model.embedded_json import embedded_json
from model.messages import Role
from model.prompt import Turn
from providers.tool_history import argument_text, paired, result_text, texts_of


def messages_of(turns: tuple[Turn, ...]) -> list[dict[str, Any]]:
    """The messages of `turns`, from the first question on. Reasoning is left out."""
    turns = paired(turns)
    first = next((place for place, turn in enumerate(turns) if turn.role == Role.USER), len(turns))
    turns = turns[first:]
    if (texts := texts_of(turns)) is not None:
        return [
            {"role": turn.role.value, "content": text}
            for turn, text in zip(turns, texts, strict=True)
        ]
    messages: list[dict[str, Any]] = []
    for turn, following in zip(turns, (*turns[1:], None), strict=True):
        calls = [block for block in turn.blocks if isinstance(block, ToolCallBlock)]
        if calls and following is not None:
            messages += _loop(turn, calls, following)
        elif not any(isinstance(block, ToolResultBlock) for block in turn.blocks):
            messages.append({"role": turn.role.value, "content": turn.text})
    return messages


def _loop(turn: Turn, calls: list[ToolCallBlock], following: Turn) -> Iterator[dict[str, Any]]:
    results = {block.id: block for block in following.blocks if isinstance(block, ToolResultBlock)}
    for call in calls:
        called = {"name": call.name, "arguments": argument_text(call)}
        said = turn.text if call is calls[0] else ""
        yield {"role": "assistant", "content": said, "function_call": called}
        question = following.text if call is calls[-1] else ""
        content = _json(result_text(results[call.id]), question)
        yield {"role": "function", "name": call.name, "content": content}


def _json(result: str, question: str) -> str:
    """A result as the JSON that the API requires.

    What the user says besides cannot be a message, since two that follow each other are refused.
    """
    if question:
        return msgspec.json.encode({"result": result, "user": question}).decode()
    try:
        embedded_json(result)
    except ValueError:
        return msgspec.json.encode({"result": result}).decode()
    return result
