"""What a client of the native stream makes of it, as `web/src/stream/` does: delta by delta."""

from collections.abc import Callable
from typing import Any

from handlers.wires import native
from handlers.wires.wire import Wire
from relay.answer import Answer
from tests.handlers.wires.sse_reading import events_in


class NativeClient:
    """Remembers the last id that it has seen, and appends deltas to blocks."""

    def __init__(self, wire: Wire = native) -> None:
        self._wire = wire
        self.blocks: list[dict[str, Any]] = []
        self.end: dict[str, Any] | None = None
        self._last = 0

    def connect(self, answer: Answer, grow: Callable[[], None]) -> tuple[Wire, int]:
        return self._wire, self._last

    def receive(self, data: bytes) -> None:
        for event in events_in(data):
            match event.name:
                case "delta":
                    self._grow(event.json)
                case "reset":
                    self.blocks = event.json["blocks"]
                case "end":
                    self.end = event.json
            if event.id is not None:
                self._last = int(event.id.removesuffix("-end"))

    def _grow(self, delta: dict[str, Any]) -> None:
        if "block" in delta:
            self.blocks.append(delta["block"])
            return
        kind = next(iter(delta))
        text = delta[kind]["arguments"] if kind == "tool_call" else delta[kind]
        last = self.blocks[-1] if self.blocks else {"type": ""}
        if (kind == "tool_call" and "id" in delta[kind]) or last["type"] != kind or "data" in last:
            last = {"type": kind}
            if kind == "tool_call":
                last |= {"id": delta[kind]["id"], "name": delta[kind]["name"]}
            self.blocks.append(last)
        field = "arguments" if kind == "tool_call" else "text"
        last[field] = last.get(field, "") + text
        if "data" in delta:
            last["data"] = delta["data"]
