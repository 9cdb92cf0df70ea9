"""LangChain's ChatOpenAI asks by chat completions and by responses."""

from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI

from app.server import Server
from tests.clients.openai_sdk import QUESTION, TOOLS
from tests.clients.qwen import (
    CALL_ID,
    IMAGE,
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

MESSAGES: Any = [
    SystemMessage("用中文回答。"),
    HumanMessage(
        [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": IMAGE}},
        ]
    ),
]


def model(url: str, by: str, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=MODEL,
        base_url=f"{url}/v1",
        api_key="none",
        max_retries=0,
        stream_usage=True,
        use_responses_api=by == "responses",
        **options,
    )


@pytest.fixture(params=["chat", "responses"])
def by(request: pytest.FixtureRequest) -> str:
    """The API that it asks by."""
    name: str = request.param
    return name


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_stream_has_text_and_usage(
    by: str, headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    chunks = [chunk async for chunk in model(headrace.url, by).astream(MESSAGES)]
    whole = AIMessageChunk(content="")
    for chunk in chunks:
        whole += chunk

    assert TEXT == whole.text
    assert whole.usage_metadata is not None
    assert 18 == whole.usage_metadata["total_tokens"]
    assert has_image(upstream.requests[0].json)
    if by == "responses":  # by chat completions it reads no reasoning
        blocks = [block for block in whole.content_blocks if block["type"] == "reasoning"]
        assert THOUGHT == "".join(block.get("reasoning", "") for block in blocks)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_tool_is_called_and_its_result_answered(
    by: str, headrace: Server, upstream: ScriptedUpstream
) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    bound = model(headrace.url, by).bind_tools(TOOLS)

    first = await bound.ainvoke(MESSAGES)
    second = await bound.ainvoke([*MESSAGES, first, ToolMessage(RESULT, tool_call_id=CALL_ID)])

    [call] = first.tool_calls
    assert (CALL_ID, TOOL, {"city": "北京"}) == (call["id"], call["name"], call["args"])
    assert TEXT == second.text
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[1].json)
