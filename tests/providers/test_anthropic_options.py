"""The options of a question as fields of Anthropic's Messages API."""

from typing import Any

import pytest

from model.prompt import NamedTool, Prompt, ResponseFormat, Tool
from providers.anthropic import Anthropic
from tests.providers.anthropic_steps import ADAPTIVE, BOTH, BUDGETED, HELLO, refused, sent
from tests.providers.conversations import CITY, CLOCK, WEATHER

NEWEST = Anthropic("https://api.anthropic.com", version="2026-10-21", prompt_cache=False)


def test_a_question_is_sent_with_the_limit_that_the_api_requires() -> None:
    assert {
        "model": BUDGETED,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "max_tokens": 8192,
        "stream": True,
    } == sent()


def test_the_version_and_the_key_are_headers() -> None:
    headers = NEWEST.request(Prompt(model="m", turns=HELLO), "sk-ant-example").headers

    assert ("2026-10-21", "sk-ant-example") == (headers["anthropic-version"], headers["x-api-key"])
    assert "x-api-key" not in NEWEST.request(Prompt(model="m", turns=HELLO), None).headers


def test_options_have_the_apis_names() -> None:
    body = sent(
        system="short", temperature=0.5, top_p=0.9, top_k=3, max_tokens=5, stop=("a", "b"),
        extra={"metadata": {"user_id": "u"}},
    )  # fmt: skip

    assert ("short", 0.5, 0.9, 3, 5, ["a", "b"], {"user_id": "u"}) == tuple(
        body[name]
        for name in (
            *("system", "temperature", "top_p", "top_k", "max_tokens", "stop_sequences"),
            "metadata",
        )
    )


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"seed": 1}, "seed"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"stop": ("a", "\n")}, "stop"),
        ({"response_format": ResponseFormat()}, "response_format"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"reasoning_budget": 1000}, "reasoning_budget"),
        ({"reasoning_budget": 2048, "max_tokens": 2048}, "max_tokens"),
        ({"reasoning_effort": "low", "max_tokens": 1024}, "max_tokens"),
        ({"reasoning_effort": "none", "reasoning_budget": 2048}, "reasoning_effort"),
        ({"reasoning_effort": "low", "reasoning_budget": 2048}, "reasoning_effort"),
        ({"reasoning_effort": "max"}, "reasoning_effort"),
        ({"reasoning_effort": "low", "temperature": 0.5}, "temperature"),
        ({"reasoning_effort": "low", "top_k": 3}, "top_k"),
        ({"reasoning_effort": "low", "top_p": 0.5}, "top_p"),
        (
            {"reasoning_effort": "low", "tools": (WEATHER,), "tool_choice": "required"},
            "tool_choice",
        ),
        (
            {"model": ADAPTIVE, "reasoning_effort": "low", "temperature": 0.5},
            "temperature",
        ),
        *(
            ({"extra": {name: {}}}, f"extra.{name}")
            for name in ("model", "messages", "system", "stream", "max_tokens", "cache_control")
        ),
    ],
)
def test_what_the_api_cannot_express_is_refused_by_name(options: dict[str, Any], name: str) -> None:
    assert name == refused(**options)


def test_a_temperature_above_the_range_is_the_highest_of_it() -> None:
    assert 1 == sent(temperature=1.5)["temperature"]
    assert 1 == sent(temperature=2.0, reasoning_effort="low")["temperature"]


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_the_newest_version_has_no_sampling_options(name: str) -> None:
    assert name == refused(
        dialect=NEWEST, **{name: {"temperature": 1, "top_p": 0.5, "top_k": 1}[name]}
    )
    assert "max_tokens" in sent(dialect=NEWEST, stop=("a",))


