"""The turns of a prompt as messages of DashScope's native API, which has two paths for them.

Text generation has strings as contents. Models that see or hear have another path, where contents
are lists of parts without a type: `{"text": …}`, `{"image": …}`. Each model is served on one of the
two only; the other one answers `InvalidParameter` with "url error".
"""

import re
from typing import Any, Final

from model.blocks import Block, ImageBlock, TextBlock, ToolCallBlock, ToolResultBlock
from model.messages import Role
from model.prompt import Prompt, Turn
from providers.attachments import address_of
from providers.tool_history import argument_text, paired, result_text, texts_of

TEXT_PATH: Final = "/services/aigc/text-generation/generation"
MULTIMODAL_PATH: Final = "/services/aigc/multimodal-generation/generation"

# Models that are served on the multimodal path also if they are sent nothing but text: those whose
# names say so, and the generations from Qwen 3.5 on, which all see.
_SEEING: Final = re.compile(r"(^|[-.])(vl|qvq|omni|ocr|audio)([-.]|$)|^qwen(3\.[5-9]|[4-9])")


def is_multimodal(prompt: Prompt) -> bool:
    """Whether a prompt goes to the multimodal path, because of its model or of images in it."""
    if _SEEING.search(prompt.model.lower()) is not None:
        return True
    return any(type(block) is ImageBlock for turn in prompt.turns for block in turn.blocks)


def messages_of(prompt: Prompt, *, multimodal: bool) -> list[dict[str, Any]]:
    """The system prompt and the turns. Tool results are messages of their own, and text.

    Reasoning, and images in answers, are left out.
    """
    messages: list[dict[str, Any]] = []
    if prompt.system:
        messages.append(
            {
                "role": "system",
                "content": [{"text": prompt.system}] if multimodal else prompt.system,
            }
        )
    if not multimodal and (texts := texts_of(prompt.turns)) is not None:
        for turn, text in zip(prompt.turns, texts, strict=True):
            messages.append({"role": turn.role.value, "content": text})
        return messages
    for turn in paired(prompt.turns):
        messages += _messages(turn, prompt, multimodal)
    return messages


def _messages(turn: Turn, prompt: Prompt, multimodal: bool) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": block.id, "content": result_text(block)}
        for block in turn.blocks
        if isinstance(block, ToolResultBlock)
    ]
    is_answer = turn.role == Role.ASSISTANT
    parts = [part for block in turn.blocks if (part := _part(block, prompt, is_answer)) is not None]
    calls = [_call(block) for block in turn.blocks if isinstance(block, ToolCallBlock)]
    if parts or calls:
        # Beside calls an empty text rather than no content, as the API itself sends it.
        content = (parts or [{"text": ""}]) if multimodal else turn.text
        message = {"role": turn.role.value, "content": content}
        messages.append({**message, "tool_calls": calls} if calls else message)
    return messages


def _part(block: Block, prompt: Prompt, is_answer: bool) -> dict[str, str] | None:
    match block:
        case TextBlock():
            return {"text": block.text}
        case ImageBlock() if not is_answer:
            return {"image": address_of(block, prompt)}
    return None


def _call(call: ToolCallBlock) -> dict[str, Any]:
    function = {"name": call.name, "arguments": argument_text(call)}
    return {"id": call.id, "type": "function", "function": function}
