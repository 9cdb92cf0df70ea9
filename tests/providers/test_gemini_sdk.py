"""Google's SDK reads what we read of Gemini, and asks what we ask.

The upstream is scripted and strict: it refuses what the API refuses, from the SDK and from us.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from model.blocks import Block, ToolCallBlock, ToolResultBlock
from model.messages import Role
from model.prompt import NamedTool, Prompt, ResponseFormat, Tool, Turn, text_turn
from providers.gemini import Gemini
from tests.gemini_api import canonical, refusal
from tests.gemini_framing import call, parts, text, thought, usage
from tests.providers.conversations import CITY, FILES, STORED_FILE, TWO_IMAGES, WEATHER, user
from tests.providers.gemini_steps import NEWER, OLDER, answered
from tests.providers.outcome import EXPECTED, SAMPLES, read
from tests.upstreams import ScriptedUpstream

SDK = Path(__file__).with_name("gemini_sdk.py")

READ_BY_SDK = [name for name in sorted(EXPECTED) if name.startswith("gemini")]
READ_BY_SDK.remove("gemini-array.json")  # the SDK never asks for it


async def sdk_says(upstream: ScriptedUpstream, *questions: dict[str, Any]) -> list[dict[str, Any]]:
    """What the SDK made of the next answers."""
    usual = {"model": NEWER, "config": {}, "contents": [turn("user", "hi")], "times": 1}
    asked = [{**usual, **question} for question in questions]
    command = [sys.executable, SDK, upstream.url, json.dumps(asked)]
    theirs = ("GOOGLE_", "GEMINI_")  # a developer may have set them
    environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    run = partial(
        subprocess.run, command, capture_output=True, check=True, timeout=25, env=environment
    )
    finished = await asyncio.get_running_loop().run_in_executor(None, run)
    said: list[dict[str, Any]] = json.loads(finished.stdout.splitlines()[-1])
    return said


def turn(role: str, words: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": words}]}


def ours(upstream: ScriptedUpstream, prompt: Prompt, **settings: bool) -> dict[str, Any]:
    """The body that we send; its target and its key are the SDK's."""
    request = Gemini(upstream.base_url("gemini"), **settings).request(prompt, "key-example")
    theirs = upstream.requests[0]
    assert upstream.url + theirs.target == request.url
    for name in ("x-goog-api-key", "Content-Type", "Authorization"):
        assert theirs.headers.get(name) == request.headers.get(name)
    headers = HTTPHeaders(request.headers)
    assert refusal(theirs.target, headers, request.body) is None
    body: dict[str, Any] = json.loads(request.body)
    return body


def meant(body: dict[str, Any]) -> dict[str, Any]:
    """A body as both clients mean it.

    The SDK spells some names and all base64 otherwise, gives the system prompt a role, which has
    no meaning, and sends an empty config. It sends back thoughts without a signature, and text in
    the pieces in which it came; the API needs neither.
    """
    body = canonical(body)
    body.get("systemInstruction", {}).pop("role", None)
    if body.get("generationConfig") == {}:
        del body["generationConfig"]
    for content in body["contents"]:
        said: list[dict[str, Any]] = []
        for part in content["parts"]:
            if "thoughtSignature" in part:
                part["thoughtSignature"] = _alphabet(part["thoughtSignature"])
            elif part.get("thought"):
                continue
            elif "text" in part and said and said[-1].keys() == {"text"}:
                said[-1]["text"] += part["text"]
                continue
            if "inlineData" in part:
                part["inlineData"]["data"] = _alphabet(part["inlineData"]["data"])
            if part != {"text": ""}:
                said.append(part)
        content["parts"] = said
    return body


def _alphabet(written: str) -> str:
    return written.replace("-", "+").replace("_", "/")


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_sdk_reads_what_we_read(upstream: ScriptedUpstream) -> None:
    upstream.reasoning("hm")
    upstream.tokens("你好", "，", "world 🐻")
    upstream.finish("length", (3, 4))
    for sample in READ_BY_SDK:
        upstream.next_request()
        upstream.sample(sample, status=EXPECTED[sample].get("http_status", 200))

    scripted, *recorded = await sdk_says(upstream, *[{}] * (1 + len(READ_BY_SDK)))

    assert ("hm", "你好，world 🐻") == (scripted["reasoning"], scripted["text"])
    assert ("MAX_TOKENS", [3, 4]) == (scripted["finish"], scripted["tokens"])
    for sample, theirs in zip(READ_BY_SDK, recorded, strict=True):
        status = EXPECTED[sample].get("http_status", 200)
        body = (SAMPLES / sample).read_bytes()
        mine = read(Gemini("http://localhost"), [body], status=status)
        calls = [[each["name"], json.loads(each["arguments"])] for each in mine.tool_calls]
        word = theirs["block"] or theirs["finish"]
        assert (theirs["text"], theirs["reasoning"]) == (mine.text_, mine.reasoning_), sample
        assert (theirs["calls"], word) == (calls, mine.finish_word), sample
        assert theirs["tokens"] == mine.tokens, sample
        code = mine.error.provider_code if mine.error is not None else None
        assert (str(theirs["error"]) if theirs["error"] else None) == code, sample