@pytest.mark.parametrize(
    ("model", "options", "thinking", "effort", "max_tokens"),
    [
        (BUDGETED, {}, None, None, 8192),
        (BUDGETED, {"reasoning_effort": "none"}, {"type": "disabled"}, None, 8192),
        (BUDGETED, {"reasoning_budget": 0}, {"type": "disabled"}, None, 8192),
        (BUDGETED, {"reasoning_budget": 5000}, 5000, None, 13192),
        (BUDGETED, {"reasoning_budget": 5000, "max_tokens": 5001}, 5000, None, 5001),
        (BUDGETED, {"reasoning_effort": "minimal"}, 1024, None, 9216),
        (BUDGETED, {"reasoning_effort": "low"}, 2048, None, 10240),
        (BUDGETED, {"reasoning_effort": "medium"}, 8192, None, 16384),
        (BUDGETED, {"reasoning_effort": "high"}, 16384, None, 24576),
        (BUDGETED, {"reasoning_effort": "high", "max_tokens": 6000}, 3000, None, 6000),
        (BUDGETED, {"reasoning_effort": "high", "max_tokens": 1500}, 1024, None, 1500),
        ("kimi-k2", {"reasoning_effort": "low"}, 2048, None, 10240),
        ("claude-3-7-sonnet-latest", {"reasoning_effort": "low"}, 2048, None, 10240),
        ("claude-sonnet-4-20250514", {"reasoning_effort": "low"}, 2048, None, 10240),
        (ADAPTIVE, {"reasoning_effort": "none"}, {"type": "disabled"}, None, 8192),
        (ADAPTIVE, {"reasoning_effort": "minimal"}, "adaptive", "low", 8192),
        (ADAPTIVE, {"reasoning_effort": "high", "max_tokens": 99}, "adaptive", "high", 99),
        (ADAPTIVE, {"reasoning_effort": "max"}, "adaptive", "max", 8192),
        (BOTH, {"reasoning_effort": "medium"}, "adaptive", "medium", 8192),
        (BOTH, {"reasoning_effort": "low", "reasoning_budget": 2000}, 2000, "low", 10192),
    ],
)
def test_reasoning_is_asked_for_as_the_model_knows_it(
    model: str, options: dict[str, Any], thinking: Any, effort: str | None, max_tokens: int
) -> None:
    body = sent(model=model, **options)

    if thinking == "adaptive":
        thinking = {"type": "adaptive", "display": "summarized"}
    elif isinstance(thinking, int):
        thinking = {"type": "enabled", "budget_tokens": thinking}
    assert (thinking, effort, max_tokens) == (
        body.get("thinking"),
        body.get("output_config", {}).get("effort"),
        body["max_tokens"],
    )


def test_thinking_leaves_room_for_the_options_that_go_with_it() -> None:
    body = sent(reasoning_effort="low", temperature=1.0, top_p=0.95, tools=(WEATHER,))

    assert (1.0, 0.95) == (body["temperature"], body["top_p"])


def test_a_schema_of_the_answer_is_sent() -> None:
    body = sent(model=ADAPTIVE, response_format=ResponseFormat(CITY), reasoning_effort="low")

    assert {"effort": "low", "format": {"type": "json_schema", "schema": CITY}} == body[
        "output_config"
    ]


def test_tools_have_a_schema_also_without_parameters() -> None:
    strict = Tool("strict", "d", CITY, strict=True)

    assert [
        {"name": "weather", "description": "Tells the weather.", "input_schema": CITY},
        {"name": "clock", "input_schema": {"type": "object", "properties": {}}},
        {"name": "strict", "description": "d", "input_schema": CITY, "strict": True},
    ] == sent(tools=(WEATHER, CLOCK, strict))["tools"]


@pytest.mark.parametrize(
    ("options", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": NamedTool("clock")}, {"type": "tool", "name": "clock"}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"parallel_tool_calls": False, "tool_choice": "required"},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
    ],
)
def test_the_choice_of_a_tool(options: dict[str, Any], choice: dict[str, Any] | None) -> None:
    assert choice == sent(tools=(WEATHER, CLOCK), **options).get("tool_choice")


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_choice_that_changes_nothing_is_not_sent_without_tools(choice: str) -> None:
    assert "tool_choice" not in sent(tool_choice=choice, parallel_tool_calls=False)
