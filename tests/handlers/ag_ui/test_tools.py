"""Tool calls and their results, as no model and no tool should write them."""

import pytest

from tests.handlers.ag_ui.agents import Agent, assistant, tool, user
from tests.upstreams import ScriptedUpstream

# Python's own decoder, and most others, give up in the middle of it.
DEEP = "[" * 3000 + "]" * 3000


@pytest.mark.parametrize("arguments", [DEEP, '{"a":', "1e400"], ids=["deep", "cut", "large"])
@pytest.mark.gen_test
async def test_arguments_that_cannot_be_decoded_go_to_the_client_as_they_are(
    agent: Agent, upstream: ScriptedUpstream, arguments: str
) -> None:
    upstream.tool_call(0, "call_1", "weather", arguments)
    upstream.finish("tool_calls")

    events = await agent.run(user("q"), tools=[{"name": "weather", "description": "w"}])

    [called] = [event.data["value"] for event in events if event.type == "CUSTOM"]
    assert ("RUN_FINISHED", arguments) == (events[-1].type, called["input"])


@pytest.mark.parametrize("result", [DEEP, '{"a":', "1e400"], ids=["deep", "cut", "large"])
@pytest.mark.gen_test
async def test_a_thread_shows_a_result_that_cannot_be_decoded_as_its_text(
    agent: Agent, upstream: ScriptedUpstream, result: str
) -> None:
    asked = user("q")
    upstream.tool_call(0, "call_1", "weather", "{}")
    upstream.finish("tool_calls")
    events = await agent.run(asked, tools=[{"name": "weather", "description": "w"}])
    [start] = [event.data for event in events if event.type == "TOOL_CALL_START"]
    function = {"name": "weather", "arguments": "{}"}
    call = {"id": "call_1", "type": "function", "function": function}
    upstream.next_request()
    upstream.tokens("ok")
    upstream.finish()
    await agent.run(
        asked, assistant(start["parentMessageId"], "", toolCalls=[call]), tool("call_1", result)
    )

    thread = await agent.get(f"threadId={agent.thread_id}")

    assert 200 == thread.status
    [part] = [
        part
        for message in thread.body["messages"]
        for part in message["parts"]
        if part["type"] == "tool-call"
    ]
    assert result == part["output"]
