"""Habits of the dialects that no recorded sample shows."""

import json
from typing import Any

import pytest

from model.messages import FinishReason
from model.usage import Usage
from presets import PRESETS, Switches
from providers.dialect import Dialect
from providers.errors import ProviderOverloaded, StreamBroken
from providers.finish import finish_of
from providers.openai import OpenAI
from providers.sink import Finish
from tests.providers.outcome import DASHSCOPE, OPENAI, QIANFAN, QIANFAN_V1, Outcome, reader_into


def outcome_of(dialect: Dialect, *bodies: dict[str, Any]) -> Outcome:
    """What events say, in a stream that goes on."""
    outcome = Outcome()
    reader = reader_into(outcome, dialect)
    for body in bodies:
        reader.feed(b"data: " + json.dumps(body).encode() + b"\n\n")
    return outcome


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [fields]}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("STOP", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("end_turn", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("max-output-tokens", FinishReason.LENGTH),
        ("LengthLimitReached", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("Content-Filtered", FinishReason.CONTENT_FILTER),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER),
        ("BLOCKLIST", FinishReason.CONTENT_FILTER),
        ("RECITATION", FinishReason.CONTENT_FILTER),
        ("guardrail_intervened", FinishReason.CONTENT_FILTER),
        ("sensitive", FinishReason.CONTENT_FILTER),
        ("network_error", FinishReason.ERROR),
        ("error_finish", FinishReason.ERROR),
        ("InternalError", FinishReason.ERROR),
        ("MALFORMED_FUNCTION_CALL", FinishReason.ERROR),
        ("UNEXPECTED_TOOL_CALL", FinishReason.ERROR),
        ("content_filter_error", FinishReason.ERROR),
        ("incomplete", FinishReason.ERROR),
        ("cancelled", FinishReason.ERROR),
    ],
)
def test_finish_words_have_their_kind_in_any_spelling(word: str, reason: FinishReason) -> None:
    assert Finish(reason, word) == finish_of(word)
    assert Finish(reason, word) == outcome_of(OPENAI, choice(finish_reason=word)).mark
    native = {"output": choice(message={"content": ""}, finish_reason=word)}
    assert Finish(reason, word) == outcome_of(DASHSCOPE, native).mark


def test_a_word_that_nobody_knows_is_a_proper_end_and_told() -> None:
    outcome = outcome_of(OPENAI, choice(delta={"content": "a"}, finish_reason="banana"))
    assert (Finish(FinishReason.STOP, "banana"), {"finish_reason=banana"}) == (
        outcome.mark,
        outcome.odd,
    )


@pytest.mark.parametrize("word", ["null", "", " ", "None", None])
def test_words_that_mean_still_running(word: str | None) -> None:
    assert outcome_of(OPENAI, choice(finish_reason=word)).mark is None
    for output in ({"finish_reason": word}, choice(finish_reason=word, message={"content": ""})):
        assert outcome_of(DASHSCOPE, {"output": output}).mark is None


def test_reasoning_may_come_in_details() -> None:
    details = [
        {"type": "reasoning.text", "text": "h", "index": 0},
        {"type": "reasoning.encrypted", "data": "b64"},
        {"type": "reasoning.text", "text": "m"},
    ]

    alone = outcome_of(OPENAI, choice(delta={"content": "", "reasoning_details": details}))
    beside = outcome_of(OPENAI, choice(delta={"reasoning": "hm", "reasoning_details": details}))

    assert [("reasoning", "hm")] == alone.growth
    assert [("reasoning", "hm")] == beside.growth


def test_reasoning_that_is_sent_under_both_names_is_taken_once() -> None:
    body = choice(delta={"reasoning": "hm", "reasoning_content": "hm"})
    assert [("reasoning", "hm")] == outcome_of(OPENAI, body).growth


def test_content_may_be_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    assert "ab" == outcome_of(OPENAI, choice(delta={"content": parts})).text_
    message = {"content": [{"text": "a"}, {"image": "…"}]}
    assert [("text", "a")] == outcome_of(DASHSCOPE, {"output": choice(message=message)}).growth
    assert [] == outcome_of(DASHSCOPE, {"output": choice(message={"content": []})}).growth


def test_usage_without_figures_is_none() -> None:
    assert outcome_of(DASHSCOPE, {"output": {}, "usage": {}}).counted is None
    assert outcome_of(OPENAI, {"choices": [], "usage": {"prompt_tokens": None}}).counted is None
    assert Usage(3, 0) == outcome_of(OPENAI, {"usage": {"prompt_tokens": 3}}).counted
    for nothing in ((0, 0), (-1, 5), (5, 2**70)):
        usage = {"prompt_tokens": nothing[0], "completion_tokens": nothing[1]}
        assert outcome_of(OPENAI, {"usage": usage}).counted is None


