"""OpenAI's SDK reads what we read of the Responses API, and asks what we ask.

The upstream is scripted and strict: it refuses what the API refuses, from the SDK and from us.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from model.blocks import Block, ImageBlock, TextBlock, ToolResultBlock
from model.messages import Role
from model.prompt import NamedTool, Prompt, ResponseFormat, Tool, Turn, text_turn
from model.usage import Usage
from providers.errors import ProviderError
from providers.openai_responses import OpenAIResponses
from tests.openai_responses_stream import ResponsesStream
from tests.providers.conversations import CITY, FILES, IMAGE_URL, STORED_FILE
from tests.providers.outcome import EXPECTED, SAMPLES, Outcome, read, reader_into
from tests.providers.recorded import Recorded
from tests.upstreams import ScriptedUpstream

SDK = Path(__file__).with_name("openai_responses_sdk.py")
MODEL = "gpt-5-example"
LAX = {"type": "object", "properties": {"city": {"type": "string"}}}

Write = Callable[[ResponsesStream], bytes]

RESULTS = {
    **{f"call_{number}_a": f"{20 + number} °C" for number in range(3)},
    **{f"call_{number}_b": f"{number} °C 🧊" for number in range(3)},
}


def round_of_calls(number: int) -> list[Write]:
    """Reasoning, text, and two calls with reasoning between them."""
    return [
        ResponsesStream.queued,
        lambda stream: stream.reasoning(f"Thought {number} 🤔", "and on"),
        lambda stream: stream.text("Let me", f" look {number} 👀."),
        lambda stream: stream.call(f"call_{number}_a", "weather", '{"city":', '"Paris"}'),
        lambda stream: stream.reasoning(),
        lambda stream: stream.call(f"call_{number}_b", "weather", '{"city": "北京"}'),
        ResponsesStream.complete,
    ]


LAST: list[Write] = [
    lambda stream: stream.reasoning("Done"),
    lambda stream: stream.text("Paris", " is warmer."),
    ResponsesStream.complete,
]


def ours(upstream: ScriptedUpstream) -> OpenAIResponses:
    return OpenAIResponses(upstream.base_url("openai-responses"), reasoning_summary="auto")


async def sdk_says(upstream: ScriptedUpstream, question: dict[str, Any]) -> list[dict[str, Any]]:
    """What the SDK made of the next answers."""
    command = [sys.executable, SDK, upstream.base_url("openai-responses"), json.dumps(question)]
    environment = {name: value for name, value in os.environ.items() if "OPENAI_" not in name}
    run = partial(
        subprocess.run, command, capture_output=True, check=True, timeout=50, env=environment
    )
    finished = await asyncio.get_running_loop().run_in_executor(None, run)
    said: list[dict[str, Any]] = json.loads(finished.stdout.splitlines()[-1])
    return said


def create(**more: Any) -> dict[str, Any]:
    """What is asked besides the items."""
    return {
        "model": MODEL,
        "instructions": "简短",
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "stream_options": {"include_obfuscation": False},
        "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": "Tells the weather.",
                "parameters": CITY,
                "strict": False,
            }
        ],
        **more,
    }


def asking(*creates: dict[str, Any]) -> dict[str, Any]:
    """The same question with each of these."""
    items = [{"role": "user", "content": "hi"}]
    return {"create": creates, "input": items, "results": None}


def prompt_of(*turns: Turn, **more: Any) -> Prompt:
    """The same as we ask it."""
    return Prompt(
        model=MODEL,
        turns=turns,
        system="简短",
        files=FILES,
        reasoning_effort="low",
        tools=(Tool("weather", "Tells the weather.", CITY),),
        **more,
    )


def without_ids(body: dict[str, Any]) -> dict[str, Any]:
    """A request in which messages and calls lack the ids and states of their items.

    An SDK's user sends the items back as they came. We store the text of messages and the calls,
    not their items; the API takes both.
    """
    items = []
    for item in body["input"]:
        if item.get("type") == "message":
            [part] = item["content"]
            items.append({"role": "assistant", "content": part["text"]})
        elif item.get("type") == "function_call":
            items.append({name: item[name] for name in item if name not in ("id", "status")})
        else:
            items.append(item)
    return {**body, "input": items}


def our_reading(writes: list[Write], number: int) -> Recorded:
    """What we make of the response of that number."""
    stream = ResponsesStream(MODEL, number)
    outcome = Recorded(MODEL)
    reader = reader_into(outcome, OpenAIResponses("http://x"), model=MODEL)
    for write in writes:
        reader.feed(write(stream))
    reader.end()
    return outcome


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_three_rounds_of_two_calls_are_asked_and_read_as_the_sdk_does(
    upstream: ScriptedUpstream,
) -> None:
    script = [*(round_of_calls(number) for number in range(3)), LAST]
    for number, writes in enumerate(script):
        if number:
            upstream.next_request()
        upstream.response(*writes)
        upstream.end()
    items = [{"role": "user", "content": "Where is it warmer?"}]

    said = await sdk_says(upstream, {"create": [create()] * 4, "input": items, "results": RESULTS})

    turns = [text_turn(Role.USER, "Where is it warmer?")]
    for number, (theirs, writes) in enumerate(zip(said, script, strict=True)):
        assert theirs["error"] is None
        request = ours(upstream).request(prompt_of(*turns), "sk-example")
        asked = upstream.requests[number]
        assert (upstream.url + asked.target) == request.url
        assert asked.headers["Authorization"] == request.headers["Authorization"]
        assert without_ids(asked.json) == json.loads(request.body)

        mine = our_reading(writes, number)
        check_same(mine, theirs)
        calls = [call["id"] for call in mine.tool_calls]
        results: list[Block] = [ToolResultBlock(each, RESULTS[each]) for each in calls]
        turns += [Turn(Role.ASSISTANT, mine.answer.blocks()), Turn(Role.USER, tuple(results))]


def check_same(mine: Outcome, theirs: dict[str, Any]) -> None:
    """We read what the SDK read."""
    assert (mine.text_, mine.refusal_) == (theirs["text"], theirs["refusal"])
    assert mine.reasoning_.replace("\n\n", "") == theirs["reasoning"]
    assert "".join(call["arguments"] for call in mine.tool_calls) == theirs["arguments"]
    output = theirs["output"]
    calls = [item for item in output if item["type"] == "function_call"]
    assert [(call["id"], call["name"], call["arguments"]) for call in mine.tool_calls] == [
        (call["call_id"], call["name"], call["arguments"]) for call in calls
    ]
    sealed = [item for item in output if item["type"] == "reasoning" if "encrypted_content" in item]
    assert [data.value for data in mine.kept] == sealed
    usage = theirs["usage"]
    assert mine.counted == Usage(
        usage["input_tokens"],
        usage["output_tokens"],
        cached_tokens=usage["input_tokens_details"]["cached_tokens"],
        cache_written_tokens=usage["input_tokens_details"]["cache_write_tokens"],
        reasoning_tokens=usage["output_tokens_details"]["reasoning_tokens"],
    )


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_parts_and_options_are_asked_as_the_sdk_does(upstream: ScriptedUpstream) -> None:
    upstream.tokens("yes")
    upstream.finish()
    parts = [
        {"type": "input_text", "text": "Compare these."},
        {"type": "input_image", "image_url": IMAGE_URL.url, "detail": "auto"},
        {
            "type": "input_image",
            "image_url": f"data:image/png;base64,{FILES['f-png'].base64}",
            "detail": "auto",
        },
        {
            "type": "input_file",
            "filename": "report.pdf",
            "file_data": f"data:application/pdf;base64,{FILES['f-pdf'].base64}",
        },
    ]
    schema = {"type": "json_schema", "name": "city", "schema": CITY, "strict": False}
    options = {
        "temperature": 0.5,
        "top_p": 0.25,
        "max_output_tokens": 99,
        "tool_choice": {"type": "function", "name": "weather"},
        "parallel_tool_calls": False,
        "text": {"format": schema},
    }
    items = [{"role": "user", "content": parts}]

    [said] = await sdk_says(
        upstream, {"create": [create(**options)], "input": items, "results": None}
    )

    turn = Turn(
        Role.USER,
        (TextBlock("Compare these."), IMAGE_URL, ImageBlock(file_id="f-png"), STORED_FILE),
    )
    prompt = prompt_of(
        turn,
        temperature=0.5,
        top_p=0.25,
        max_tokens=99,
        tool_choice=NamedTool("weather"),
        parallel_tool_calls=False,
        response_format=ResponseFormat(CITY, "city"),
    )
    assert "yes" == said["text"]
    request = ours(upstream).request(prompt, "sk-example")
    assert upstream.requests[0].json == json.loads(request.body)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_the_sdk_reads_every_kind_of_ending_as_we_do(upstream: ScriptedUpstream) -> None:
    text: Write = lambda stream: stream.text("你好", " 🌏")  # noqa: E731
    endings: list[list[Write]] = [
        [lambda stream: stream.refusal("I ", "won't."), ResponsesStream.complete],
        [text, lambda stream: stream.incomplete("max_output_tokens")],
        [text, lambda stream: stream.incomplete("content_filter")],
        [lambda stream: stream.reasoning_text("hm", " hm"), text, ResponsesStream.complete],
        [ResponsesStream.unknown, text, ResponsesStream.unknown, ResponsesStream.complete],
        [text, lambda stream: stream.failed("server_error")],
        [lambda stream: stream.failed("rate_limit_exceeded")],
        [text, lambda stream: stream.error("server_error")],
    ]
    for number, writes in enumerate(endings):
        if number:
            upstream.next_request()
        upstream.response(*writes)
        upstream.end()

    said = await sdk_says(upstream, asking(*[create()] * len(endings)))

    for number, (theirs, writes) in enumerate(zip(said, endings, strict=True)):
        if theirs["error"] is None:
            check_same(our_reading(writes, number), theirs)
        else:
            with pytest.raises(ProviderError) as caught:
                our_reading(writes, number)
            assert theirs["error"] in ("APIError", caught.value.provider_code)
    assert [None] * 5 == [each["error"] for each in said[:5]]
    assert all(each["error"] for each in said[5:])


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_the_sdk_reads_the_samples_as_we_do(upstream: ScriptedUpstream) -> None:
    samples = [name for name in EXPECTED if name.startswith("openai-responses")]
    streams = [name for name in samples if name.endswith(".sse")]
    for number, sample in enumerate(streams):
        if number:
            upstream.next_request()
        upstream.sample(sample)

    said = await sdk_says(upstream, asking(*[create()] * len(streams)))

    for sample, theirs in zip(streams, said, strict=True):
        mine = read(OpenAIResponses("http://x"), [(SAMPLES / sample).read_bytes()])
        assert mine.text_ == theirs["text"], sample
        assert (mine.error is None) == (theirs["error"] is None), sample
        if mine.error is None:
            check_same(mine, theirs)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=60)
async def test_what_the_upstream_refuses_the_sdk_reports(upstream: ScriptedUpstream) -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"model": "gpt-4o-mini"},  # which cannot encrypt its reasoning
        {"tools": [{"type": "function", "name": "x", "parameters": LAX}]},  # strict by default
        {"text": {"format": {"type": "json_schema", "json_schema": {}}}},  # as chat completions
    )

    said = await sdk_says(upstream, asking(*(create(**each) for each in wrong)))

    assert ["BadRequestError"] * 3 == [each["error"] for each in said]
