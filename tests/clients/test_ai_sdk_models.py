"""Vercel's AI SDK asks a model, by chat completions and by Open Responses, in three majors.

Its other half, the UI, is tested in `test_ai_sdk_ui.py`.
"""

from typing import Any

import pytest

from app.server import Server
from tests.clients.openai_sdk import QUESTION
from tests.clients.qwen import (
    CALL_ID,
    IMAGE,
    MODEL,
    PARAMETERS,
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

SCRIPT = "ai_models.js"
ASK: Any = {
    "model": MODEL,
    "system": "用中文回答。",
    "messages": [
        {
            "role": "user",
            "content": [{"type": "text", "text": QUESTION}, {"type": "image", "image": IMAGE}],
        }
    ],
}
# Which major, and which provider package. There was no Open Responses for 5.
CLIENTS = [
    pytest.param({"major": 7, "by": "compatible"}, id="7-compatible"),
    *(
        pytest.param({"major": major, "by": by}, id=f"{major}-{by}", marks=pytest.mark.slow)
        for major, by in (
            *((5, "compatible"), (6, "compatible")),
            *((6, "open-responses"), (7, "open-responses")),
        )
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.gen_test
async def test_a_stream_has_reasoning_text_and_usage(
    client: dict[str, Any], headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)

    seen = await node.run(SCRIPT, url=headrace.url, way="stream", ask=ASK, **client)

    assert (THOUGHT, TEXT, "stop") == (seen["reasoning"], seen["text"], seen["finish"])
    assert (7, 11) == (seen["usage"]["inputTokens"], seen["usage"]["outputTokens"])
    assert has_image(upstream.requests[0].json)


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.gen_test
async def test_a_whole_answer(
    client: dict[str, Any], headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)

    made = await node.run(SCRIPT, url=headrace.url, way="whole", ask=ASK, **client)

    # Of whole responses, that one reads no summaries of reasoning.
    is_blind = (6, "open-responses") == (client["major"], client["by"])
    reasoning = {} if is_blind else {"reasoning": THOUGHT}
    assert {"text": TEXT, "finish": "stop", **reasoning} == made


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.gen_test
async def test_a_tool_is_called_and_its_result_answered(
    client: dict[str, Any], headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    ask = {**ASK, "definitions": [{"name": TOOL, "parameters": PARAMETERS}]}

    ran = await node.run(SCRIPT, url=headrace.url, way="tools", ask=ask, result=RESULT, **client)

    assert {"text": TEXT, "called": [{"city": "北京"}], "steps": 2} == ran
    [(call_id, result)] = results_in(upstream.requests[1].json)
    assert CALL_ID == call_id
    assert RESULT in result
