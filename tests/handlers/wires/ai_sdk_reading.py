"""What the AI SDK's `useChat` makes of its stream, delta by delta as its own reducer does."""

from collections.abc import Callable
from typing import Any

from handlers.wires.ai_sdk import AISDKWire
from handlers.wires.wire import Wire
from relay.answer import Answer
from tests.handlers.wires.sse_reading import events_in


class AISDKClient:
    """`useChat`: a resumed stream is all of the message again, which replaces what there was."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self._open: dict[str, dict[str, Any]] = {}
        self.ended: str | None = None

    def connect(self, answer: Answer, grow: Callable[[], None]) -> tuple[Wire, int]:
        self._begin()
        return AISDKWire(answer.id), 0

    def receive(self, data: bytes) -> None:
        for event in events_in(data):
            if event.data != "[DONE]":
                self._take(event.json)

    def _take(self, chunk: dict[str, Any]) -> None:
        kind = chunk["type"]
        match kind:
            case "text-start" | "reasoning-start":
                self._add(chunk["id"], {"type": kind.removesuffix("-start"), "text": ""})
            case "text-delta" | "reasoning-delta":
                self._open[chunk["id"]]["text"] += chunk["delta"]
            case "text-end" | "reasoning-end":
                del self._open[chunk["id"]]
            case "tool-input-start":
                named = {"id": chunk["toolCallId"], "name": chunk["toolName"]}
                self._add(chunk["toolCallId"], {"type": "tool_call", **named, "text": ""})
            case "tool-input-delta":
                self._open[chunk["toolCallId"]]["text"] += chunk["inputTextDelta"]
            case "file":
                self.parts.append({"type": "image", "url": chunk["url"]})
            case "finish" | "error":
                self.ended = kind

    def _add(self, key: str, part: dict[str, Any]) -> None:
        assert key not in self._open
        self.parts.append(part)
        self._open[key] = part
