"""TanStack AI's client reads Headrace: it resumes runs, joins them and calls tools by itself."""

from collections.abc import Callable
from typing import Any

import pytest

from app.server import Server
from tests.clients.killable import KillableServer
from tests.clients.qwen import (
    CALL_ID,
    RESULT,
    TEXT,
    THOUGHT,
    TOOL,
    calls_the_tool,
    results_in,
    thinks_and_answers,
)
from tests.clients.scripts import Scripts
from tests.steps import stop_newest
from tests.upstreams import ScriptedUpstream

SCRIPT = "tanstack.js"
WHOLE = {"TEXT_MESSAGE_CONTENT": TEXT, "REASONING_MESSAGE_CONTENT": THOUGHT}


def url_of(server: Server | KillableServer) -> str:
    return f"{server.url}/ag-ui"


def text_of(message: dict[str, Any]) -> str:
    return "".join(part["content"] for part in message["parts"] if part["type"] == "text")


@pytest.mark.slow
@pytest.mark.parametrize("join", [False, True])
@pytest.mark.gen_test
async def test_a_run_is_resumed_exactly_wherever_it_was_cut(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts, join: bool
) -> None:
    thinks_and_answers(upstream)
    await node.run(SCRIPT, url=url_of(headrace), way="cuts", cuts=[])

    seen = await node.run(
        SCRIPT, url=url_of(headrace), way="cuts", cuts=[*range(0, 2600, 53)], join=join
    )

    assert [] == [cut for cut in seen["wrong"] if cut[0] > 120], "once it has an id to resume from"
    assert WHOLE == seen["whole"]["texts"]
    assert 1 == len(upstream.requests)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_chat_goes_on_and_calls_tools_by_itself(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)
    upstream.next_request()
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    tools = [{"name": TOOL, "description": "The weather.", "result": RESULT}]

    seen = await node.run(
        SCRIPT, url=url_of(headrace), way="chat", asked=["你好", "天气如何？"], tools=tools
    )

    assert "ready" == seen["status"], seen
    _, first, _, called, answered = seen["messages"]
    assert [TEXT, "", TEXT] == list(map(text_of, (first, called, answered)))
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[2].json)
    roles = [message["role"] for message in upstream.requests[2].json["input"]["messages"]]
    assert ["user", "assistant", "user", "assistant", "tool"] == roles


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_page_that_is_loaded_again_shows_the_thread_and_goes_on_with_its_run(
    headrace: Server, upstream: ScriptedUpstream, node: Scripts
) -> None:
    thinks_and_answers(upstream)
    upstream.next_request()
    await node.run(SCRIPT, url=url_of(headrace), way="chat", asked=["你好"])
    upstream.reasoning("想")
    upstream.tokens("再")
    async with node.start(SCRIPT, url=url_of(headrace), way="chat", asked=["再来"]):
        await upstream.request(1)
        async with node.start(SCRIPT, url=url_of(headrace), way="reload") as page:
            shown = await page.heard()
            page.say()
            upstream.tokens("见")
            upstream.finish()
            then = await page.result()

    assert ["你好", TEXT, "再来"] == list(map(text_of, shown))[:3]
    assert ["你好", TEXT, "再来", "再见"] == list(map(text_of, then))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_run_whose_server_was_killed_ends_as_interrupted_with_what_is_stored(
    killable: KillableServer, upstream: ScriptedUpstream, node: Scripts
) -> None:
    upstream.tokens("你")

    async with node.start(SCRIPT, url=url_of(killable), way="broken") as script:
        assert "begun" == await script.heard()
        await killable.restart()
        seen = await script.result()

    assert "RUN_ERROR" == seen["others"][-1]
    assert 1 == len(upstream.requests)


@pytest.mark.slow
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
        "complete": {"type": "RUN_FINISHED", "outcome": "success", "thrown": None},
        "failed": {"type": "RUN_ERROR", "code": "stream_broken", "thrown": None},
        "stopped": {"type": "RUN_FINISHED", "outcome": "cancelled", "thrown": None},
    } == seen
