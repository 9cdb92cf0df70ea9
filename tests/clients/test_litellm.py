"""LiteLLM's SDK asks by chat completions and by responses."""

from typing import Any

import pytest

from app.server import Server
from tests.clients.conftest import LiteLLM
from tests.clients.openai_sdk import INPUT, MESSAGES, TOOLS
from tests.clients.qwen import (
    ARGUMENTS,
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
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow

# Importing it is most of that, where other workers are busy.
_SECONDS = 60


def asking(headrace: Server, **fields: Any) -> dict[str, Any]:
    address = {"api_base": f"{headrace.url}/v1", "api_key": "none", "max_retries": 0}
    return {"model": f"openai/{MODEL}", **address, **fields}


@pytest.mark.gen_test(timeout=_SECONDS)
async def test_a_stream_has_reasoning_text_and_usage(
    litellm: LiteLLM, headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    seen = await litellm.run(way="stream", ask=asking(headrace, messages=MESSAGES))

    assert {"text": TEXT, "reasoning": THOUGHT, "finish": "stop", "usage": 18} == seen
    assert has_image(upstream.requests[0].json)


@pytest.mark.gen_test(timeout=_SECONDS)
async def test_an_answer_that_broke_off_is_not_taken_for_one_that_ended(
    litellm: LiteLLM, headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("北京")
    upstream.finish("length")
    upstream.next_request()
    upstream.tokens("北京")
    upstream.cut()

    seen = await litellm.run(way="endings", ask=asking(headrace, messages=MESSAGES))

    assert [["北京", "length"], ["北京", "MidStreamFallbackError"]] == seen


@pytest.mark.gen_test(timeout=_SECONDS)
async def test_a_tool_is_called_and_its_result_answered(
    litellm: LiteLLM, headrace: Server, upstream: ScriptedUpstream
) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    ask = asking(headrace, messages=MESSAGES, tools=TOOLS)

    ran = await litellm.run(way="tools", ask=ask, result=RESULT)

    assert {"call": [CALL_ID, TOOL, ARGUMENTS], "text": TEXT} == ran
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[1].json)


@pytest.mark.gen_test(timeout=_SECONDS)
async def test_a_response_is_streamed(
    litellm: LiteLLM, headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    seen = await litellm.run(way="response", ask=asking(headrace, input=INPUT))

    assert {"text": TEXT, "reasoning": THOUGHT, "last": "response.completed"} == seen
    assert has_image(upstream.requests[0].json)
