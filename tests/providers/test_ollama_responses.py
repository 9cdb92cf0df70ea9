"""Habits of Ollama that no recorded sample shows."""

import json
from typing import Any

import pytest

from model.messages import FinishReason
from providers.errors import ProviderError, ProviderOverloaded, StreamBroken
from tests.ollama_framing import CREATED_AT, call, end, error, line, piece
from tests.providers.outcome import JSON, OLLAMA, Outcome, read, reader_into

LINES = "application/x-ndjson"


def outcome_of(*lines: bytes) -> Outcome:
    """What lines say, in a response that comes to its end."""
    return read(OLLAMA, [b"".join(lines)], content_type=LINES)


def test_the_first_line_is_passed_on_before_the_second_came() -> None:
    outcome = Outcome()
    reader = reader_into(outcome, OLLAMA, content_type=LINES)

    reader.feed(piece("你好"))

    assert "你好" == outcome.text_


@pytest.mark.parametrize(
    ("reason", "word", "meaning"),
    [
        ("stop", "stop", FinishReason.STOP),
        ("length", "length", FinishReason.LENGTH),
        (None, "done", FinishReason.STOP),  # very old servers
        ("", "done", FinishReason.STOP),
        ("load", "load", FinishReason.STOP),
    ],
)
def test_why_an_answer_ended(reason: str | None, word: str, meaning: FinishReason) -> None:
    outcome = outcome_of(piece("hi"), end(reason))
    assert outcome.complete
    assert outcome.mark is not None
    assert (word, meaning) == (outcome.mark.word, outcome.mark.reason)


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_a_model_that_was_only_loaded_has_not_answered(reason: str) -> None:
    outcome = outcome_of(end(reason, usage=None))
    assert isinstance(outcome.error, ProviderOverloaded)
    assert (reason, True) == (outcome.error.provider_code, outcome.error.retryable)


def test_an_empty_answer_is_an_answer() -> None:
    outcome = outcome_of(end("stop"))
    assert ("", True) == (outcome.text_, outcome.complete)


def test_calls_of_one_line_and_of_several_are_numbered() -> None:
    calls = [call("weather", {"city": "Paris"}, "a"), call("weather", {"city": "Oslo"}, "b")]
    outcome = outcome_of(
        piece(tool_calls=calls), piece(tool_calls=[call("clock", {}, "c")]), end("stop")
    )

    assert [
        {"index": 0, "id": "a", "name": "weather", "arguments": '{"city":"Paris"}'},
        {"index": 1, "id": "b", "name": "weather", "arguments": '{"city":"Oslo"}'},
        {"index": 2, "id": "c", "name": "clock", "arguments": "{}"},
    ] == outcome.tool_calls
    assert outcome.mark is not None
    assert ("stop", FinishReason.TOOL_CALLS) == (outcome.mark.word, outcome.mark.reason)


def test_calls_without_ids_get_some_that_are_unique_and_always_the_same() -> None:
    same = call("weather", {"city": "Paris"})
    body = piece(tool_calls=[same, same]) + piece(tool_calls=[same]) + end("stop")
    later = body.replace(CREATED_AT.encode(), b"2026-11-22T10:00:00.123456790Z")

    first, again, other = (
        [each["id"] for each in outcome_of(each).tool_calls] for each in (body, body, later)
    )

    assert first == again
    assert 6 == len({*first, *other})
    assert all(each.startswith("call_") for each in first)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"a": [1, {"b": None}]}, '{"a":[1,{"b":null}]}'),
        (None, "{}"),
        ('{"a": 1}', '{"a": 1}'),  # a gateway's
    ],
)
def test_arguments_are_text_of_json(arguments: object, text: str) -> None:
    outcome = outcome_of(piece(tool_calls=[call("f", arguments, "c")]), end("stop"))
    assert [text] == [each["arguments"] for each in outcome.tool_calls]


def test_a_call_without_a_name_is_none() -> None:
    nameless: dict[str, Any] = {"id": "c", "function": {"arguments": {}}}
    outcome = outcome_of(piece("hi", tool_calls=[nameless]), end("stop"))
    assert [] == outcome.tool_calls
    assert {"call_without_a_name"} == outcome.odd


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"prompt_eval_count": 7, "eval_count": 11}, [7, 11]),
        ({"prompt_eval_count": 7}, [7, 0]),
        ({"eval_count": 11}, None),  # the prompt came from the cache, and was not counted
        ({}, None),
    ],
)
def test_counts_that_are_zero_are_left_out(fields: dict[str, int], tokens: list[int]) -> None:
    last = line(message={"role": "assistant", "content": ""}, done=True, **fields)
    assert tokens == outcome_of(piece("hi"), last).tokens


def test_lines_of_generate_may_have_thinking_and_calls() -> None:
    outcome = outcome_of(
        line(response="", thinking="hm", done=False),
        line(response="yes", done=False, tool_calls=[call("clock", {}, "c")]),
        line(response="", done=True, done_reason="stop"),
    )
    assert ("hm", "yes", 1) == (outcome.reasoning_, outcome.text_, len(outcome.tool_calls))


