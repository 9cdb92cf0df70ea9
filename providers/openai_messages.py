"""The turns of a prompt as messages of a chat completion."""

from typing import Any, Final

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
from model.prompt import Prompt, Turn, system_before
from providers.attachments import address_of
from providers.openai_servers import ChatServer
from providers.tool_history import argument_text, paired, result_text, texts_of

# An answer for servers that require one between results and what the user says; an empty one is
# refused.
_BETWEEN: Final = "OK."


def messages_of(prompt: Prompt, server: ChatServer) -> list[dict[str, Any]]:
    """The system prompt and the turns; what a system said between them, where the server takes it.

    Tool results are messages of their own, before what else the user says. Of answers the text and
    the tool calls are sent, and from the first call on the reasoning, if the server requires it.
    """
    messages: list[dict[str, Any]] = []
    if prompt.system:
        messages.append({"role": "system", "content": prompt.system})
    is_between = server.system_anywhere and any(turn.system_after for turn in prompt.turns)
    if not is_between and (texts := texts_of(prompt.turns)) is not None:
        for turn, text in zip(prompt.turns, texts, strict=True):
            messages.append({"role": turn.role, "content": text})
        return messages
    turns = paired(prompt.turns)
    before = system_before(prompt.system or "", turns) if is_between else None
    if before is not None:
        messages = _system(before)
    has_called = False
    waiting: tuple[str, ...] = ()  # behind calls, until their results are there
    for turn in turns:
        calls = any(isinstance(block, ToolCallBlock) for block in turn.blocks)
        if turn.role == Role.ASSISTANT:
            has_called = has_called or calls
            with_reasoning = has_called and server.takes_reasoning
            messages.append(_answer(turn, server, with_reasoning=with_reasoning))
        else:
            messages += _question(turn, prompt, server)
        if before is not None:
            waiting += turn.system_after
            if not calls:
                messages += _system(*waiting)
                waiting = ()
    return messages


def _system(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": text} for text in texts if text]


def _answer(turn: Turn, server: ChatServer, *, with_reasoning: bool) -> dict[str, Any]:
    calls = [_call(block, server) for block in turn.blocks if isinstance(block, ToolCallBlock)]
    # Null rather than empty where there are only calls, as the API itself sends it.
    message: dict[str, Any] = {"role": "assistant", "content": turn.text or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
    if with_reasoning:
        # Also if it is empty: the answer may be another model's, and the field is required. Data
        # belongs to reasoning of another provider, whose dialect alone may send it.
        message["reasoning_content"] = "".join(
            block.text
            for block in turn.blocks
            if isinstance(block, ReasoningBlock) and block.data is None
        )
    return message


def _call(call: ToolCallBlock, server: ChatServer) -> dict[str, Any]:
    function = {"name": call.name, "arguments": argument_text(call)}
    return {"id": _id(call.id, server), "type": "function", "function": function}


def _question(turn: Turn, prompt: Prompt, server: ChatServer) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": _id(block.id, server), "content": result_text(block)}
        for block in turn.blocks
        if isinstance(block, ToolResultBlock)
    ]
    parts = [part for block in turn.blocks if (part := _part(block, prompt)) is not None]
    has_parts = any(isinstance(block, ImageBlock | FileBlock) for block in turn.blocks)
    if content := parts if has_parts else turn.text:
        if messages and server.answers_results:
            messages.append({"role": "assistant", "content": _BETWEEN})
        messages.append({"role": turn.role.value, "content": content})
    return messages


def _part(block: Block, prompt: Prompt) -> dict[str, Any] | None:
    match block:
        case TextBlock():
            return {"type": "text", "text": block.text}
        case ImageBlock():
            image = {"url": address_of(block, prompt)}
            if block.detail is not None:
                image["detail"] = block.detail
            return {"type": "image_url", "image_url": image}
        case FileBlock():
            return {"type": "file", "file": _file(block, prompt)}
        case _:
            return None


def _file(block: FileBlock, prompt: Prompt) -> dict[str, str]:
    content = prompt.files.get(block.file_id or "")
    name = block.name or (content.name if content is not None else None)
    # The API requires a name, and takes the type of the file from it.
    return {"filename": name or "file.pdf", "file_data": address_of(block, prompt)}


def _id(call_id: str, server: ChatServer) -> str:
    return call_id if server.call_id is None else server.call_id(call_id)
