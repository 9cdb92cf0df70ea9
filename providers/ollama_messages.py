"""The turns of a prompt as messages of Ollama's own API.

A message has one text, however many parts its turn has. Images are base64 in a list beside it; the
API has no form for an address. Each result of a tool call is a message, which names the tool.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from model.blocks import (
    ImageBlock,
    ReasoningBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.messages import Role
from model.prompt import Prompt, Turn
from providers.attachments import content_of
from providers.tool_history import argument_text, paired, result_text, texts_of

Message = dict[str, Any]


def messages_of(prompt: Prompt) -> list[Message]:
    """Return the messages for all turns of a prompt, the system prompt first."""
    messages: list[Message] = []
    if prompt.system:
        messages.append({"role": "system", "content": prompt.system})
    if (texts := texts_of(prompt.turns)) is not None:
        for turn, text in zip(prompt.turns, texts, strict=True):
            messages.append({"role": turn.role.value, "content": text})
        return messages
    names: dict[str, str] = {}  # of tools, by the ids of their calls in the turn before
    for turn in paired(prompt.turns):
        calls = [block for block in turn.blocks if isinstance(block, ToolCallBlock)]
        if turn.role == Role.ASSISTANT:
            messages.append(_answer(turn, calls))
        else:
            messages += _question(turn, prompt, names)
        names = {call.id: call.name for call in calls}
    return messages


def _answer(turn: Turn, calls: list[ToolCallBlock]) -> Message:
    message: Message = {"role": "assistant"}
    text = turn.text
    if text or not calls:
        message["content"] = text
    if calls:
        # The templates of models that reason before a call want this reasoning back until the
        # question is answered, and leave out older reasoning themselves. Data belongs to reasoning
        # of another provider, whose dialect alone may send it.
        thoughts = [
            block.text
            for block in turn.blocks
            if isinstance(block, ReasoningBlock) and block.data is None
        ]
        if thinking := "".join(thoughts):
            message["thinking"] = thinking
        message["tool_calls"] = [_call(call) for call in calls]
    return message


def _call(call: ToolCallBlock) -> Message:
    arguments = msgspec.Raw(argument_text(call).encode())  # an object, as the model spelled it
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}


def _question(turn: Turn, prompt: Prompt, names: dict[str, str]) -> Iterator[Message]:
    for block in turn.blocks:
        if isinstance(block, ToolResultBlock):
            yield {
                "role": "tool",
                "content": result_text(block),
                "tool_name": names[block.id],
                "tool_call_id": block.id,
            }
    message: Message = {"role": turn.role.value, "content": turn.text}
    if images := list(_images(turn, prompt)):
        message["images"] = images
    if turn.text or images:
        yield message


def _images(turn: Turn, prompt: Prompt) -> Iterator[str]:
    for block in turn.blocks:
        if isinstance(block, ImageBlock):
            content = content_of(block, prompt)
            if content is not None:
                yield content.base64
