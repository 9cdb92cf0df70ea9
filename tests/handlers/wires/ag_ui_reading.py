"""What TanStack AI's client makes of AG-UI's stream, which it resumes by the ids of events.

Every event has to be one of the official models, and in the order that AG-UI's client insists on.
"""

from collections.abc import Callable
from typing import Any

from ag_ui.core import Event
from pydantic import TypeAdapter

from handlers.wires.ag_ui import AgUiWire, run_of
from handlers.wires.wire import Wire
from relay.answer import Answer
from tests.handlers.wires.sse_reading import events_in

_models: TypeAdapter[Any] = TypeAdapter(Event)


class AgUiClient:
    """TanStack AI's client: it drops ids that it has seen, and resumes after the last one."""

    def __init__(self, wire: type[AgUiWire] = AgUiWire) -> None:
        self._wire = wire
        self._seen: set[str] = set()
        self._last: str | None = None
        self.parts: list[dict[str, Any]] = []
        self._open: dict[str, dict[str, Any]] = {}
        self.ended: str | None = None
        self.available: list[str] = []  # the tool calls that it would carry out
        self._begun = False

    def connect(self, answer: Answer, _grow: Callable[[], None]) -> tuple[Wire, int]:
        after = -1 if self._last is None else int(self._last)
        wire = self._wire(answer, run_of(answer), after=after, can_resume=True)
        return wire, wire.position

    def receive(self, data: bytes) -> None:
        for event in events_in(data):
            if event.id is not None:
                if event.id in self._seen:
                    continue
                self._seen.add(event.id)
                self._last = event.id
            _models.validate_json(event.data)
            assert (event.json["type"] == "RUN_STARTED") == (not self._begun), "it begins once"
            assert self.ended is None
            self._begun = True
            self._take(event.json)

    def _take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "TEXT_MESSAGE_START":
                self._add(event["messageId"], {"type": "text", "text": ""})
            case "REASONING_MESSAGE_START":
                self._add(event["messageId"], {"type": "reasoning", "text": ""})
            case "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT":
                assert event["delta"]
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
            case "CUSTOM":
                self.available.append(event["value"]["toolCallId"])
            case "RUN_FINISHED" | "RUN_ERROR":
                assert event["type"] == "RUN_ERROR" or not self._open
                self.ended = event["type"]

    def _add(self, key: str, part: dict[str, Any]) -> None:
        assert key not in self._open
        self.parts.append(part)
        self._open[key] = part
