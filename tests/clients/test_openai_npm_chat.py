"""OpenAI's npm package asks for chat completions, of a model whose dialect is not OpenAI's."""

from typing import Any

import pytest

from app.server import Server
from tests.clients.openai_sdk import MESSAGES, TOOLS
from tests.clients.qwen import (
    CALL_ID,
    MODEL,
    RESULT,
    TEXT,
    THOUGHT,
    TOOL,
    calls_the_tool,
    has_image,
    results_in,
    thinks_and_answers,
)
from tests.clients.scripts import Scripts
from tests.upstreams import ScriptedUpstream

SCRIPT = "openai_chat.js"
ASK: Any = {"model": MODEL, "messages": MESSAGES}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_stream_has_reasoning_text_and_usage(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)

    seen = await node.run(SCRIPT, url=headrace.url, way="stream", ask=ASK)

    assert (THOUGHT, TEXT, "stop") == (seen["reasoning"], seen["text"], seen["finish"])
    assert 18 == seen["usage"]["total_tokens"]
    assert has_image(upstream.requests[0].json)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_whole_answer(headrace: Server, upstream: ScriptedUpstream, node: Scripts) -> None:
    thinks_and_answers(upstream)

    made = await node.run(SCRIPT, url=headrace.url, way="whole", ask=ASK)

    assert (THOUGHT, TEXT, "stop") == (made["reasoning"], made["text"], made["finish"])
    assert 18 == made["usage"]["total_tokens"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_helper_for_streams_has_the_final_completion(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    ask = {**ASK, "tools": TOOLS}

    called = await node.run(SCRIPT, url=headrace.url, way="helper", ask=ask)
    said = await node.run(SCRIPT, url=headrace.url, way="helper", ask=ask)

    assert (TEXT, TEXT) == (said["text"], said["final"])
    assert [(CALL_ID, TOOL)] == [(c["id"], c["function"]["name"]) for c in called["calls"]]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_it_runs_tools(headrace: Server, upstream: ScriptedUpstream, node: Scripts) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    ask = {**ASK, "tools": TOOLS}

    ran = await node.run(SCRIPT, url=headrace.url, way="tools", ask=ask, result=RESULT)

    assert {"text": TEXT, "called": [{"city": "北京"}]} == ran
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[1].json)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_models_are_listed_and_retrieved(headrace: Server, node: Scripts) -> None:
    models = await node.run(SCRIPT, url=headrace.url, way="models", ask=ASK)

    assert {"listed": [MODEL], "one": MODEL} == models
