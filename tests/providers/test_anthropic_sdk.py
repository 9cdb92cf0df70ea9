"""Anthropic's SDK reads what we read of the Messages API, and asks what we ask.

The upstream is scripted and strict: it refuses what the API refuses, from the SDK and from us.
"""

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from model.blocks import Block, TextBlock, ToolResultBlock
from model.messages import Role
from model.prompt import NamedTool, Prompt, ResponseFormat, Turn, text_turn
from model.usage import Usage
from providers.anthropic import Anthropic
from tests import anthropic_framing
from tests.anthropic_framing import end, hidden_thinking, start, text, thinking, tool_use
from tests.providers.conversations import (
    CITY,
    FILE_URL,
    FILES,
    IMAGE_URL,
    STORED_FILE,
    STORED_IMAGE,
    WEATHER,
)
from tests.providers.outcome import EXPECTED, SAMPLES, Outcome, reader_into
from tests.providers.recorded import Recorded
from tests.upstreams import ScriptedUpstream

SDK = Path(__file__).with_name("anthropic_sdk.py")
MODEL = "claude-sonnet-5"
VERSION = "2026-10-21"  # that the SDK sends
LONG = 120  # seconds: to import the SDK takes five of them, and many more on a busy machine

RESULTS = {
    **{f"toolu_{number}_a": f"{20 + number} °C" for number in range(3)},
    **{f"toolu_{number}_b": f"{number} °C 🧊" for number in range(3)},
}
TOOL = {"name": "weather", "description": "Tells the weather.", "input_schema": CITY}


def round_of_calls(number: int) -> bytes:
    """Thinking, shown and hidden, text, and two calls."""
    figures = {"cache_read_input_tokens": 100 * number, "cache_creation_input_tokens": 50}
    return (
        start(10 + number, MODEL, **figures)
        + thinking(0, f"Thought {number} 🤔", " and on", model=MODEL)
        + hidden_thinking(1, MODEL)
        + text(2, "Let me", f" look {number} 👀.")
        + tool_use(3, f"toolu_{number}_a", "weather", "", '{"city":', '"Paris"}')
        + tool_use(4, f"toolu_{number}_b", "weather", '{"city": "北京"}')
        + end("tool_use", 40 + number)
    )


LAST = start(99, MODEL) + text(0, "Paris", " is warmer.") + end("end_turn", 5)


def ours(upstream: ScriptedUpstream, *, prompt_cache: bool = False) -> Anthropic:
    url = upstream.base_url("anthropic")
    return Anthropic(url, version=VERSION, prompt_cache=prompt_cache)


async def sdk_says(upstream: ScriptedUpstream, question: dict[str, Any]) -> list[dict[str, Any]]:
    """What the SDK made of the next answers."""
    command = [sys.executable, SDK, upstream.base_url("anthropic"), json.dumps(question)]
    environment = {name: value for name, value in os.environ.items() if "ANTHROPIC_" not in name}
    run = partial(
        subprocess.run, command, capture_output=True, check=True, timeout=LONG, env=environment
    )
    finished = await asyncio.get_running_loop().run_in_executor(None, run)
    said: list[dict[str, Any]] = json.loads(finished.stdout.splitlines()[-1])
    return said


def check_asked(upstream: ScriptedUpstream, number: int, dialect: Anthropic, ours: Prompt) -> None:
    """The SDK's request of that number is the one that we make."""
    request = dialect.request(ours, "sk-ant-example")
    theirs = upstream.requests[number]
    assert (upstream.url + theirs.target) == request.url
    assert theirs.headers["anthropic-version"] == request.headers["anthropic-version"]
    # Two ways to send the same key.
    assert theirs.headers["Authorization"] == f"Bearer {request.headers['x-api-key']}"
    assert theirs.json == json.loads(request.body)


def check_same(mine: Outcome, theirs: dict[str, Any]) -> None:
    """We read what the SDK read."""
    assert mine.text_ == theirs["text"]
    assert mine.reasoning_ == theirs["thinking"]
    assert mine.finish_word == theirs["stop_reason"]
    content = theirs["content"]
    assert [
        (call["id"], call["name"], json.loads(call["arguments"])) for call in mine.tool_calls
    ] == [
        (block["id"], block["name"], block["input"])
        for block in content
        if block["type"] == "tool_use"
    ]
    assert [data.value for data in mine.kept] == [
        {name: block[name] for name in block if name != "thinking"}
        for block in content
        if block.get("signature") or block["type"] == "redacted_thinking"
    ]
    usage = theirs["usage"]
    cached = usage.get("cache_read_input_tokens", 0)
    written = usage.get("cache_creation_input_tokens", 0)
    assert mine.counted == Usage(
        usage["input_tokens"] + cached + written,
        usage["output_tokens"],
        cached_tokens=cached,
        cache_written_tokens=written,
    )


def our_reading(upstream: ScriptedUpstream, body: bytes) -> Recorded:
    """What we make of a response."""
    outcome = Recorded(MODEL)
    reader = reader_into(outcome, ours(upstream), model=MODEL)
    reader.feed(body)
    reader.end()
    return outcome


