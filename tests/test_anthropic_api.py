"""The script of Anthropic's API refuses what it should: what it lets pass, no test would find."""

import json
from typing import Any

import pytest

from tests.anthropic_api import refusal
from tests.anthropic_framing import signature_of

MODEL = "claude-haiku-4-5"
HEADERS = {
    "x-api-key": "k",
    "anthropic-version": "2023-06-01",
    "Content-Type": "application/json",
}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "c1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "c1", "content": "x"}
THOUGHT = {"type": "thinking", "thinking": "a", "signature": signature_of(MODEL, "a")}
SAID = {"type": "text", "text": "a"}
THINKS = {"type": "enabled", "budget_tokens": 1024}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks) or "hi"}


def answer(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def problem(headers: dict[str, str] | None = None, **fields: Any) -> str | None:
    """What is wrong with a request that has these fields; those that are None are left out."""
    body = {"model": MODEL, "max_tokens": 2000, "stream": True, "messages": [user()], **fields}
    data = json.dumps({name: value for name, value in body.items() if value is not None})
    refused = refusal(HEADERS if headers is None else headers, data.encode())
    return None if refused is None else refused[1]["error"]["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"temperature": 0.5, "top_k": 3, "system": "s", "stop_sequences": ["a"]},
        {"thinking": THINKS, "temperature": 1},
        {"thinking": {"type": "adaptive"}, "model": "claude-opus-4-6"},
        {"messages": [user(), answer(THOUGHT, SAID), user()]},
        {
            "tools": [TOOL],
            "thinking": THINKS,
            "messages": [user(), answer(THOUGHT, CALL), user(RESULT)],
        },
        {
            "tools": [TOOL],
            "thinking": THINKS,
            "messages": [
                *(user(), answer(THOUGHT, CALL), user(RESULT)),
                *(answer(CALL | {"id": "c2"}), user(RESULT | {"tool_use_id": "c2"})),
            ],
        },
        {
            "tools": [TOOL],
            "model": "claude-opus-4-6",
            "thinking": {"type": "adaptive"},
            "messages": [user(), answer(CALL), user(RESULT)],
        },
    ],
)
def test_what_is_right_is_taken(fields: dict[str, Any]) -> None:
    assert problem(**fields) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"n": 2}, "extra inputs"),
        ({"temperature": 1.5}, "temperature"),
        ({"stop_sequences": ["\n"]}, "stop_sequences"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1000}}, "at least 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "must be greater"),
        ({"thinking": THINKS, "temperature": 0.5}, "temperature"),
        ({"thinking": {"type": "adaptive"}}, "not supported"),
        ({"thinking": THINKS, "model": "claude-opus-4-7"}, "not supported"),
        ({"tool_choice": {"type": "auto"}}, "while providing tools"),
        ({"tools": [{"name": "f", "parameters": {}}]}, "field required"),
        ({"tools": [TOOL, TOOL]}, "unique"),
        ({"tools": [TOOL], "tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"messages": []}, "at least one"),
        ({"messages": [answer(SAID)]}, "first message"),
        ({"messages": [user(), answer(SAID)]}, "prefill"),
        ({"messages": [user({"type": "text", "text": " "})]}, "non-whitespace"),
        ({"messages": [user(), answer(CALL), user(RESULT)]}, "define tools"),
        ({"tools": [TOOL], "messages": [user(), answer(CALL), user(SAID)]}, "do not match"),
        ({"tools": [TOOL], "messages": [user(RESULT)]}, "do not match"),
        (
            {"tools": [TOOL], "messages": [user(), answer(CALL), user(SAID, RESULT)]},
            "come first",
        ),
        (
            {
                "tools": [TOOL],
                "thinking": THINKS,
                "messages": [user(), answer(CALL), user(RESULT)],
            },
            "expected thinking",
        ),
        (
            {"tools": [TOOL], "messages": [user(), answer(THOUGHT, CALL), user(RESULT)]},
            "when thinking is disabled",
        ),
        ({"system": " "}, "system"),
        (
            {
                "tools": [TOOL],
                "messages": [user(), answer(CALL), user(RESULT | {"content": "\n"})],
            },
            "tool_result.content",
        ),
        (
            {"messages": [user(), answer(THOUGHT | {"thinking": "b"}, SAID), user()]},
            "invalid signature",
        ),
        (
            {"model": "claude-opus-4-5", "messages": [user(), answer(THOUGHT, SAID), user()]},
            "invalid signature",
        ),
        ({"messages": [user(), answer(SAID, THOUGHT), user()]}, "final block"),
        (
            {"messages": [user({"type": "image", "source": {"type": "url", "url": "http://x"}})]},
            "HTTPS",
        ),
        ({"messages": [user({"type": "image_url", "image_url": {}})]}, "not permitted"),
    ],
)
def test_what_is_wrong_is_refused(fields: dict[str, Any], said: str) -> None:
    assert said in str(problem(**fields))


@pytest.mark.parametrize(
    "headers",
    [
        {**HEADERS, "x-api-key": ""},
        {**HEADERS, "Authorization": "Bearer k"},
        {**HEADERS, "anthropic-version": "2020-01-01"},
    ],
)
def test_a_request_has_one_key_and_a_version(headers: dict[str, str]) -> None:
    assert problem(headers) is not None


def test_the_newest_version_takes_no_sampling_options() -> None:
    newest = {**HEADERS, "anthropic-version": "2026-10-21"}

    assert "extra inputs" in str(problem(newest, temperature=1))
    assert problem(newest) is None
