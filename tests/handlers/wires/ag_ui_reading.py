"""What TanStack AI's client makes of AG-UI's stream, which it resumes by the ids of events."""

from collections.abc import Callable
from typing import Any

from handlers.wires.ag_ui import AgUiWire, run_of
from handlers.wires.wire import Wire
from relay.answer import Answer
from tests.handlers.wires.sse_reading import events_in


class AgUiClient:
    """TanStack AI's client: it drops ids that it has seen, and resumes after the last one."""

    def __init__(self, wire: type[AgUiWire] = AgUiWire) -> None:
        self._wire = wire
        self._seen: set[str] = set()
        self._last: str | None = None
        self.parts: list[dict[str, Any]] = []
        self._open: dict[str, dict[str, Any]] = {}
        self.ended: str | None = None

    def connect(self, answer: Answer, grow: Callable[[], None]) -> tuple[Wire, int]:
        after = -1 if self._last is None else int(self._last)
        wire = self._wire(answer, run_of(answer), after=after, can_resume=True)
        while answer.is_remote and answer.ending is None and wire.is_ahead:
            grow()
        return wire, wire.position

    def receive(self, data: bytes) -> None:
        for event in events_in(data):
            if event.id is not None:
                if event.id in self._seen:
                    continue
                self._seen.add(event.id)
                self._last = event.id
            self._take(event.json)

    def _take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "TEXT_MESSAGE_START":
                self._add(event["messageId"], {"type": "text", "text": ""})
            case "REASONING_MESSAGE_START":
                self._add(event["messageId"], {"type": "reasoning", "text": ""})
            case "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT":
                self._open[event["messageId"]]["text"] += event["delta"]
            case "TEXT_MESSAGE_END" | "REASONING_MESSAGE_END":
                del self._open[event["messageId"]]
            case "TOOL_CALL_START":
                named = {"id": event["toolCallId"], "name": event["toolCallName"]}
                self._add(event["toolCallId"], {"type": "tool_call", **named, "text": ""})
            case "TOOL_CALL_ARGS":
                self._open[event["toolCallId"]]["text"] += event["delta"]
            case "TOOL_CALL_END":
                del self._open[event["toolCallId"]]
            case "CUSTOM" if event["name"] == "block":
                self.parts.append({"type": "image", "url": event["value"]["url"]})
            case "RUN_FINISHED" | "RUN_ERROR":
                self.ended = event["type"]

    def _add(self, key: str, part: dict[str, Any]) -> None:
        assert key not in self._open
        self.parts.append(part)
        self._open[key] = part
