"""How Gemini frames an answer: each event is a whole response object with only the new parts.

Written after the recorded samples; the official SDK reads it (`providers/test_gemini_sdk.py`). A
signature proves which model made which part: `gemini_api.py` takes no other one back.
"""

import base64
import hashlib
import json
from typing import Any

Json = dict[str, Any]

_FINISH_REASONS = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
}


def event(body: Json) -> bytes:
    """One event; its lines end with CR LF."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\r\n\r\n"


def parts(*each: Json, reason: str | None = None, **counts: int) -> bytes:
    """An event with these parts, and a finish reason if there is one."""
    candidate: Json = {"index": 0}
    if each:
        candidate = {"content": {"parts": list(each), "role": "model"}, **candidate}
    if reason is not None:
        candidate["finishReason"] = _FINISH_REASONS.get(reason, reason)
    body: Json = {"candidates": [candidate]}
    if counts:
        body["usageMetadata"] = counts
    return event({**body, "modelVersion": "scripted", "responseId": "scripted-0000"})


def usage(prompt: int, candidates: int) -> dict[str, int]:
    """The counts of an answer without thoughts."""
    counts = {"promptTokenCount": prompt, "candidatesTokenCount": candidates}
    return {**counts, "totalTokenCount": prompt + candidates}


def text(words: str, *, model: str = "") -> Json:
    """A part of text, signed by `model` if one is named."""
    return _signed({"text": words}, model)


def thought(words: str, *, model: str = "") -> Json:
    """A summary of a thought."""
    return _signed({"text": words, "thought": True}, model)


def call(name: str, arguments: Json | None = None, *, model: str = "", **more: str) -> Json:
    """A call, whole; `more` may have an id."""
    function: Json = {"name": name, **more}
    if arguments is not None:
        function["args"] = arguments
    return _signed({"functionCall": function}, model)


def _signed(part: Json, model: str) -> Json:
    return {**part, "thoughtSignature": signature_of(model, part)} if model else part


def signature_of(model: str, part: Json) -> str:
    """The signature of a part by `model`."""
    function = part.get("functionCall", {})
    signed = [model, part.get("text"), function.get("name"), function.get("args") or {}]
    digest = hashlib.sha256(json.dumps(signed, sort_keys=True).encode()).digest()
    return base64.b64encode(digest).decode()
