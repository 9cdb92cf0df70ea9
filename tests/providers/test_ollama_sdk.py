"""What we ask of Ollama and read of its answers is what its own SDK asks and reads."""

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from model.blocks import Block, ReasoningBlock, TextBlock, ToolCallBlock, ToolResultBlock
from model.messages import Role
from model.prompt import Prompt, Tool, Turn, text_turn
from providers.ollama import Ollama
from tests.ollama_framing import call, end, error, piece
from tests.providers.conversations import ANSWER, CITY, FILES, STORED_IMAGE, user
from tests.providers.outcome import EXPECTED, OLLAMA, SAMPLES, Outcome, read
from tests.upstreams import ScriptedUpstream

SDK = Path(__file__).with_name("ollama_sdk.py")

MODEL = "example:latest"
QUESTION = "Where is it warmer?"
# The SDK and the server read no other keywords of a tool's schema.
PARAMETERS = {
    name: value for name, value in CITY.items() if name in ("type", "properties", "required")
}
RESULTS = {"weather": "20 °C", "clock": "noon"}
LINES = [
    "ollama.ndjson",
    "ollama-length.ndjson",
    "ollama-thinking.ndjson",
    "ollama-tools.ndjson",
    "ollama-error-midstream.ndjson",
    "ollama-error.json",
]

Json = dict[str, Any]


def chat(**more: Any) -> Json:
    """What is asked besides the messages, as the SDK takes it."""
    return {"model": MODEL, "options": {"num_ctx": 8192}, **more}


async def sdk_says(upstream: ScriptedUpstream, question: Json) -> list[Json]:
    """What the SDK made of the next answers."""
    command = [sys.executable, SDK, upstream.base_url("ollama"), json.dumps(question)]
    environment = {name: value for name, value in os.environ.items() if "OLLAMA_" not in name}
    run = partial(
        subprocess.run, command, capture_output=True, check=True, timeout=25, env=environment
    )
    finished = await asyncio.get_running_loop().run_in_executor(None, run)
    said: list[Json] = json.loads(finished.stdout.splitlines()[-1])
    return said


def as_the_sdk_sends_it(body: Json) -> Json:
    """Our request without what the SDK cannot send: it has neither the ids of calls nor the two
    fields that forbid the server to cut.

    On the other hand it always sends a list of tools, and no texts that are empty.
    """
    body = {name: value for name, value in body.items() if name not in ("truncate", "shift")}
    messages = []
    for message in body["messages"]:
        kept = {name: value for name, value in message.items() if name != "tool_call_id" and value}
        if "tool_calls" in kept:
            kept["tool_calls"] = [{"function": each["function"]} for each in kept["tool_calls"]]
        messages.append(kept)
    return {**body, "messages": messages, "tools": body.get("tools", [])}


def check_same_request(
    upstream: ScriptedUpstream, number: int, prompt: Prompt, dialect: Ollama = OLLAMA
) -> None:
    """Our request for `prompt` is the one of that number, which the SDK sent."""
    theirs = upstream.requests[number]
    mine = dialect.request(prompt, None)
    assert theirs.target == mine.url.removeprefix("http://127.0.0.1:11434")
    assert theirs.json == as_the_sdk_sends_it(json.loads(mine.body))
    assert theirs.headers["Content-Type"] == mine.headers["Content-Type"]