@pytest.mark.parametrize(
    ("dialect", "usage", "counted"),
    [
        (
            OPENAI,
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(9, 5, cached_tokens=4, reasoning_tokens=2),
        ),
        (
            OPENAI,  # DeepSeek
            {"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 8},
            Usage(9, 5, cached_tokens=8),
        ),
        (
            OPENAI,  # Moonshot
            {"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 7},
            Usage(9, 5, cached_tokens=7),
        ),
        (
            OPENAI,
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
            },
            Usage(9, 5, cached_tokens=4, cache_written_tokens=3),
        ),
        (
            OPENAI,  # xAI, whose output is the answer without the reasoning
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 34,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            Usage(9, 25, reasoning_tokens=20),
        ),
        (
            OPENAI,  # DashScope's compatible mode
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "total_tokens": 14,
                "prompt_tokens_details": {"cache_creation_input_tokens": 8},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(9, 5, cache_written_tokens=8, reasoning_tokens=5),
        ),
        (
            OPENAI,  # more cached than there was
            {"prompt_tokens": 9, "completion_tokens": 5, "cached_tokens": 2**70},
            Usage(9, 5),
        ),
        (
            DASHSCOPE,
            {
                "input_tokens": 9,
                "output_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "output_tokens_details": {"reasoning_tokens": 2},
            },
            Usage(9, 5, cached_tokens=4, reasoning_tokens=2),
        ),
        (
            DASHSCOPE,  # a model that sees
            {
                "input_tokens": 9,
                "output_tokens": 5,
                "image_tokens": 6,
                "input_tokens_details": {"image_tokens": 6, "cached_tokens": 4},
            },
            Usage(9, 5, cached_tokens=4),
        ),
        (
            DASHSCOPE,
            {
                "input_tokens": 9,
                "output_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 7},
            },
            Usage(9, 5, cache_written_tokens=7),
        ),
    ],
)
def test_the_parts_of_usage(dialect: Dialect, usage: dict[str, Any], counted: Usage) -> None:
    assert counted == outcome_of(dialect, {"usage": usage}).counted


class TestQianfanFlags:
    """The verdict of Baidu's moderation comes with the pieces, and may come late."""

    @pytest.mark.parametrize("flag", [None, 0, 1])
    def test_what_is_safe_passes(self, flag: int | None) -> None:
        body = choice(delta={"content": "a"}, finish_reason="stop", flag=flag)
        outcome = outcome_of(QIANFAN, body)
        assert ("a", Finish(FinishReason.STOP, "stop")) == (outcome.text_, outcome.mark)

    def test_a_conversation_that_must_end_ends_filtered(self) -> None:
        body = choice(delta={"content": "a"}, finish_reason="normal", flag=2)
        outcome = outcome_of(QIANFAN, body)
        assert ("a", Finish(FinishReason.CONTENT_FILTER, "normal")) == (outcome.text_, outcome.mark)

    @pytest.mark.parametrize("flag", [3, 4, "3"])
    def test_what_must_not_be_shown_is_not(self, flag: object) -> None:
        body = choice(delta={"content": "a"}, finish_reason="stop", flag=flag)
        outcome = outcome_of(QIANFAN, body)
        assert ("", Finish(FinishReason.CONTENT_FILTER, "stop")) == (outcome.text_, outcome.mark)


class TestQianfanV1Ends:
    """Only `is_end` ends an answer; why, several fields tell."""

    @pytest.mark.parametrize(
        ("fields", "reason", "word"),
        [
            ({"finish_reason": "normal"}, FinishReason.STOP, "normal"),
            ({"finish_reason": "stop"}, FinishReason.STOP, "stop"),
            ({"finish_reason": "length"}, FinishReason.LENGTH, "length"),
            ({"finish_reason": "normal", "is_truncated": True}, FinishReason.LENGTH, "normal"),
            ({"finish_reason": "function_call"}, FinishReason.TOOL_CALLS, "function_call"),
            ({"finish_reason": "content_filter"}, FinishReason.CONTENT_FILTER, "content_filter"),
            ({"finish_reason": "normal", "need_clear_history": True}, FinishReason.CONTENT_FILTER,
             "normal"),
            ({}, FinishReason.STOP, "is_end"),  # old endpoints give no reason
        ],
    )  # fmt: skip
    def test_reasons(self, fields: dict[str, Any], reason: FinishReason, word: str) -> None:
        ended = outcome_of(QIANFAN_V1, {"result": "", "is_end": True, **fields})
        assert Finish(reason, word) == ended.mark
        assert outcome_of(QIANFAN_V1, {"result": "", "is_end": False, **fields}).mark is None


class TestSwitches:
    """What some servers of OpenAI's dialect need otherwise."""

    def test_done_may_be_an_end(self) -> None:
        body = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'
        for done_ends in (False, True):
            dialect = OpenAI("http://localhost/v1", Switches(done_ends=done_ends))
            outcome = Outcome()
            reader_into(outcome, dialect).feed(body)
            assert done_ends == (outcome.mark is not None)

    @pytest.mark.parametrize("word", ["insufficient_system_resource", "network_error"])
    def test_a_busy_provider_is_told_from_a_broken_stream(self, word: str) -> None:
        mark = Finish(FinishReason.ERROR, word)
        assert isinstance(OPENAI.unfinished(mark), ProviderOverloaded)
        assert isinstance(DASHSCOPE.unfinished(mark), StreamBroken)


def test_every_dialect_has_a_preset_of_its_own_name() -> None:
    assert {preset.dialect for preset in PRESETS.values()} <= PRESETS.keys()