@pytest.mark.slow
@pytest.mark.gen_test(timeout=LONG)
async def test_three_rounds_of_two_calls_are_asked_and_read_as_the_sdk_does(
    upstream: ScriptedUpstream,
) -> None:
    script = [*(round_of_calls(number) for number in range(3)), LAST]
    for number, body in enumerate(script):
        if number:
            upstream.next_request()
        upstream.raw(body)
        upstream.end()
    create = {
        "model": MODEL,
        "max_tokens": 8192,
        "system": "简短",
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "low"},
        "tools": [TOOL],
    }
    asked = "Where is it warmer?"
    messages = [{"role": "user", "content": [{"type": "text", "text": asked}]}]

    said = await sdk_says(
        upstream, {"create": create, "messages": messages, "results": RESULTS, "times": 4}
    )

    turns = [text_turn(Role.USER, asked)]
    for number, (theirs, body) in enumerate(zip(said, script, strict=True)):
        assert theirs["error"] is None
        prompt = Prompt(
            model=MODEL,
            turns=tuple(turns),
            system="简短",
            reasoning_effort="low",
            tools=(WEATHER,),
        )
        check_asked(upstream, number, ours(upstream), prompt)

        mine = our_reading(upstream, body)
        check_same(mine, theirs)
        calls = [call["id"] for call in mine.tool_calls]
        results: list[Block] = [ToolResultBlock(each, RESULTS[each]) for each in calls]
        turns += [Turn(Role.ASSISTANT, mine.answer.blocks()), Turn(Role.USER, tuple(results))]


@pytest.mark.slow
@pytest.mark.gen_test(timeout=LONG)
async def test_parts_and_options_are_asked_as_the_sdk_does(upstream: ScriptedUpstream) -> None:
    upstream.tokens("yes")
    upstream.finish()
    cache = {"cache_control": {"type": "ephemeral"}}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": FILES["f-pdf"].base64}
    png = {"type": "base64", "media_type": "image/png", "data": FILES["f-png"].base64}
    parts = [
        {"type": "text", "text": "Compare these."},
        {"type": "image", "source": {"type": "url", "url": IMAGE_URL.url}},
        {"type": "image", "source": png},
        {"type": "document", "source": pdf, "title": "report.pdf"},
        {"type": "document", "source": {"type": "url", "url": FILE_URL.url}, **cache},
    ]
    create = {
        "model": MODEL,
        "max_tokens": 99,
        "system": [{"type": "text", "text": "简短", **cache}],
        "stop_sequences": ["。"],
        "tools": [TOOL],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        "output_config": {"format": {"type": "json_schema", "schema": CITY}},
        "metadata": {"user_id": "u-1"},
    }
    messages = [{"role": "user", "content": parts}]

    [said] = await sdk_says(
        upstream, {"create": create, "messages": messages, "results": None, "times": 1}
    )

    turn = Turn(
        Role.USER, (TextBlock("Compare these."), IMAGE_URL, STORED_IMAGE, STORED_FILE, FILE_URL)
    )
    prompt = Prompt(
        model=MODEL,
        turns=(turn,),
        files=FILES,
        system="简短",
        max_tokens=99,
        stop=("。",),
        tools=(WEATHER,),
        tool_choice=NamedTool("weather"),
        parallel_tool_calls=False,
        response_format=ResponseFormat(CITY),
        extra={"metadata": {"user_id": "u-1"}},
    )
    assert "yes" == said["text"]
    check_asked(upstream, 0, ours(upstream, prompt_cache=True), prompt)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=LONG)
async def test_the_sdk_reads_the_samples_and_every_ending_as_we_do(
    upstream: ScriptedUpstream,
) -> None:
    begun = start(7, MODEL) + text(0, "你好", " 🌏")
    overloaded = {"type": "overloaded_error", "message": "Overloaded"}
    ping = anthropic_framing.event("ping")
    bodies = [
        *(path.read_bytes() for path in sorted(SAMPLES.glob("anthropic-*.sse"))),
        *(begun + end(word) for word in ("stop_sequence", "max_tokens", "pause_turn", "refusal")),
        begun + end("model_context_window_exceeded"),
        ping + start(7, MODEL) + ping + text(0, "a") + ping + end("end_turn") + ping,
        start(7, MODEL) + thinking(0, model=MODEL) + tool_use(1, "c", "f") + end("tool_use"),
        anthropic_framing.event("error", error=overloaded),
        begun + anthropic_framing.event("error", error=overloaded),
    ]
    for number, body in enumerate(bodies):
        if number:
            upstream.next_request()
        upstream.raw(body)
        upstream.end()
    upstream.next_request()
    upstream.sample("anthropic-error.json", status=EXPECTED["anthropic-error.json"]["http_status"])
    create = {"model": MODEL, "max_tokens": 99}
    messages = [{"role": "user", "content": "hi"}]

    said = await sdk_says(
        upstream,
        {"create": create, "messages": messages, "results": None, "times": len(bodies) + 1},
    )

    assert "rate_limit_error" == said.pop()["error"]
    for body, theirs in zip(bodies, said, strict=True):
        mine, error = Recorded(MODEL), None
        reader = reader_into(mine, ours(upstream), model=MODEL)
        try:
            reader.feed(body)
            reader.end()
        except Exception as raised:  # noqa: BLE001 - what the SDK makes of it decides
            error = getattr(raised, "provider_code", repr(raised))
        assert theirs["error"] == error, body
        if error is None:
            check_same(mine, theirs)
        else:
            assert mine.text_ == theirs["text"]
