"""What came of reading a response: for comparing, in one value."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from model.blocks import ProviderData
from model.messages import Attempt
from model.usage import Usage
from presets import PRESETS
from providers.anthropic import Anthropic
from providers.dashscope import DashScope
from providers.dialect import Dialect
from providers.errors import ProviderError, StreamBroken
from providers.gemini import Gemini
from providers.ollama import Ollama
from providers.openai import OpenAI
from providers.openai_responses import OpenAIResponses
from providers.qianfan import Qianfan
from providers.qianfan_v1 import QianfanV1
from providers.quirks import QuirkLog
from providers.response_reader import ResponseReader
from providers.sink import Finish, Kind

SAMPLES = Path(__file__).parent / "samples"
EXPECTED: dict[str, dict[str, Any]] = msgspec.json.decode((SAMPLES / "expected.json").read_bytes())

EVENT_STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"

OPENAI = OpenAI(PRESETS["openai"].base_url)
RESPONSES = OpenAIResponses(PRESETS["openai-responses"].base_url)
DASHSCOPE = DashScope(PRESETS["dashscope"].base_url)
CUMULATIVE = DashScope(PRESETS["dashscope"].base_url, incremental_output=False)
QIANFAN = Qianfan(PRESETS["qianfan"].base_url)
QIANFAN_V1 = QianfanV1(PRESETS["qianfan-v1"].base_url)
GEMINI = Gemini(PRESETS["gemini"].base_url)
ANTHROPIC = Anthropic(PRESETS["anthropic"].base_url, version="2023-06-01", prompt_cache=False)
OLLAMA = Ollama(PRESETS["ollama"].base_url)


class Outcome:
    """A sink that joins what one response said, checks its order, and knows how it ended."""

    def __init__(self) -> None:
        self.text_ = ""
        self.reasoning_ = ""
        self.refusal_ = ""
        self.tool_calls: list[dict[str, Any]] = []
        self.counted: Usage | None = None
        self.mark: Finish | None = None
        self.error: ProviderError | None = None
        self.growth: list[tuple[str, ...]] = []  # as it came
        self.kept: list[ProviderData] = []
        self.odd: set[str] = set()

    @property
    def complete(self) -> bool:
        return self.error is None

    @property
    def finish_word(self) -> str | None:
        return self.mark.word if self.mark is not None else None

    @property
    def tokens(self) -> list[int] | None:
        counted = self.counted
        return None if counted is None else [counted.input_tokens, counted.output_tokens]

    @property
    def verdict(self) -> dict[str, object]:
        """What a sample is expected to give."""
        return {
            "text": self.text_,
            "reasoning": self.reasoning_,
            "refusal": self.refusal_,
            "tool_calls": self.tool_calls,
            "tokens": self.tokens,
            "finish": self.finish_word,
            "complete": self.complete,
        }

    # What a sink is

    def text(self, text: str) -> None:
        self._said("text", text)
        self.text_ += text

    def refusal(self, text: str) -> None:
        self._said("refusal", text)
        self.refusal_ += text

    def reasoning(self, text: str) -> None:
        self._said("reasoning", text)
        self.reasoning_ += text

    def tool_call(self, call_id: str, name: str) -> None:
        f"{call_id}{name}".encode()  # it can be stored and sent
        self.growth.append(("tool_call", call_id, name))
        call = {"index": len(self.tool_calls), "id": call_id, "name": name, "arguments": ""}
        self.tool_calls.append(call)

    def arguments(self, text: str) -> None:
        assert self.growth[-1][0] in ("tool_call", "arguments"), "a call that is over cannot grow"
        self._said("arguments", text)
        self.tool_calls[-1]["arguments"] += text

    def data(self, data: ProviderData) -> None:
        msgspec.json.encode(data)  # it can be stored and sent
        self.kept.append(data)
        self.growth.append(("data", data.dialect))

    def usage(self, usage: Usage) -> None:
        self.counted = usage

    def finish(self, finish: Finish | None) -> None:
        self.mark = finish

    def written(self, kind: Kind) -> str:
        return {"text": self.text_, "refusal": self.refusal_, "reasoning": self.reasoning_}[kind]

    def deliver(self) -> None:
        pass  # nobody reads this while it grows

    def attempt_ended(self, attempt: Attempt) -> None:
        raise AssertionError("a reading makes no calls")

    def _said(self, kind: str, text: str) -> None:
        assert text
        text.encode()
        self.growth.append((kind, text))


class _Noted(QuirkLog):
    """QuirkLog as a value, for one response."""

    def __init__(self, odd: set[str]) -> None:
        super().__init__("scripted")
        self._odd = odd

    def note(self, what: str, word: str | None = None) -> None:
        self._odd.add(what if word is None else f"{what}={word}")


def reader_into(
    outcome: Outcome,
    dialect: Dialect = OPENAI,
    *,
    status: int = 200,
    content_type: str = EVENT_STREAM,
    headers: Mapping[str, str] | None = None,
    model: str = "m",
    **bounds: int,
) -> ResponseReader:
    """A reader of a response that is still to come."""
    odd = _Noted(outcome.odd)
    return ResponseReader(
        dialect, status, content_type, headers or {}, outcome, odd, model=model, **bounds
    )


def read(
    dialect: Dialect,
    pieces: Iterable[bytes],
    *,
    broken: bool = False,
    **response: Any,
) -> Outcome:
    """The outcome of a response whose body came in `pieces` and then ended, or was `broken` off."""
    outcome = Outcome()
    reader = reader_into(outcome, dialect, **response)
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.end(StreamBroken() if broken else None)
    except ProviderError as error:
        outcome.error = error
    return outcome


@cache
def dialect_of(sample: str) -> Dialect:
    """The dialect that a sample is written in."""
    if sample.startswith("gemini"):
        return GEMINI
    if sample.startswith("anthropic"):
        return ANTHROPIC
    if sample.startswith("qianfan-v1"):
        return QIANFAN_V1
    if sample.startswith("qianfan"):
        return QIANFAN
    if sample.startswith("dashscope"):
        return CUMULATIVE if EXPECTED[sample].get("mode") == "cumulative" else DASHSCOPE
    if sample.startswith("openai-responses"):
        return RESPONSES
    if sample.startswith("ollama"):
        return OLLAMA
    return OPENAI


def cuts(body: bytes) -> Iterator[list[bytes]]:
    """The body whole, byte by byte, and in two pieces at every position."""
    yield [body]
    yield [body[place : place + 1] for place in range(len(body))]
    for place in range(1, len(body)):
        yield [body[:place], body[place:]]
