"""What providers and gateways were reported to send, in our own words, and what is right for each.

A case is a response, and what its reader must see: every text once, and an ending that is true.
They are sorted by what goes wrong with whoever reads carelessly (`cases.py`). Here is what a case
is, and what makes the events of one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STOPPED = "complete"


@dataclass(frozen=True)
class Case:
    """One response, and what comes of it. `ending` is STOPPED, or the code that it fails with."""

    name: str
    body: bytes
    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()  # id, name, arguments
    ending: str = STOPPED
    finish: str = "stop"
    dialect: str = "openai"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None

    def __str__(self) -> str:
        return self.name


def sse(*events: Any, end: bytes = b"data: [DONE]\n\n") -> bytes:
    """Events: dicts as JSON, bytes as they are, framed or not."""
    framed = []
    for event in events:
        data = event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
        framed.append(data if data.endswith(b"\n") else b"data: " + data + b"\n\n")
    return b"".join(framed) + end


def d(*, index: Any = 0, fin: Any = None, **delta: Any) -> dict[str, Any]:
    """A chunk with a delta."""
    return {"choices": [{"index": index, "delta": delta, "finish_reason": fin}]}


def fin(word: Any, index: Any = 0) -> dict[str, Any]:
    """A chunk with an empty delta and a finish reason."""
    return d(index=index, fin=word)


def call(**piece: Any) -> dict[str, Any]:
    """A chunk with a piece of a tool call."""
    return d(tool_calls=[piece])


def native(content: Any, word: Any = "null", **output: Any) -> dict[str, Any]:
    """An event of DashScope's own."""
    return {"output": {"choices": [{"message": {"content": content}, "finish_reason": word}]}}


def clause(result: Any, *, end: Any = False, **more: Any) -> dict[str, Any]:
    """An event of Qianfan v1."""
    return {"result": result, "is_end": end, "finish_reason": "normal", **more}


HELLO = (d(content="Hel"), d(content="lo"))
USAGE = {"prompt_tokens": 3, "completion_tokens": 2}
THROTTLED = (
    "id:1\nevent:error\n:HTTP_STATUS/429\n"
    'data:{"code":"Throttling.AllocationQuota","message":"Allocated quota exceeded."}'
)
THROTTLING = {"error": {"code": "rate_limit_exceeded", "message": "slow down"}}
F = {"name": "weather", "arguments": ""}
