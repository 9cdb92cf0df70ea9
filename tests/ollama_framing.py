"""How Ollama's own API frames an answer: lines of JSON.

Written after the recorded samples; the official SDK reads it (`providers/test_ollama_sdk.py`).
"""

import json
from typing import Any

CREATED_AT = "2026-11-22T10:00:00.123456789Z"


def line(**fields: Any) -> bytes:
    """One line."""
    body = {"model": "scripted", "created_at": CREATED_AT, **fields}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def piece(text: str = "", **fields: Any) -> bytes:
    """A line in mid-stream; `fields` are further ones of the message, such as `thinking`."""
    return line(message={"role": "assistant", "content": text, **fields}, done=False)


def call(name: str, arguments: object, call_id: str | None = None) -> dict[str, Any]:
    """A tool call in a message; older servers give it no id."""
    function = {"index": 0, "name": name, "arguments": arguments}
    return {"function": function} if call_id is None else {"id": call_id, "function": function}


def end(reason: str | None = "stop", usage: tuple[int, int] | None = (7, 11)) -> bytes:
    """The last line. Tool calls end with "stop", too; very old servers give no reason."""
    fields: dict[str, Any] = {} if reason is None else {"done_reason": reason}
    if reason == "tool_calls":
        fields["done_reason"] = "stop"
    if usage is not None:
        fields |= {
            "prompt_eval_count": usage[0],
            "eval_count": usage[1],
            "total_duration": 4_883_583,
        }
    return line(message={"role": "assistant", "content": ""}, done=True, **fields)


def error(message: str) -> bytes:
    """An error in mid-stream."""
    return json.dumps({"error": message}).encode() + b"\n"
