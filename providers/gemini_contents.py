"""The turns of a prompt as Gemini's contents, whose roles are `user` and `model`.

Results of calls are parts of a user's content of their own, in the order of the calls, because most
calls have no id by which they could be told apart. A signature is sent on the part that it came on,
and never to another model. Newer models refuse the calls of the current turn without one; where
there cannot be one, since another model made the call, Google's documented value says so.
"""

import re
from collections.abc import Iterable
from mimetypes import guess_type
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    data_for,
)
from model.embedded_json import embedded_json
from model.messages import Role
from model.prompt import NOTHING_SENT, Prompt, Turn, begun_by_user
from providers.attachments import content_of
from providers.errors import UnsupportedPart
from providers.gemini_interpreter import DIALECT, MADE_ID_PREFIX, PartSignature
from providers.tool_history import argument_text, paired

# Models that check no signatures: all before Gemini 3.
_OLDER_MODELS: Final = re.compile(r"(^|/)gemini-[12]\b")

# In place of a signature, for calls that no model of Gemini's made.
_NO_SIGNATURE: Final = "skip_thought_signature_validator"

_IMAGE_TYPES: Final = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")

Json = dict[str, Any]


def is_older(model: str) -> bool:
    """Whether a model is older than Gemini 3, which changed what requests must contain."""
    return _OLDER_MODELS.search(model) is not None


def contents_of(prompt: Prompt) -> list[Json]:
    """Return the contents of all turns that have any parts."""
    contents: list[Json] = []
    calls: list[ToolCallBlock] = []  # of the last answer
    for turn in begun_by_user(paired(prompt.turns)):
        if turn.role == Role.ASSISTANT:
            calls = [block for block in turn.blocks if isinstance(block, ToolCallBlock)]
            parts = _model_parts(turn, prompt)
            _add(contents, "model", parts)
        else:
            _add(contents, "user", _results(turn, calls))
            _add(contents, "user", _user_parts(turn, prompt))
    if not is_older(prompt.model):
        _mark_unsigned(contents)
    return contents


def check_parts(question: Turn) -> None:
    """Raises UnsupportedPart for an image whose media type the API does not take.

    What else it takes as a file grows with each model, so that it decides itself. Such images in
    the turns before are not sent.
    """
    for block in question.blocks:
        if isinstance(block, ImageBlock | FileBlock) and not _is_taken(block):
            raise UnsupportedPart(block.media_type or "")


def _is_taken(part: ImageBlock | FileBlock) -> bool:
    media_type = part.media_type or ""
    return media_type in _IMAGE_TYPES or not media_type.startswith("image/")


def _add(contents: list[Json], role: str, parts: list[Json]) -> None:
    if parts:
        contents.append({"role": role, "parts": parts})


def _user_parts(turn: Turn, prompt: Prompt) -> list[Json]:
    parts: list[Json] = []
    for block in turn.blocks:
        _write_plain(parts, block, prompt)
    if not parts and any(isinstance(block, ImageBlock | FileBlock) for block in turn.blocks):
        parts.append({"text": NOTHING_SENT})
    return parts


def _model_parts(turn: Turn, prompt: Prompt) -> list[Json]:
    parts: list[Json] = []
    for block in turn.blocks:
        signed = _signature_of(block, prompt.model)
        if isinstance(block, ToolCallBlock):
            parts.append({"functionCall": _call(block)})
        else:
            _write_plain(parts, block, prompt)
        if signed is not None:
            _sign(parts, block, signed)
    return parts


def _write_plain(parts: list[Json], block: Block, prompt: Prompt) -> None:
    """Add what needs no signature; reasoning does, and is not sent without one."""
    if isinstance(block, TextBlock):
        if block.text:
            parts.append({"text": block.text})
    elif isinstance(block, ImageBlock | FileBlock) and _is_taken(block):
        parts.append(_attachment(block, prompt))


def _signature_of(block: Block, model: str) -> PartSignature | None:
    value = data_for(block, DIALECT, model)
    try:
        return None if value is None else msgspec.convert(value, PartSignature)
    except msgspec.ValidationError:
        return None


def _sign(parts: list[Json], block: Block, signed: PartSignature) -> None:
    """Put a signature on the part that it came on: the last call, a thought, or a text."""
    signature = {"thoughtSignature": signed.signature}
    last = parts[-1] if parts else {}
    match signed.on:
        case "call" if isinstance(block, ToolCallBlock):
            last |= signature
        case "thought":
            text = block.text if isinstance(block, ReasoningBlock) else ""
            parts.append({"text": text, "thought": True, **signature})
        case "text":
            text = last.get("text", "") if signed.chars and "thoughtSignature" not in last else ""
            begin = max(0, len(text) - signed.chars)
            if begin < len(text):
                parts.pop()
            if text[:begin] and begin < len(text):
                parts.append({"text": text[:begin]})
            parts.append({"text": text[begin:], **signature})


def _call(call: ToolCallBlock) -> Json:
    arguments = msgspec.Raw(argument_text(call).encode())  # an object, as the model spelled it
    return {**_id(call.id), "name": _name(call), "args": arguments}


def _name(call: ToolCallBlock) -> str:
    """The name of a call; other APIs let names begin with what is no letter."""
    return call.name if call.name[:1].isalpha() or call.name[:1] == "_" else f"_{call.name}"


def _results(turn: Turn, calls: list[ToolCallBlock]) -> list[Json]:
    results = {block.id: block for block in turn.blocks if isinstance(block, ToolResultBlock)}
    return [
        {
            "functionResponse": {
                **_id(call.id),
                "name": _name(call),
                "response": _response(results[call.id]),
            }
        }
        for call in calls
        if call.id in results
    ]


def _id(call_id: str) -> Json:
    """The id of a call, unless it was made here."""
    return {} if not call_id or call_id.startswith(MADE_ID_PREFIX) else {"id": call_id}


def _response(result: ToolResultBlock) -> Json | msgspec.Raw:
    """A result as the object that the API requires: `error` and `output` are its own names."""
    if result.is_error:
        return {"error": result.text}
    try:
        value = embedded_json(result.text)
    except ValueError:
        value = None
    is_object = isinstance(value, dict)
    return msgspec.Raw(result.text.encode()) if is_object else {"output": result.text}


def _attachment(part: ImageBlock | FileBlock, prompt: Prompt) -> Json:
    content = content_of(part, prompt)
    if content is not None:
        return {"inlineData": {"mimeType": content.media_type, "data": content.base64}}
    url = part.url or ""
    media_type = part.media_type or guess_type(urlsplit(url).path)[0]
    data = {"mimeType": media_type, "fileUri": url} if media_type else {"fileUri": url}
    return {"fileData": data}


def _mark_unsigned(contents: Iterable[Json]) -> None:
    """Mark the first call of each step of the current turn, unless it is signed.

    Of parallel calls only the first has a signature. The current turn begins with the last content
    of the user that is no result.
    """
    for content in reversed(list(contents)):
        parts = content["parts"]
        if content["role"] == "user":
            if "functionResponse" not in parts[0]:
                return
            continue
        first = next((part for part in parts if "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", _NO_SIGNATURE)