@pytest.mark.parametrize(
    "body",
    [
        b"\n\n" + piece("hi") + b"\r\n" + end(),
        piece("hi").replace(b"\n", b"\r\n") + end()[:-1],
        b"\xef\xbb\xbf" + piece("hi") + end(),
        b"data: " + piece("hi") + b"\ndata: " + end() + b"\ndata: [DONE]\n\n",
        b": keep-alive\n\nevent: message\ndata: " + piece("hi") + b"\ndata: " + end() + b"\n",
        piece("hi") + b"OK\n" + end(),
    ],
)
def test_lines_may_be_framed_by_others(body: bytes) -> None:
    outcome = outcome_of(body)
    assert ("hi", True, [7, 11]) == (outcome.text_, outcome.complete, outcome.tokens)


def test_a_whole_answer_may_be_indented() -> None:
    answer = json.dumps(json.loads(end().replace(b'"content":""', b'"content":"hi"')), indent=2)
    outcome = read(OLLAMA, [answer.encode()], content_type=JSON)
    assert ("hi", True) == (outcome.text_, outcome.complete)


class TestErrors:
    @pytest.mark.parametrize(
        ("message", "code"),
        [
            ("an error was encountered while running the model: CUDA error", "provider_overloaded"),
            ("model runner has unexpectedly stopped", "provider_overloaded"),
            ("unexpected EOF", "provider_overloaded"),
            (
                "the prompt is longer than the context length currently available",
                "context_too_long",
            ),
            ('{"error":{"code":400,"type":"exceed_context_size_error"}}', "context_too_long"),
            ("too many requests", "provider_rate_limited"),
        ],
    )
    def test_in_mid_stream(self, message: str, code: str) -> None:
        outcome = outcome_of(piece("hi"), error(message))
        assert "hi" == outcome.text_
        assert outcome.error is not None
        assert (code, "in_the_answer") == (outcome.error.code, outcome.error.reason)

    @pytest.mark.parametrize(
        ("status", "message", "code", "retryable"),
        [
            (400, "registry.ollama.ai/library/m does not support tools", "provider_bad_request", 0),
            (400, '"m" does not support thinking', "provider_bad_request", 0),
            (400, 'option "seed" must be of type integer', "provider_bad_request", 0),
            (401, "unauthorized", "provider_unauthorized", 0),
            (403, "remote inference is disabled", "provider_unauthorized", 0),
            (404, 'model "m" not found, try pulling it first', "model_not_found", 0),
            (405, "405 method not allowed", "provider_bad_request", 0),
            (429, "you have reached your hourly usage limit", "provider_rate_limited", 1),
            (499, "request canceled", "provider_refused", 0),
            (500, "llama runner process has terminated: exit 2", "provider_overloaded", 1),
            (500, "model requires more system memory (8 GiB)", "provider_overloaded", 1),
            (502, "bad gateway", "provider_overloaded", 1),
            (503, "server busy, please try again.  maximum", "provider_overloaded", 1),
        ],
    )
    def test_in_place_of_a_stream(
        self, status: int, message: str, code: str, retryable: bool
    ) -> None:
        body = json.dumps({"error": message}).encode()
        found = OLLAMA.error(status, body, {})
        assert (code, bool(retryable)) == (found.code, found.retryable)
        assert message[:64] == found.provider_code
        assert message not in str(found)

    def test_a_message_beside_an_error_is_no_text(self) -> None:
        body = {"error": "Bad Gateway", "message": "upstream is down", "status": 502}
        outcome = outcome_of(piece("hi"), json.dumps(body).encode() + b"\n")
        assert "hi" == outcome.text_
        assert isinstance(outcome.error, ProviderOverloaded)

    def test_hosted_errors_have_further_fields(self) -> None:
        body = {"error": "unauthorized", "signin_url": "https://ollama.com/connect?key=k"}
        found = OLLAMA.error(401, json.dumps(body).encode(), {})
        assert ("provider_unauthorized", "unauthorized") == (found.code, found.provider_code)

    @pytest.mark.parametrize("status", [200, 500])
    def test_what_the_model_wrote_is_not_in_the_code(self, status: int) -> None:
        message = 'error parsing tool call: raw=\'{"name": "Ada"\', err=unexpected end of JSON'
        body = error(message)
        found: ProviderError | None = read(OLLAMA, [body], status=status).error
        assert found is not None
        assert ("error parsing tool call", "provider_overloaded") == (
            found.provider_code,
            found.code,
        )

    def test_a_path_that_is_not_there_is_no_missing_model(self) -> None:
        assert "provider_refused" == OLLAMA.error(404, b"404 page not found", {}).code

    @pytest.mark.parametrize("cut", [1, 20, 60])
    def test_an_answer_without_its_last_line_is_broken_off(self, cut: int) -> None:
        body = piece("hi") + piece("there")[:-cut]
        outcome = read(OLLAMA, [body], broken=True)
        assert isinstance(outcome.error, StreamBroken)


def test_other_finish_words_mean_that_the_answer_broke_off() -> None:
    outcome = outcome_of(piece("hi"), end("runner_crashed"))
    assert isinstance(outcome.error, StreamBroken)
