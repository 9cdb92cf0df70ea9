"""Every recorded body gives what `samples/expected.json` says, wherever its bytes are cut."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from providers.errors import BadResponse, ProviderError, StreamBroken
from providers.gemini_interpreter import MADE_ID_PREFIX
from tests.providers.outcome import EXPECTED, JSON, SAMPLES, Outcome, cuts, dialect_of, read

ANSWERS = sorted(name for name, expected in EXPECTED.items() if "complete" in expected)
STREAMS = [name for name in ANSWERS if name.endswith((".sse", ".ndjson"))]
ERRORS = sorted(
    name for name in EXPECTED if name not in ANSWERS and name != "qianfan-token-error.json"
)


def expected_of(sample: str) -> dict[str, object]:
    expected = EXPECTED[sample]
    calls = expected.get("tool_calls", [])  # numbered by the provider, among blocks of other types
    return {
        "text": expected["text"],
        "reasoning": expected["reasoning"],
        "refusal": expected.get("refusal", ""),
        "tool_calls": [
            {**call, "index": number, "arguments": arguments_of(sample, call)}
            for number, call in enumerate(calls)
        ],
        "tokens": expected["tokens"],
        "finish": expected["finish"] or expected.get("block_reason"),
        "complete": expected["complete"],
    }


def arguments_of(sample: str, call: dict[str, Any]) -> str:
    """The arguments as text; of APIs that send an object, without blanks between its parts."""
    arguments: str = call["arguments"]
    if sample.startswith(("ollama", "gemini")):
        return json.dumps(json.loads(arguments), ensure_ascii=False, separators=(",", ":"))
    return arguments


def told(outcome: Outcome) -> dict[str, object]:
    """The verdict, without the ids that are made here for Gemini's calls."""
    calls = [
        {**call, "id": "" if call["id"].startswith(MADE_ID_PREFIX) else call["id"]}
        for call in outcome.tool_calls
    ]
    return {**outcome.verdict, "tool_calls": calls}


def content_type_of(sample: str) -> str:
    types = {".json": JSON, ".ndjson": "application/x-ndjson", ".sse": "text/event-stream"}
    return types[Path(sample).suffix]


def test_no_sample_is_forgotten() -> None:
    files = {
        path.name for path in SAMPLES.glob("*.*") if path.suffix in (".sse", ".ndjson", ".json")
    }
    assert files - {"expected.json", "qianfan-token.json"} == set(EXPECTED)


@pytest.mark.slow
@pytest.mark.parametrize("sample", ANSWERS)
def test_an_answer_reads_the_same_at_any_cut(sample: str) -> None:
    body = (SAMPLES / sample).read_bytes()
    dialect, content_type = dialect_of(sample), content_type_of(sample)
    for pieces in cuts(body):
        outcome = read(dialect, pieces, content_type=content_type)
        assert expected_of(sample) == told(outcome), pieces
    check_error(sample, outcome.error)


def check_error(sample: str, error: ProviderError | None) -> None:
    expected = EXPECTED[sample]["error"]
    if expected is not None:
        assert error is not None
        # Ollama's errors are a sentence, which is kept as a code as far as a log line has room.
        word = expected.get("code") or expected.get("type") or expected["message"][:64]
        assert str(word) == error.provider_code
        assert expected["message"] not in str(error)
    elif not EXPECTED[sample]["complete"]:
        assert isinstance(error, StreamBroken) or EXPECTED[sample]["finish"]


@pytest.mark.slow
@pytest.mark.parametrize("sample", STREAMS)
def test_a_stream_without_its_tail_is_complete_only_behind_the_finish_mark(sample: str) -> None:
    body = (SAMPLES / sample).read_bytes()
    expected = EXPECTED[sample]
    mark = re.search(
        rb'"is_end":true|"finish_reason":\s*"(?!null|normal"|")|"normal","flag"'
        rb'|"stop_reason":"|"type":"response.(?:completed|incomplete)"|"done":true'
        rb'|"finishReason": "|"blockReason": "',
        body,
    )
    finished = False
    for length in range(len(body)):
        outcome = read(dialect_of(sample), [body[:length]])
        assert outcome.complete >= finished or not expected["complete"]
        finished = outcome.complete
        if finished:
            assert mark is not None
            assert mark.end() < length
            assert expected_of(sample)["finish"] == outcome.finish_word
        else:
            assert isinstance(outcome.error, ProviderError)
        assert expected["text"].startswith(outcome.text_.rstrip("\ufffd"))
        assert expected["reasoning"].startswith(outcome.reasoning_)


@pytest.mark.parametrize("sample", [name for name in ANSWERS if name.endswith(".json")])
def test_a_single_answer_without_its_tail_is_never_complete(sample: str) -> None:
    body = (SAMPLES / sample).read_bytes().rstrip()
    for length in range(len(body)):
        outcome = read(dialect_of(sample), [body[:length]], content_type=JSON)
        assert isinstance(outcome.error, (BadResponse, StreamBroken))
        assert "" == outcome.text_


@pytest.mark.parametrize("sample", ERRORS)
def test_an_error_body_is_the_error_it_is_said_to_be(sample: str) -> None:
    body = (SAMPLES / sample).read_bytes()
    expected = EXPECTED[sample]
    for pieces in cuts(body):
        outcome = read(
            dialect_of(sample), pieces, status=expected["http_status"], content_type=JSON
        )
        assert outcome.error is not None
        assert str(expected["code"]) == outcome.error.provider_code
        assert expected["retryable"] == outcome.error.retryable


@pytest.mark.slow
@pytest.mark.parametrize("sample", ERRORS)
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500, 503])
def test_an_error_body_cut_off_is_still_an_error(sample: str, status: int) -> None:
    body = (SAMPLES / sample).read_bytes().rstrip()
    for length in range(len(body)):
        outcome = read(dialect_of(sample), [body[:length]], status=status, content_type=JSON)
        assert outcome.error is not None
        assert (status >= 429 or status == 200) >= outcome.error.retryable


@pytest.mark.parametrize("sample", ["dashscope-error.sse", "dashscope-error-throttle.sse"])
@pytest.mark.parametrize("status", [400, 429, 500])
def test_an_error_may_be_framed_as_an_event_under_an_error_status(sample: str, status: int) -> None:
    body = (SAMPLES / sample).read_bytes()
    outcome = read(dialect_of(sample), [body], status=status)
    check_error(sample, outcome.error)


@pytest.mark.parametrize("sample", [*ERRORS, *(n for n in ANSWERS if n.endswith(".json"))])
def test_json_is_read_as_json_whatever_it_claims_to_be(sample: str) -> None:
    body = (SAMPLES / sample).read_bytes()
    for content_type in ("text/event-stream", "text/plain", ""):
        claimed = read(dialect_of(sample), [body], content_type=content_type)
        honest = read(dialect_of(sample), [body], content_type=JSON)
        assert honest.verdict == claimed.verdict
        assert repr(honest.error) == repr(claimed.error)


def test_a_stream_is_read_as_a_stream_whatever_it_claims_to_be() -> None:
    body = (SAMPLES / "openai-text.sse").read_bytes()
    for content_type in (JSON, "text/plain", ""):
        outcome = read(dialect_of("openai-text.sse"), [body], content_type=content_type)
        assert expected_of("openai-text.sse") == outcome.verdict


def test_nothing_comes_after_done() -> None:
    body = (SAMPLES / "openai-text.sse").read_bytes()
    once = read(dialect_of("openai-text.sse"), [body])
    doubled = read(dialect_of("openai-text.sse"), [body + b"data: [DONE]\n\n" + body])
    assert once.growth == doubled.growth