ROUNDS = [
    (
        *(thought(f"Thought {number} 🤔"), text(f"Round {number}"), text(" 👀.")),
        call("weather", {"city": "Paris", "n": number}, model=NEWER, **ids[0]),
        call("weather", {"city": "北京", "n": [number, 0.5]}, **ids[1]),
    )
    for number, ids in enumerate([({}, {}), ({"id": "a"}, {"id": "b"}), ({}, {})])
]
LAST = (text("Paris is"), text(" warmer."), text("", model=NEWER))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_tool_loop_of_three_rounds_is_asked_as_the_sdk_asks(
    upstream: ScriptedUpstream,
) -> None:
    for said in (*ROUNDS, LAST):
        upstream.raw(b"".join(map(parts, said)) + parts(reason="stop", **usage(3, 4)))
        upstream.end()
        upstream.next_request()
    declared = {
        "name": "weather",
        "description": "Tells the weather.",
        "parameters_json_schema": CITY,
    }
    config = {"system_instruction": "简短", "tools": [{"function_declarations": [declared]}]}

    question = {"contents": [turn("user", "Where is it warmer?")], "config": config, "times": 4}
    answers = await sdk_says(upstream, question)

    assert [None] * 4 == [answer["error"] for answer in answers]
    turns: list[Turn] = [text_turn(Role.USER, "Where is it warmer?")]
    for number, said in enumerate((*ROUNDS, LAST)):
        prompt = Prompt(model=NEWER, turns=tuple(turns), system="简短", tools=(WEATHER,))
        assert meant(upstream.requests[number].json) == meant(ours(upstream, prompt)), number
        blocks: tuple[Block, ...] = answered(*map(parts, said), parts(reason="stop")).blocks
        calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
        turns.append(Turn(Role.ASSISTANT, blocks))
        turns.append(user(*(ToolResultBlock(made.id, result_of(made)) for made in calls)))


def result_of(made: ToolCallBlock) -> str:
    """What `gemini_sdk.py` answers a call with."""
    arguments = json.dumps(json.loads(made.arguments), sort_keys=True, ensure_ascii=False)
    return f"{made.name} of {arguments}"


@pytest.mark.slow
@pytest.mark.gen_test
async def test_images_files_and_options_are_asked_as_the_sdk_asks(
    upstream: ScriptedUpstream,
) -> None:
    upstream.finish()
    png, pdf = (FILES[name].base64 for name in ("f-png", "f-pdf"))
    contents = [
        {
            "role": "user",
            "parts": [
                {"text": "Which is older?"},
                {"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/cat.png"}},
                {"inlineData": {"mimeType": "image/png", "data": png}},
                {"inlineData": {"mimeType": "application/pdf", "data": pdf}},
            ],
        }
    ]
    config = {
        "temperature": 0.5,
        "top_p": 0.25,
        "top_k": 3,
        "max_output_tokens": 99,
        "stop_sequences": ["。"],
        "seed": 4,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "response_mime_type": "application/json",
        "response_json_schema": CITY,
        "thinking_config": {"include_thoughts": True, "thinking_budget": 8192},
        "tools": [{"function_declarations": [{"name": "now"}]}],
        "tool_config": {
            "function_calling_config": {"mode": "ANY", "allowed_function_names": ["now"]}
        },
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "media_resolution": "MEDIA_RESOLUTION_LOW",
    }

    [answer] = await sdk_says(upstream, {"model": OLDER, "contents": contents, "config": config})

    assert ("STOP", None) == (answer["finish"], answer["error"])
    prompt = Prompt(
        model=OLDER,
        turns=(user(*TWO_IMAGES.blocks, STORED_FILE),),
        files=FILES,
        temperature=0.5,
        top_p=0.25,
        top_k=3,
        max_tokens=99,
        stop=("。",),
        seed=4,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        response_format=ResponseFormat(CITY),
        reasoning_effort="medium",
        tools=(Tool("now"),),
        tool_choice=NamedTool("now"),
        extra={
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            "generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"},
        },
    )
    assert meant(upstream.requests[0].json) == meant(ours(upstream, prompt))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_upstream_refuses_what_is_wrong(upstream: ScriptedUpstream) -> None:
    """From the SDK, too, so that a request of ours which it takes says something."""
    upstream.finish()
    unsigned = {"functionCall": {"name": "now", "args": {}}}
    corrupted = {**unsigned, "thoughtSignature": base64.b64encode(b"x").decode()}
    result = {"functionResponse": {"name": "now", "response": {"output": "1"}}}
    wrong: list[dict[str, Any]] = [
        {"contents": [turn("model", "hi")]},
        {"contents": [turn("user", "hi"), {"role": "model", "parts": [unsigned]}]},
        {"config": {"thinking_config": {"thinking_level": "LOW"}}, "model": OLDER},
        {"config": {"stop_sequences": list("abcdef")}},
        {"config": {"tool_config": {"function_calling_config": {"mode": "ANY"}}}},
    ]
    for part in (unsigned, corrupted):
        model, following = {"role": "model", "parts": [part]}, {"role": "user", "parts": [result]}
        wrong.append({"contents": [turn("user", "hi"), model, following]})

    answers = await sdk_says(upstream, *wrong)

    assert [400] * len(wrong) == [answer["error"] for answer in answers]
