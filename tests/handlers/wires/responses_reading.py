"""What OpenAI's Python SDK makes of a response, which it resumes after the number of an event."""

from collections.abc import Callable
from typing import Any

from openai._models import construct_type
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

from handlers.wires.responses import ResponsesWire
from handlers.wires.wire import Wire
from relay.answer import Answer
from tests.handlers.wires.sse_reading import events_in

_DELTAS = {
    "response.output_text.delta",
    "response.reasoning_summary_text.delta",
    "response.function_call_arguments.delta",
}


class ResponsesClient:
    """A client of responses that resumes after the last number that it has seen.

    `fetches_all`: as the SDK's helper does, which reads everything again and drops what it has;
    else as the plain call does.
    """

    def __init__(self, wire: type[ResponsesWire], *, fetches_all: bool) -> None:
        self._wire = wire
        self._fetches_all = fetches_all
        self._last = -1
        self._resumes = False
        self.numbers: list[int] = []
        self.items: dict[int, dict[str, Any]] = {}
        self.ended: dict[str, Any] | None = None
        self.snapshot: Any = None

    def connect(self, answer: Answer, grow: Callable[[], None]) -> tuple[Wire, int]:
        if self._fetches_all:
            return self._wire(answer, one_by_one=self._resumes), 0
        wire = self._wire(answer, after=self._last)
        return wire, wire.position()

    def receive(self, data: bytes) -> None:
        state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
        for event in events_in(data):
            if event.data == "[DONE]":
                continue
            raw = event.json
            if self._fetches_all:
                state.handle_event(construct_type(type_=ResponseStreamEvent, value=raw))  # type: ignore[arg-type]
            if raw["sequence_number"] > self._last:
                self._take(raw)
        self._resumes = True

    def _take(self, event: dict[str, Any]) -> None:
        self._last = event["sequence_number"]
        self.numbers.append(self._last)
        kind = event["type"]
        if kind == "response.output_item.added":
            item = event["item"]
            named = [item[name] for name in ("type", "call_id", "name") if name in item]
            self.items[event["output_index"]] = {"named": named, "text": "", "closed": False}
        elif kind in _DELTAS:
            self.items[event["output_index"]]["text"] += event["delta"]
        elif kind == "response.output_item.done":
            self.items[event["output_index"]]["closed"] = True
        elif "response" in event:
            self.ended = event["response"] if event["sequence_number"] > 1 else None
