"""With tools, images and formats our requests are those that the official SDKs send."""

import json
from typing import Any

import pytest

from model.blocks import TextBlock, ToolResultBlock
from model.messages import Role
from model.prompt import Prompt, Turn, text_turn
from providers.dashscope import DashScope
from providers.dialect import Dialect
from providers.openai import OpenAI
from providers.qianfan import Qianfan
from providers.qianfan_v1 import QianfanV1
from tests.providers.conversations import (
    ANSWER,
    CITY,
    FILES,
    NAMED,
    STORED_FILE,
    TWO_IMAGES,
    WEATHER,
    assistant,
    call,
    user,
)
from tests.providers.test_sdks import KEYS, sdk_reads
from tests.upstreams import ScriptedUpstream

CALLS: tuple[Turn, ...] = (
    text_turn(Role.USER, "weather?"),
    assistant(call("call_1", "Paris"), call("call_2", "Oslo")),
    user(ToolResultBlock("call_1", '{"c": 20}'), ToolResultBlock("call_2", '{"c": 5}')),
)
ARGUMENTS = ('{"city": "Paris"}', '{"city": "Oslo"}')
RESULTS = ('{"c": 20}', '{"c": 5}')
DESCRIBED = {"name": "weather", "description": "Tells the weather.", "parameters": CITY}
TOOLS = [{"type": "function", "function": DESCRIBED}]
CHOICE = {"type": "function", "function": {"name": "weather"}}
PNG_URI = f"data:image/png;base64,{FILES['f-png'].base64}"
PDF_URI = f"data:application/pdf;base64,{FILES['f-pdf'].base64}"
CAT = "https://example.org/cat.png"


def openai_messages(nothing: str | None) -> list[dict[str, Any]]:
    """The conversation as OpenAI's SDK and those like it take it."""
    ids = ("call_1", "call_2")
    calls = [
        {"id": each, "type": "function", "function": {"name": "weather", "arguments": arguments}}
        for each, arguments in zip(ids, ARGUMENTS, strict=True)
    ]
    return [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": nothing, "tool_calls": calls},
        *(
            {"role": "tool", "tool_call_id": each, "content": result}
            for each, result in zip(ids, RESULTS, strict=True)
        ),
    ]


def v1_messages() -> list[dict[str, Any]]:
    """The same as Qianfan's first SDK takes it: one call at a time, without ids."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "weather?"}]
    for arguments, result in zip(ARGUMENTS, RESULTS, strict=True):
        called = {"name": "weather", "arguments": arguments}
        messages.append({"role": "assistant", "content": "", "function_call": called})
        messages.append({"role": "function", "name": "weather", "content": result})
    return messages


TOOL_OPTIONS: dict[str, Any] = {"tools": (WEATHER,), "tool_choice": NAMED}
# The SDK, its question, and ours.
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "openai calls": (
        "openai",
        {
            "model": "gpt-example",
            "messages": openai_messages(None),
            "tools": TOOLS,
            "tool_choice": CHOICE,
            "parallel_tool_calls": False,
            "seed": 3,
            "reasoning_effort": "low",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "city", "schema": CITY, "strict": True},
            },
        },
        {
            "turns": CALLS,
            **TOOL_OPTIONS,
            "parallel_tool_calls": False,
            "seed": 3,
            "reasoning_effort": "low",
            "response_format": ANSWER,
        },
    ),
    "openai parts": (
        "openai",
        {
            "model": "gpt-example",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Which is older?"},
                        {"type": "image_url", "image_url": {"url": CAT}},
                        {"type": "image_url", "image_url": {"url": PNG_URI}},
                        {"type": "file", "file": {"filename": "report.pdf", "file_data": PDF_URI}},
                    ],
                }
            ],
        },
        {"turns": (Turn(Role.USER, (*TWO_IMAGES.blocks, STORED_FILE)),)},
    ),
    "dashscope calls": (
        "dashscope",
        {
            "model": "qwen-example",
            "messages": openai_messages(""),
            "tools": TOOLS,
            "tool_choice": CHOICE,
            "parallel_tool_calls": False,
            "top_k": 7,
            "enable_thinking": True,
            "thinking_budget": 512,
        },
        {
            "turns": CALLS,
            **TOOL_OPTIONS,
            "parallel_tool_calls": False,
            "top_k": 7,
            "reasoning_effort": "high",
            "reasoning_budget": 512,
        },
    ),
    "dashscope images": (
        "dashscope-multimodal",
        {
            "model": "qwen-vl-example",
            "messages": [
                {
                    "role": "user",
                    "content": [{"text": "Which is older?"}, {"image": CAT}, {"image": PNG_URI}],
                },
                {"role": "assistant", "content": [{"text": "The cat."}]},
                {"role": "user", "content": [{"text": "Sure?"}]},
            ],
            "seed": 3,
        },
        {
            "turns": (
                TWO_IMAGES,
                assistant(TextBlock("The cat.")),
                text_turn(Role.USER, "Sure?"),
            ),
            "seed": 3,
        },
    ),
    "qianfan calls": (
        "qianfan",
        {
            "model": "ernie-example",
            "messages": openai_messages(None),
            "tools": TOOLS,
            "tool_choice": CHOICE,
            "stream_options": {"include_usage": True},
        },
        {"turns": CALLS, **TOOL_OPTIONS},
    ),
    "qianfan-v1 calls": (
        "qianfan-v1",
        {
            "model": "ERNIE-3.5-8K",
            "messages": v1_messages(),
            "functions": [DESCRIBED],
            "tool_choice": CHOICE,
        },
        {"turns": CALLS, **TOOL_OPTIONS},
    ),
}


def dialect(sdk: str, upstream: ScriptedUpstream) -> Dialect:
    match sdk:
        case "openai":
            return OpenAI(upstream.base_url())
        case "qianfan":
            return Qianfan(upstream.base_url("qianfan"))
        case "qianfan-v1":
            return QianfanV1(upstream.base_url("qianfan-v1"))
        case _:
            return DashScope(upstream.base_url("dashscope"))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.gen_test
async def test_the_sdk_asks_as_we_do(case: str, upstream: ScriptedUpstream) -> None:
    sdk, theirs, ours = CASES[case]
    upstream.tokens("{}", " fine")
    upstream.finish()

    [outcome] = await sdk_reads(sdk, upstream, prompt=theirs)

    assert {"text": "{} fine", "error": None} == outcome
    request = upstream.requests[0]
    prompt = Prompt(model=theirs["model"], files=FILES, **ours)
    asked = dialect(sdk, upstream)
    asked.check(prompt)
    credential = upstream.token if sdk == "qianfan-v1" else KEYS["api_key"]
    mine = asked.request(prompt, credential)
    assert (upstream.url + request.target) == mine.url
    sent = request.json
    sent.pop("extra_parameters", None)  # by which qianfan's SDK names itself
    assert sent == json.loads(mine.body)
