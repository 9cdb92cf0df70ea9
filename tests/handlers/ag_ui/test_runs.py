"""Runs of AG-UI: asked once, resumed from any event, joined by their ids."""

import pytest

from app.server import Server
from tests.handlers.ag_ui.agents import Agent, text_of, types_of, user
from tests.upstreams import ScriptedUpstream


@pytest.fixture
def agent(headrace: Server) -> Agent:
    return Agent(headrace.url)


@pytest.mark.gen_test
async def test_a_run_is_an_answer(agent: Agent, upstream: ScriptedUpstream) -> None:
    upstream.reasoning("Hm")
    upstream.tokens("Hel", "lo")
    upstream.finish()

    events = await agent.run(user("hi"))

    assert [
        "RUN_STARTED",
        *("REASONING_START", "REASONING_MESSAGE_START", "REASONING_MESSAGE_CONTENT"),
        *("REASONING_MESSAGE_END", "REASONING_END"),
        *("TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "RUN_FINISHED"),
    ] == types_of(events)
    assert "Hello" == text_of(events)


@pytest.mark.gen_test
async def test_a_thread_is_shown_with_its_live_run(
    agent: Agent, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("Hm")
    upstream.tokens("Hel")
    run = await agent.open(user("hi", "u1"), run_id="r1")
    await run.text("Hel")

    shown = (await agent.get("threadId=thread-1")).body

    assert {"runId": "r1"} == shown["activeRun"]
    assert ["u1", run.message_id] == [message["id"] for message in shown["messages"]]
    assert {"truncated": False} == shown["page"]
