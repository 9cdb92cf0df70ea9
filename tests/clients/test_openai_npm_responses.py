"""OpenAI's npm package asks for responses, of a model whose dialect is not OpenAI's."""

from typing import Any

import pytest

from app.server import Server
from tests.clients.openai_sdk import FUNCTIONS, INPUT, INSTRUCTIONS
from tests.clients.qwen import (
    ARGUMENTS,
    CALL_ID,
    MODEL,
    RESULT,
    TEXT,
    TEXTS,
    THOUGHT,
    THOUGHTS,
    TOOL,
    calls_the_tool,
    has_image,
    results_in,
    thinks_and_answers,
)
from tests.clients.scripts import Scripts
from tests.upstreams import ScriptedUpstream

SCRIPT = "openai_responses.js"
ASK: Any = {"model": MODEL, "instructions": INSTRUCTIONS, "input": INPUT}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_stream_has_reasoning_and_text(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)

    seen = await node.run(SCRIPT, url=headrace.url, way="stream", ask=ASK)

    assert {"text": TEXT, "reasoning": THOUGHT} == seen
    assert has_image(upstream.requests[0].json)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_whole_response_and_what_is_kept_of_it(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)

    made = await node.run(SCRIPT, url=headrace.url, way="whole", ask=ASK)

    assert {"text": TEXT, "kept": TEXT, "status": 404} == made


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_helper_for_streams_has_the_final_response(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)

    said = await node.run(SCRIPT, url=headrace.url, way="helper", ask=ASK)

    assert {"text": TEXT, "final": TEXT} == said


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_tool_is_called_and_its_result_answered(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    ask = {**ASK, "tools": FUNCTIONS}

    ran = await node.run(SCRIPT, url=headrace.url, way="tools", ask=ask, result=RESULT)

    assert {"call": [CALL_ID, TOOL, ARGUMENTS], "text": TEXT} == ran
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[1].json)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_response_is_resumed_after_the_client_left_it(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    upstream.reasoning(*THOUGHTS)
    upstream.tokens(*TEXTS[:2])

    async with node.start(SCRIPT, url=headrace.url, way="resume", ask=ASK) as script:
        await script.heard()
        upstream.tokens(*TEXTS[2:])
        upstream.finish()
        script.say()
        resumed = await script.result()

    both = {"text": TEXT, "reasoning": THOUGHT}
    assert {"plain": both, "helper": both, "final": TEXT} == resumed


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_response_in_the_background_is_cancelled(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    upstream.silent()

    ended = await node.run(SCRIPT, url=headrace.url, way="cancel", ask=ASK)

    assert ended["began"] in ("queued", "in_progress")
    assert "cancelled" == ended["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_structured_output_is_parsed(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    upstream.tokens('{"city":"北', '京","degrees":', "20}")
    upstream.finish()
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
        "required": ["city", "degrees"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "name": "weather", "schema": schema, "strict": True}

    parsed = await node.run(
        SCRIPT, url=headrace.url, way="parse", ask={**ASK, "text": {"format": form}}
    )

    assert {"city": "北京", "degrees": 20} == parsed
