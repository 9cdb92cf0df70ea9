"""AG-UI's client runs Headrace as an agent, with a model whose dialect is not OpenAI's."""

from collections.abc import Callable
from typing import Any

import pytest

from app.server import Server
from tests.clients.qwen import (
    ARGUMENTS,
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
from tests.steps import stop_newest
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow

SCRIPT = "ag_ui.js"
_, _, _BASE64 = IMAGE.partition(",")
QUESTION: dict[str, Any] = {
    "id": "u1",
    "role": "user",
    "content": [
        {"type": "text", "text": "天气如何？"},
        {"type": "image", "source": {"type": "data", "value": _BASE64, "mimeType": "image/png"}},
    ],
}
TOOLS = [{"name": TOOL, "description": "The weather.", "parameters": PARAMETERS}]


def url_of(server: Server) -> str:
    return f"{server.url}/ag-ui"


def of(messages: list[dict[str, Any]], role: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["role"] == role]


@pytest.mark.gen_test
async def test_reasoning_and_text_of_a_question_with_an_image(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)

    seen = await node.run(
        SCRIPT, url=url_of(headrace), way="runs", threadId="t", turns=[[QUESTION]]
    )

    assert [THOUGHT] == [message["content"] for message in of(seen["messages"], "reasoning")]
    assert [TEXT] == [message["content"] for message in of(seen["messages"], "assistant")]
    assert {"type": "success"} == seen["results"][0]["outcome"]
    assert has_image(upstream.requests[0].json)


@pytest.mark.gen_test
async def test_a_tool_is_called_and_its_result_goes_on_with_the_thread(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    result = {"id": "t1", "role": "tool", "toolCallId": CALL_ID, "content": RESULT}

    seen = await node.run(
        SCRIPT,
        url=url_of(headrace),
        way="runs",
        threadId="t",
        turns=[[QUESTION], [result]],
        tools=TOOLS,
        forwardedProps={"model": MODEL},
    )

    called, answered = of(seen["messages"], "assistant")
    [made] = called["toolCalls"]
    assert (CALL_ID, TOOL, ARGUMENTS) == (made["id"], *made["function"].values())
    assert TEXT == answered["content"]
    assert {"type": "success", "pendingToolCallIds": [CALL_ID]} == seen["results"][0]["outcome"]
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[1].json)
    assert has_image(upstream.requests[1].json)


@pytest.mark.gen_test
async def test_every_ending_is_seen_for_what_it_is(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    ways: dict[str, Callable[[], Any]] = {
        "complete": upstream.finish,
        "failed": upstream.cut,
        "stopped": lambda: stop_newest(headrace.url),
    }
    seen = {}

    async with node.start(SCRIPT, url=url_of(headrace), way="endings") as script:
        for name, end in ways.items():
            upstream.tokens("你")
            script.say(True)
            assert "begun" == await script.heard()
            if (ending := end()) is not None:
                await ending
            seen[name] = await script.heard()
            upstream.next_request()
        script.say(False)
        await script.result()

    assert {
        "complete": {"failed": None, "outcome": "success"},
        "failed": {"failed": "stream_broken", "outcome": None},
        "stopped": {"failed": None, "outcome": "cancelled"},
    } == seen


@pytest.mark.gen_test
async def test_a_refusal_is_told(headrace: Server, node: Scripts) -> None:
    audio = {"type": "audio", "source": {"type": "data", "value": "AA", "mimeType": "audio/wav"}}
    messages = [{"id": "u1", "role": "user", "content": [audio]}]

    said = await node.run(SCRIPT, url=url_of(headrace), way="refused", messages=messages)

    assert 400 == said["status"]
    assert "`audio`" in said["message"]
