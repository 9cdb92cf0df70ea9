"""The options of questions to Gemini, and further fields of its requests."""

from typing import Any

import pytest

from model.prompt import NamedTool, ResponseFormat, Tool
from providers.gemini import Gemini
from tests.providers.conversations import (
    ANSWER,
    CITY,
    CLOCK,
    WEATHER,
)
from tests.providers.gemini_steps import HOST, NEWER, OLDER, refused, sent


def config(**options: Any) -> dict[str, Any]:
    """The generation config of a request."""
    found: dict[str, Any] = sent(**options).get("generationConfig", {})
    return found


class TestOptions:
    def test_sampling(self) -> None:
        assert {
            "temperature": 0.5,
            "topP": 0.25,
            "topK": 3,
            "maxOutputTokens": 9,
            "stopSequences": ["a", "b"],
            "seed": 4,
            "presencePenalty": 0.0,
            "frequencyPenalty": -1.0,
        } == config(
            temperature=0.5,
            top_p=0.25,
            top_k=3,
            max_tokens=9,
            stop=("a", "b"),
            seed=4,
            presence_penalty=0.0,
            frequency_penalty=-1.0,
        )

    def test_what_is_not_asked_is_not_sent(self) -> None:
        assert {"contents"} == sent().keys()

    @pytest.mark.parametrize(
        ("options", "name"),
        [
            ({"stop": tuple("abcdef")}, "stop"),
            ({"seed": 2**31}, "seed"),
            ({"parallel_tool_calls": False}, "parallel_tool_calls"),
            ({"tool_choice": "required"}, "tool_choice"),
            ({"tool_choice": NamedTool("now")}, "tool_choice"),
            ({"reasoning_effort": "low", "reasoning_budget": 9}, "reasoning_budget"),
            ({"reasoning_effort": "xhigh"}, "reasoning_effort"),
            ({"reasoning_effort": "max", "model": OLDER}, "reasoning_effort"),
        ],
    )
    def test_what_cannot_be_said_is_refused(self, options: dict[str, Any], name: str) -> None:
        assert name == refused(**options)

    def test_json_with_and_without_a_schema(self) -> None:
        assert {"responseMimeType": "application/json"} == config(response_format=ResponseFormat())
        assert {
            "responseMimeType": "application/json",
            "responseJsonSchema": CITY,
        } == config(response_format=ANSWER)

    @pytest.mark.parametrize(
        ("model", "options", "thinking"),
        [
            (NEWER, {"reasoning_effort": "minimal"}, {"thinkingLevel": "MINIMAL"}),
            (NEWER, {"reasoning_effort": "high"}, {"thinkingLevel": "HIGH"}),
            (NEWER, {"reasoning_budget": 99}, {"thinkingBudget": 99}),
            (OLDER, {"reasoning_effort": "low"}, {"thinkingBudget": 1024}),
            (OLDER, {"reasoning_effort": "high"}, {"thinkingBudget": 24576}),
            (OLDER, {"reasoning_effort": "low", "reasoning_budget": 99}, {"thinkingBudget": 99}),
            (f"models/{OLDER}", {"reasoning_effort": "medium"}, {"thinkingBudget": 8192}),
        ],
    )
    def test_thinking(self, model: str, options: dict[str, Any], thinking: dict[str, Any]) -> None:
        found = config(model=model, **options)["thinkingConfig"]
        assert {**thinking, "includeThoughts": True} == found

    @pytest.mark.parametrize("options", [{"reasoning_effort": "none"}, {"reasoning_budget": 0}])
    @pytest.mark.parametrize("model", [OLDER, NEWER])
    @pytest.mark.parametrize("include", [True, False])
    def test_no_thinking(self, options: dict[str, Any], model: str, include: bool) -> None:
        dialect = Gemini(f"{HOST}/v1beta", include_thoughts=include)
        found = config(dialect=dialect, model=model, **options)
        assert {"thinkingConfig": {"thinkingBudget": 0}} == found

    def test_thoughts_may_always_be_asked_for(self) -> None:
        dialect = Gemini(f"{HOST}/v1beta", include_thoughts=True)
        thinking = {"includeThoughts": True}
        assert {"thinkingConfig": thinking} == config(dialect=dialect)
        assert {"temperature": 1, "thinkingConfig": thinking} == config(
            dialect=dialect, temperature=1
        )

    def test_tools_are_declared_with_their_schemas(self) -> None:
        assert [
            {
                "functionDeclarations": [
                    {
                        "name": "weather",
                        "description": "Tells the weather.",
                        "parametersJsonSchema": CITY,
                    },
                    {"name": "clock"},
                ]
            }
        ] == sent(tools=(WEATHER, CLOCK))["tools"]

    @pytest.mark.parametrize(
        ("choice", "strict", "calling"),
        [
            (None, False, None),
            ("auto", False, None),
            ("none", False, {"mode": "NONE"}),
            ("required", False, {"mode": "ANY"}),
            (NamedTool("now"), False, {"mode": "ANY", "allowedFunctionNames": ["now"]}),
            (None, True, {"mode": "VALIDATED"}),
            ("auto", True, {"mode": "VALIDATED"}),
            ("none", True, {"mode": "NONE"}),
            ("required", True, {"mode": "ANY"}),
        ],
    )
    def test_the_choice_of_a_tool(self, choice: Any, strict: bool, calling: Any) -> None:
        tools = (WEATHER, Tool("now", strict=strict))
        body = sent(tools=tools, tool_choice=choice, parallel_tool_calls=True)
        assert calling == body.get("toolConfig", {}).get("functionCallingConfig")

    @pytest.mark.parametrize("choice", ["auto", "none"])
    def test_no_choice_is_sent_without_tools(self, choice: str) -> None:
        assert {"contents"} == sent(tool_choice=choice).keys()


class TestExtra:
    def test_further_fields_are_merged(self) -> None:
        extra = {
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            "labels": {"team_a": "x"},
            "generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"},
        }
        body = sent(extra=extra, temperature=1)
        assert {"temperature": 1, "mediaResolution": "MEDIA_RESOLUTION_LOW"} == body.pop(
            "generationConfig"
        )
        assert (extra["safetySettings"], extra["labels"]) == (
            body["safetySettings"],
            body["labels"],
        )

    def test_thoughts_may_be_left_out(self) -> None:
        extra = {"generationConfig": {"thinkingConfig": {"includeThoughts": False}}}
        thinking = config(extra=extra, reasoning_effort="low")["thinkingConfig"]
        assert {"thinkingLevel": "LOW", "includeThoughts": False} == thinking

    @pytest.mark.parametrize(
        "extra",
        [
            *({name: 1} for name in ("contents", "systemInstruction", "model", "tools")),
            *({name: {}} for name in ("system_instruction", "generation_config", "tool_config")),
            {"safety_settings": []},
            {"generationConfig": {"maxOutputTokens": 1}},
            {"generationConfig": {"max_output_tokens": 1}},
            {"generationConfig": {"thinkingConfig": {"thinking_budget": 1}}},
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
            {"toolConfig": {"function_calling_config": {}}},
        ],
    )
    def test_our_fields_are_ours_in_either_spelling(self, extra: dict[str, Any]) -> None:
        path = "extra"
        inner: Any = extra
        name = refused(extra=extra)
        while isinstance(inner, dict) and inner and path != name:
            [(key, inner)] = inner.items()
            path += f".{key}"
        assert path == name
