"""How Anthropic's Messages API frames an answer, block by block.

Written after the recorded samples; the official SDK reads it (`providers/test_anthropic_sdk.py`).
A signature proves which model wrote which thinking: `anthropic_api.py` takes no other one back.
"""

import base64
import hashlib
import json
from typing import Any

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def event(kind: str, **fields: Any) -> bytes:
    """One event; its name is also in its data."""
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def start(input_tokens: int = 7, model: str = "scripted", **usage: int) -> bytes:
    """The beginning of an answer; `usage` has further figures."""
    message = {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": 1, **usage},
    }
    return event("message_start", message=message)


def block(index: int, opening: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    """A whole block: as it starts, what comes after that, and its end."""
    events = [event("content_block_start", index=index, content_block=opening)]
    events += [event("content_block_delta", index=index, delta=delta) for delta in deltas]
    return b"".join((*events, event("content_block_stop", index=index)))


def text(index: int, *pieces: str) -> bytes:
    """A block of text."""
    deltas = ({"type": "text_delta", "text": piece} for piece in pieces)
    return block(index, {"type": "text", "text": ""}, *deltas)


def thinking(index: int, *pieces: str, model: str = "") -> bytes:
    """A block of thinking, signed by `model` if one is named."""
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": each} for each in pieces]
    if model:
        signature = signature_of(model, "".join(pieces))
        deltas.append({"type": "signature_delta", "signature": signature})
    return block(index, {"type": "thinking", "thinking": "", "signature": ""}, *deltas)


def hidden_thinking(index: int, model: str) -> bytes:
    """A block of thinking that `model` does not show."""
    data = base64.b64encode(f"{model} thought of {index}".encode()).decode()
    return block(index, {"type": "redacted_thinking", "data": data})


def tool_use(index: int, call_id: str, name: str, *pieces: str) -> bytes:
    """A call, its arguments in pieces."""
    opening = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(index, opening, *deltas)


def end(reason: str = "stop", output_tokens: int = 11, **usage: int) -> bytes:
    """What ends an answer; `reason` is the API's word, or OpenAI's for it."""
    delta = {"stop_reason": _STOP_REASONS.get(reason, reason), "stop_sequence": None}
    figures = {"output_tokens": output_tokens, **usage}
    return event("message_delta", delta=delta, usage=figures) + event("message_stop")


def signature_of(model: str, thought: str) -> str:
    """The signature of `thought` by `model`."""
    return base64.b64encode(hashlib.sha256(f"{model}\n{thought}".encode()).digest()).decode()


def hidden_by(data: str) -> str:
    """The model that wrote hidden thinking."""
    return base64.b64decode(data).decode().partition(" ")[0]
