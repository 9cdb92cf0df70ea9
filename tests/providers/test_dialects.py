"""Habits of the dialects that no recorded sample shows."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from providers.dashscope import DashScope
from providers.dialect import Delta, Dialect, Finish, FinishReason, Reasoning, Text, Usage
from providers.openai import OpenAI
from providers.qianfan import Qianfan
from providers.qianfan_v1 import QianfanV1
from providers.sse import Event
from settings import BASE_URLS


def deltas(dialect: Dialect, body: dict[str, Any]) -> list[Delta]:
    """What one event says."""
    return list(dialect.deltas(Event(json.dumps(body).encode())))


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [fields]}


def finishes(found: list[Delta]) -> Iterator[tuple[FinishReason, str]]:
    return ((delta.reason, delta.word) for delta in found if isinstance(delta, Finish))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("STOP", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("sensitive", FinishReason.CONTENT_FILTER),
        ("network_error", FinishReason.ERROR),
    ],
)
def test_openai_shaped_finish_words(word: str, reason: FinishReason) -> None:
    assert [(reason, word)] == list(finishes(deltas(OpenAI(), choice(finish_reason=word))))


@pytest.mark.parametrize("word", ["null", "", None])
def test_words_that_mean_still_running(word: str | None) -> None:
    assert [] == deltas(OpenAI(), choice(finish_reason=word))
    for output in ({"finish_reason": word}, choice(finish_reason=word, message={"content": ""})):
        assert [] == deltas(DashScope(), {"output": output})


def test_reasoning_that_is_sent_under_both_names_is_taken_once() -> None:
    found = deltas(OpenAI(), choice(delta={"reasoning": "hm", "reasoning_content": "hm"}))
    assert [Reasoning("hm")] == found


def test_content_may_be_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    assert [Text("ab")] == deltas(OpenAI(), choice(delta={"content": parts}))
    message = {"content": [{"text": "a"}, {"image": "…"}]}
    assert [Text("a")] == deltas(DashScope(), {"output": choice(message=message)})
    assert [] == deltas(DashScope(), {"output": choice(message={"content": []})})


def test_other_choices_are_left_out() -> None:
    assert [] == deltas(OpenAI(), choice(index=1, delta={"content": "x"}, finish_reason="stop"))


def test_usage_without_figures_is_none() -> None:
    assert [] == deltas(DashScope(), {"output": {}, "usage": {}})
    assert [] == deltas(OpenAI(), {"choices": [], "usage": {"prompt_tokens": None}})
    assert [Usage(3, 0)] == deltas(OpenAI(), {"usage": {"prompt_tokens": 3}})


class TestQianfanFlags:
    """The verdict of Baidu's moderation comes with the pieces, and may come late."""

    @pytest.mark.parametrize("flag", [None, 0, 1])
    def test_what_is_safe_passes(self, flag: int | None) -> None:
        body = choice(delta={"content": "a"}, finish_reason="stop", flag=flag)
        assert [Text("a"), Finish(FinishReason.STOP, "stop")] == deltas(Qianfan(), body)

    def test_a_conversation_that_must_end_ends_filtered(self) -> None:
        body = choice(delta={"content": "a"}, finish_reason="normal", flag=2)
        filtered = Finish(FinishReason.CONTENT_FILTER, "normal")
        assert [Text("a"), filtered] == deltas(Qianfan(), body)

    @pytest.mark.parametrize("flag", [3, 4])
    def test_what_must_not_be_shown_is_not(self, flag: int) -> None:
        body = choice(delta={"content": "a"}, finish_reason="stop", flag=flag)
        assert [Finish(FinishReason.CONTENT_FILTER, "stop")] == deltas(Qianfan(), body)


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
        dialect = QianfanV1(access_token="24.x")
        ended = deltas(dialect, {"result": "", "is_end": True, **fields})
        assert [(reason, word)] == list(finishes(ended))
        running = deltas(dialect, {"result": "", "is_end": False, **fields})
        assert [] == list(finishes(running))


@pytest.mark.parametrize(
    ("name", "dialect"),
    [("openai", OpenAI), ("dashscope", DashScope), ("qianfan", Qianfan), ("qianfan-v1", QianfanV1)],
)
def test_a_dialect_alone_and_the_settings_name_the_same_public_address(name, dialect) -> None:
    assert BASE_URLS[name] == dialect.default_base_url
