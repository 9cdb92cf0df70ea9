"""What came of reading a response: for comparing, in one value."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from providers.dashscope import DashScope
from providers.dialect import (
    Delta,
    Dialect,
    Finish,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Usage,
)
from providers.errors import ProviderError
from providers.openai import OpenAI
from providers.qianfan import Qianfan
from providers.qianfan_v1 import QianfanV1
from providers.reading import Reading

SAMPLES = Path(__file__).parent / "samples"
EXPECTED: dict[str, dict[str, Any]] = msgspec.json.decode((SAMPLES / "expected.json").read_bytes())

EVENT_STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"


@dataclass
class Outcome:
    """The deltas of one response, joined, and its end. Reading it checks their order, too."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[int] | None = None
    finish: str | None = None
    error: ProviderError | None = None

    @property
    def complete(self) -> bool:
        return self.error is None

    def take(self, delta: Delta) -> None:
        match delta:
            case Refusal():
                self.refusal += delta.text
            case Text():
                self.text += delta.text
            case Reasoning():
                self.reasoning += delta.text
            case ToolCall():
                self._take_call(delta)
            case Usage():
                self.tokens = [delta.input_tokens, delta.output_tokens]
            case Finish():
                self.finish = delta.word
            case _:
                raise AssertionError(f"{delta} is not for an answer")

    def _take_call(self, piece: ToolCall) -> None:
        if piece.index == len(self.tool_calls):
            call = {"index": piece.index, "id": piece.id, "name": piece.name, "arguments": ""}
            self.tool_calls.append(call)
        else:
            assert (piece.id, piece.name) == ("", "")
            assert piece.arguments
        assert piece.index == len(self.tool_calls) - 1, "an earlier call cannot grow any more"
        self.tool_calls[-1]["arguments"] += piece.arguments


def read(
    dialect: Dialect,
    pieces: Iterable[bytes],
    *,
    status: int = 200,
    content_type: str = EVENT_STREAM,
    headers: Mapping[str, str] | None = None,
) -> Outcome:
    """The outcome of a response whose body came in `pieces` and then ended."""
    outcome = Outcome()
    reading = Reading(dialect, status, content_type, headers or {})
    try:
        for delta in deltas(reading, pieces):
            outcome.take(delta)
    except ProviderError as error:
        outcome.error = error
    assert outcome.finish == reading.finish_word
    return outcome


def deltas(reading: Reading, pieces: Iterable[bytes]) -> Iterator[Delta]:
    for piece in pieces:
        yield from reading.feed(piece)
    yield from reading.end()


@cache
def dialect_of(sample: str) -> Dialect:
    """The dialect that a sample is written in."""
    if sample.startswith("qianfan-v1"):
        return QianfanV1(access_token="24.example")
    if sample.startswith("qianfan"):
        return Qianfan()
    if sample.startswith("dashscope"):
        return DashScope(incremental_output=EXPECTED[sample].get("mode") != "cumulative")
    return OpenAI()


def cuts(body: bytes) -> Iterator[list[bytes]]:
    """The body whole, byte by byte, and in two pieces at every position."""
    yield [body]
    yield [body[place : place + 1] for place in range(len(body))]
    for place in range(1, len(body)):
        yield [body[:place], body[place:]]