def check_same_answer(mine: Outcome, theirs: Json) -> None:
    """We read what the SDK read."""
    assert (mine.text_, mine.reasoning_) == (theirs["text"], theirs["reasoning"])
    assert [
        {"name": each["name"], "arguments": json.loads(each["arguments"])}
        for each in mine.tool_calls
    ] == theirs["calls"]
    assert (mine.finish_word, mine.tokens) == (theirs["finish"], theirs["tokens"])
    assert (mine.error is None) == (theirs["error"] is None)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_sdk_reads_samples_as_we_do(upstream: ScriptedUpstream) -> None:
    for number, sample in enumerate(LINES):
        if number:
            upstream.next_request()
        upstream.sample(sample, status=EXPECTED[sample].get("http_status", 200), piece_bytes=7)
    question = {"role": "user", "content": QUESTION}

    said = await sdk_says(
        upstream,
        {"chat": chat(), "messages": [question], "results": None, "times": len(LINES)},
    )

    for sample, theirs in zip(LINES, said, strict=True):
        status = EXPECTED[sample].get("http_status", 200)
        check_same_answer(read(OLLAMA, [(SAMPLES / sample).read_bytes()], status=status), theirs)
    check_same_request(upstream, 0, Prompt(model=MODEL, turns=(text_turn(Role.USER, QUESTION),)))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_three_rounds_of_two_calls_are_asked_and_read_as_the_sdk_does(
    upstream: ScriptedUpstream,
) -> None:
    script = [round_of_calls(number) for number in range(3)]
    script.append(piece("In ") + piece("Paris.") + end())
    for number, body in enumerate(script):
        if number:
            upstream.next_request()
        upstream.raw(body)
        upstream.end()
    tools = [
        tool("weather", "Tells the weather.", PARAMETERS),
        tool("clock", "Tells the time.", PARAMETERS),
    ]
    messages = [{"role": "system", "content": "简短"}, {"role": "user", "content": QUESTION}]

    said = await sdk_says(
        upstream,
        {
            "chat": chat(tools=tools, think="low"),
            "messages": messages,
            "results": RESULTS,
            "times": 4,
        },
    )

    turns = [text_turn(Role.USER, QUESTION)]
    for number, (theirs, body) in enumerate(zip(said, script, strict=True)):
        prompt = Prompt(
            model=MODEL,
            turns=tuple(turns),
            system="简短",
            reasoning_effort="low",
            tools=(
                Tool("weather", "Tells the weather.", PARAMETERS),
                Tool("clock", "Tells the time.", PARAMETERS),
            ),
        )
        check_same_request(upstream, number, prompt)
        mine = read(OLLAMA, [body])
        check_same_answer(mine, theirs)
        turns += [turn_of(mine), results_of(mine)]


def round_of_calls(number: int) -> bytes:
    """Some thinking, some text, and two calls: in one line, or in two."""
    calls = [call("weather", {"city": f"Paris {number}"}), call("clock", {"city": "Oslo"}, "c")]
    begin = piece(thinking=f"hm {number}") + piece(f"I look {number}." if number else "")
    if number % 2:
        return begin + piece(tool_calls=calls) + end()
    return begin + piece(tool_calls=calls[:1]) + piece(tool_calls=calls[1:]) + end()


def tool(name: str, description: str, parameters: Json) -> Json:
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def turn_of(answer: Outcome) -> Turn:
    """The answer as it is sent again."""
    blocks: list[Block] = [ReasoningBlock(answer.reasoning_)]
    blocks += [TextBlock(answer.text_)] if answer.text_ else []
    blocks += [
        ToolCallBlock(each["id"], each["name"], each["arguments"]) for each in answer.tool_calls
    ]
    return Turn(Role.ASSISTANT, tuple(blocks))


def results_of(answer: Outcome) -> Turn:
    results = [ToolResultBlock(each["id"], RESULTS[each["name"]]) for each in answer.tool_calls]
    return Turn(Role.USER, tuple(results))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_options_formats_and_images_are_asked_as_the_sdk_does(
    upstream: ScriptedUpstream,
) -> None:
    upstream.tokens('{"city": ', '"Paris"}')
    upstream.finish()
    options = {
        "num_ctx": 8192,
        "temperature": 0.5,
        "top_p": 0.25,
        "top_k": 40,
        "num_predict": 99,
        "seed": 7,
        "stop": ["。"],
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
    }
    image = FILES["f-png"].base64
    message = {"role": "user", "content": QUESTION, "images": [image, image]}
    asked = chat(options=options, format=CITY, think=False, keep_alive="30m")

    [said] = await sdk_says(
        upstream, {"chat": asked, "messages": [message], "results": None, "times": 1}
    )

    assert '{"city": "Paris"}' == said["text"]
    prompt = Prompt(
        model=MODEL,
        turns=(user(TextBlock(QUESTION), STORED_IMAGE, STORED_IMAGE),),
        files=FILES,
        temperature=0.5,
        top_p=0.25,
        top_k=40,
        max_tokens=99,
        seed=7,
        stop=("。",),
        presence_penalty=0.5,
        frequency_penalty=0.25,
        reasoning_effort="none",
        response_format=ANSWER,
    )
    dialect = Ollama("http://127.0.0.1:11434", keep_alive="30m")
    check_same_request(upstream, 0, prompt, dialect)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_error_in_mid_stream_is_one_for_the_sdk_too(upstream: ScriptedUpstream) -> None:
    body = piece("half") + error("an error was encountered while running the model: EOF")
    upstream.raw(body)
    upstream.end()
    question = {"role": "user", "content": QUESTION}

    [said] = await sdk_says(
        upstream, {"chat": chat(), "messages": [question], "results": None, "times": 1}
    )

    assert ("half", -1) == (said["text"], said["error"])
    check_same_answer(read(OLLAMA, [body]), said)
