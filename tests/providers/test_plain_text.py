"""The fast path for plain text changes nothing but the number of calls."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from providers.dialect import Dialect
from providers.openai_interpreter import (
    OpenAIChoice,
    OpenAIChunk,
    OpenAIInterpreter,
    OpenAIMessage,
)
from providers.plain_text import plain_texts
from providers.sse import Event, StrayLine
from tests.providers.outcome import EXPECTED, OPENAI, QIANFAN, SAMPLES, Outcome, dialect_of, read
from tests.providers.reported.case import d, fin, sse
from tests.providers.reported.cases import CASES

PLAIN = [d(content=text) for text in ("Hel", "lo ", "wor", "ld")]

# Fields of a chunk that are read only where it has no choices, and so no text.
UNREAD = {"code", "type", "message"}

# What a choice, a delta or a chunk may hold besides text, each with a value that is no null.
DELTA: dict[str, Any] = {
    "reasoning_content": "hm",
    "reasoning": "hm",
    "reasoning_details": [{"type": "reasoning.text", "text": "hm"}],
    "refusal": "no",
    "tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}],
    "function_call": {"name": "f", "arguments": "{}"},
}
CHOICE: dict[str, Any] = {
    "message": {"content": "Hello world"},
    "text": "more",
    "finish_reason": "stop",
    "error": {"message": "no", "code": 500},
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    "flag": 4,
}
CHUNK: dict[str, Any] = {
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    "error": {"message": "no", "code": 500},
    "base_resp": {"status_code": 1002, "status_msg": "no"},
}


def varied(place: str, name: str, value: Any) -> dict[str, Any]:
    """A chunk with text and one more field in its delta, its choice or itself."""
    chunk = d(content="and")
    holder = {"delta": chunk["choices"][0]["delta"], "choice": chunk["choices"][0], "chunk": chunk}
    holder[place][name] = value
    return chunk


VARIED = [
    pytest.param(varied(place, name, value), id=f"{place}.{name}")
    for place, fields in (("delta", DELTA), ("choice", CHOICE), ("chunk", CHUNK))
    for name, value in fields.items()
]
ODD = [
    pytest.param(d(content="long enough to be an error that is put into a content"), id="long"),
    pytest.param(d(content=[{"type": "text", "text": "part"}]), id="parts"),
    pytest.param(d(index=1, content="other"), id="another choice"),
    pytest.param({"choices": [*d(content="a")["choices"], *d(content="b")["choices"]]}, id="two"),
    pytest.param({"choices": []}, id="no choice"),
    pytest.param(
        b"data: " + json.dumps(d(content="\ud83d")).encode() + b"\n\n", id="half a character"
    ),
    pytest.param(d(content=""), id="nothing"),
    pytest.param(b"data: [DONE]\n\n", id="the end"),
    pytest.param(b"data: {\n\n", id="no JSON"),
    pytest.param(b'data: {"error": "overloaded"}\n\n', id="an error"),
    pytest.param(b"event: error\ndata: " + json.dumps(PLAIN[0]).encode() + b"\n\n", id="its type"),
    pytest.param(b": a comment\n\n", id="a comment"),
    pytest.param(b'{"error": "bare"}\n\n', id="a stray line"),
    pytest.param(b"data: " + json.dumps(PLAIN[0]).encode() + b"\r\n\r\n", id="CR LF"),
]


def slowly(monkeypatch: pytest.MonkeyPatch, dialect: Dialect, body: bytes) -> Outcome:
    """What comes of a body that the interpreter reads event by event."""
    with monkeypatch.context() as patch:
        patch.setattr(OpenAIInterpreter, "plain_texts", lambda *_: 0)
        return read(dialect, [body])


def result(outcome: Outcome) -> object:
    return outcome.verdict, str(outcome.error), outcome.mark, outcome.odd


@pytest.mark.parametrize("dialect", [OPENAI, QIANFAN], ids=["openai", "qianfan"])
@pytest.mark.parametrize("event", [*VARIED, *ODD])
def test_whatever_stands_among_text_is_read_as_without_the_fast_path(
    monkeypatch: pytest.MonkeyPatch, dialect: Dialect, event: dict[str, Any] | bytes
) -> None:
    body = sse(*PLAIN, event, *PLAIN, event, PLAIN[0], fin("stop"))
    assert result(slowly(monkeypatch, dialect, body)) == result(read(dialect, [body]))


def test_recorded_and_reported_streams_are_read_as_without_the_fast_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bodies = [(dialect_of(name), (SAMPLES / name).read_bytes()) for name in EXPECTED]
    bodies += [(OPENAI, case.body) for case in CASES if case.dialect == "openai"]
    for dialect, body in bodies:
        slow = slowly(monkeypatch, dialect, body)
        assert result(slow) == result(read(dialect, [body])), body


@pytest.mark.parametrize("chunk", VARIED)
def test_only_text_is_plain(chunk: dict[str, Any]) -> None:
    event = Event(json.dumps(chunk).encode())
    plain = Event(json.dumps(PLAIN[0]).encode())

    assert ["Hel", "Hel"] == plain_texts([plain, plain, event, plain], 0, 40)


def test_a_field_that_the_interpreter_will_read_one_day_is_not_forgotten_here() -> None:
    read_by_interpreter = {
        "delta": (OpenAIMessage, {"content", *DELTA}),
        "choice": (OpenAIChoice, {"index", "delta", *CHOICE}),
        "chunk": (OpenAIChunk, {"choices", *CHUNK, *UNREAD}),
    }
    for kind, known in read_by_interpreter.values():
        assert known == {field.name for field in msgspec.structs.fields(kind)}


def test_texts_of_one_read_are_one_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    genuine = OpenAIInterpreter.plain_texts

    def counted(self: OpenAIInterpreter, events: Sequence[Event | StrayLine]) -> int:
        calls.append(genuine(self, events))
        return calls[-1]

    monkeypatch.setattr(OpenAIInterpreter, "plain_texts", counted)
    texts = [d(content=str(number)) for number in range(100)]

    outcome = read(OPENAI, [sse(*PLAIN, end=b""), sse(*texts, end=b""), sse(fin("stop"))])

    assert [0, 100, 0] == calls
    assert ("text", "".join(map(str, range(100)))) == outcome.growth[-1]
    assert outcome.complete
