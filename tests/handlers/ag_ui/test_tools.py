"""Tool calls and their results, also as no model and no tool should write them."""

from typing import Any

import pytest

from tests.handlers.ag_ui.agents import Agent, events_in, tool, user
from tests.upstreams import ScriptedUpstream

# Most decoders of JSON give up in the middle of it, as that of this server does.
DEEP = "[" * 3000 + "]" * 3000

TOOLS = [{"name": "weather", "description": "w"}]


async def called(agent: Agent, upstream: ScriptedUpstream, asked: dict[str, Any]) -> dict[str, Any]:
    """Have the model call `weather`; the message of the client that has the call."""
    upstream.tool_call(0, "call_1", "weather", "{}")
    upstream.finish("tool_calls")
    upstream.next_request()
    events = await agent.run(asked, tools=TOOLS)
    [start] = [event.data for event in events if event.type == "TOOL_CALL_START"]
    function = {"name": "weather", "arguments": "{}"}
    call = {"id": "call_1", "type": "function", "function": function}
    return {"id": start["parentMessageId"], "role": "assistant", "toolCalls": [call]}


@pytest.mark.parametrize("arguments", [DEEP, '{"a":', "1e400"], ids=["deep", "cut", "large"])
@pytest.mark.gen_test
async def test_arguments_that_cannot_be_decoded_go_to_the_client_as_they_are(
    agent: Agent, upstream: ScriptedUpstream, arguments: str
) -> None:
    upstream.tool_call(0, "call_1", "weather", arguments)
    upstream.finish("tool_calls")

    events = await agent.run(user("q"), tools=TOOLS)

    [available] = [event.data["value"] for event in events if event.type == "CUSTOM"]
    assert ("RUN_FINISHED", arguments) == (events[-1].type, available["input"])


@pytest.mark.parametrize("result", [DEEP, '{"a":', "1e400"], ids=["deep", "cut", "large"])
@pytest.mark.gen_test
async def test_a_thread_shows_a_result_that_cannot_be_decoded_as_its_text(
    agent: Agent, upstream: ScriptedUpstream, result: str
) -> None:
    asked = user("q")
    answer = await called(agent, upstream, asked)
    upstream.tokens("ok")
    upstream.finish()
    await agent.run(asked, answer, tool("call_1", result))

    thread = await agent.get(f"threadId={agent.thread_id}")

    assert 200 == thread.status
    parts = [part for message in thread.body["messages"] for part in message["parts"]]
    [part] = [part for part in parts if part["type"] == "tool-call"]
    assert result == part["output"]


@pytest.mark.gen_test
async def test_a_run_that_is_sent_again_has_calls_and_results_under_their_ids(
    agent: Agent, upstream: ScriptedUpstream
) -> None:
    asked = user("q")
    answer = await called(agent, upstream, asked)
    upstream.tokens("ok")
    upstream.finish()
    body = agent.input(asked, answer, tool("call_1", "21 C"))
    await agent.post(body)

    again = events_in((await agent.get(f"runId={body['runId']}", after="999")).body)

    [snapshot] = [event.data for event in again if event.type == "MESSAGES_SNAPSHOT"]
    assert body["messages"] == snapshot["messages"]
