"""`useChat` of Vercel's AI SDK, in its majors and for Vue and React, at a model whose dialect is
not OpenAI's: what the person sees is what is stored.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.server import Server
from tests.clients.killable import KillableServer
from tests.clients.qwen import (
    CALL_ID,
    IMAGE,
    MODEL,
    PARAMETERS,
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
from tests.clients.scripts import Script, Scripts
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow  # each starts Node with a page

MAJORS = [5, 6, 7]
EACH_CLIENT = pytest.mark.parametrize(
    ("major", "framework"), [(major, name) for major in MAJORS for name in ("vue", "react")]
)

TOOLS = [{"name": TOOL, "parameters": PARAMETERS}]
FILE = {"type": "file", "mediaType": "image/png", "url": IMAGE, "filename": "a.png"}
CHAT = "chat-1"


class Page:
    """A page with a chat."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def do(self, **command: Any) -> Any:
        """Have it do one thing, by its name."""
        self._script.say(command)
        return await self._script.heard()

    async def settled(self, *statuses: str, requests: int = 1) -> Any:
        """What the person sees once the chat has one of these statuses."""
        wanted = {"statuses": statuses or ("ready", "error"), "requests": requests}
        return await self.do(settle=wanted)

    async def open(self, **options: Any) -> None:
        """Load the page, perhaps again."""
        chosen = {"id": CHAT, "body": {"model": MODEL, "tools": TOOLS}, **options}
        await self.do(open=chosen)

    async def ask(self, text: str, *files: Any) -> Any:
        """Ask, and see what comes of it."""
        seen = await self.do(seen=None)
        await self.do(send={"text": text, "files": files})
        return await self.settled(requests=len(seen["requests"]) + 1)


@pytest.fixture
def pages(node: Scripts) -> Any:
    """Opens pages: `async with pages(url, 6, "vue") as page`."""

    @asynccontextmanager
    async def opened(url: str, major: int, framework: str, **options: Any) -> AsyncIterator[Page]:
        async with node.start("ai_sdk_ui.js", url=url, major=major, framework=framework) as script:
            page = Page(script)
            await page.open(**options)
            yield page

    return opened


def parts(message: Any, *kinds: str) -> list[dict[str, Any]]:
    return [part for part in message["parts"] if part["type"] in kinds]


def text(message: Any) -> str:
    return "".join(part["text"] for part in parts(message, "text"))


@EACH_CLIENT
@pytest.mark.gen_test
async def test_it_asks_with_an_image_and_shows_reasoning_and_text(
    headrace: Server, upstream: ScriptedUpstream, pages: Any, major: int, framework: str
) -> None:
    thinks_and_answers(upstream)

    async with pages(headrace.url, major, framework) as page:
        seen = await page.ask("这是哪里？", FILE)

    assert ("ready", []) == (seen["status"], seen["errors"])
    _, answer = seen["messages"]
    assert ["step-start", "reasoning", "text"] == [part["type"] for part in answer["parts"]]
    assert THOUGHT == answer["parts"][1]["text"]
    assert TEXT == text(answer)
    assert {"done"} == {part["state"] for part in parts(answer, "text", "reasoning")}
    assert "complete" == answer["metadata"]["status"]
    assert [("stop", False)] == [(f["finishReason"], f["isError"]) for f in seen["finishes"]]
    assert has_image(upstream.requests[0].json)


@EACH_CLIENT
@pytest.mark.gen_test
async def test_a_tool_loop_is_one_message_also_when_it_is_loaded_again(
    headrace: Server, upstream: ScriptedUpstream, pages: Any, major: int, framework: str
) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    thinks_and_answers(upstream)

    async with pages(headrace.url, major, framework, results={TOOL: RESULT}) as page:
        await page.do(send={"text": "天气？"})
        seen = await page.settled(requests=2)
        question, answer = seen["messages"]
        await page.open(messages=[question], resume=True)
        resumed = await page.settled(requests=1)
        await page.open(messages=seen["messages"], resume=True)
        kept = await page.settled(requests=1)
        again = await page.ask("那明天呢？")

    assert [(CALL_ID, TOOL)] == [(call["toolCallId"], call["toolName"]) for call in seen["calls"]]
    assert {"city": "北京"} == seen["calls"][0]["input"]
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[1].json)
    [step] = parts(answer, f"tool-{TOOL}")
    assert ("output-available", RESULT) == (step["state"], step["output"])
    assert TEXT == text(answer)
    for found in (resumed, kept):
        assert _told(answer) == _told(found["messages"][-1])
        assert 2 == len(found["messages"])
    assert 4 == len(again["messages"])
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[2].json)


def _told(message: Any) -> Any:
    """A message without what clients note for themselves."""
    shown = [
        {
            name: part.get(name)
            for name in ("type", "text", "toolCallId", "state", "input", "output")
        }
        for part in message["parts"]
    ]
    return message["id"], message["role"], shown, message["metadata"]


@EACH_CLIENT
@pytest.mark.gen_test
async def test_it_resumes_after_a_reload_in_the_middle_and_after_the_end(
    headrace: Server, upstream: ScriptedUpstream, pages: Any, major: int, framework: str
) -> None:
    upstream.reasoning(*THOUGHTS)
    upstream.tokens(*TEXTS[:2])

    async with pages(headrace.url, major, framework) as page:
        await page.do(send={"text": "天气？"})
        await page.do(text="".join(TEXTS[:2]))
        messages = (await page.do(seen=None))["messages"]
        await page.open(messages=messages, resume=True)
        await page.settled("streaming")
        upstream.tokens(*TEXTS[2:])
        upstream.finish()
        await page.do(text=TEXT)
        live = await page.settled()
        await page.open(messages=messages, resume=True)
        ended = await page.settled()

    for seen in (live, ended):
        assert ("ready", []) == (seen["status"], seen["errors"])
        _, answer = seen["messages"]
        assert TEXT == text(answer)
        assert THOUGHT == parts(answer, "reasoning")[0]["text"]
        assert "complete" == answer["metadata"]["status"]
    assert 1 == len(upstream.requests)


@EACH_CLIENT
@pytest.mark.gen_test
async def test_it_resumes_on_the_same_page_after_the_network_changed(
    headrace: Server, upstream: ScriptedUpstream, pages: Any, major: int, framework: str
) -> None:
    upstream.reasoning(*THOUGHTS)
    upstream.tokens(*TEXTS[:2])

    # React's `useChat` of 5 and 6 appends a replay to what it has, unless it is given a `Chat`; in
    # 5 every chat does, so that the app has to make another one.
    async with pages(headrace.url, major, framework, ownChat=True) as page:
        await page.do(send={"text": "天气？"})
        await page.do(text="".join(TEXTS[:2]))
        await page.do(disconnect=None)
        broken = await page.settled("error")
        if major == 5:
            await page.open(messages=broken["messages"], resume=True)
            requests = 1
        else:
            await page.do(resume=None)
            requests = 2
        await page.settled("streaming", requests=requests)
        upstream.tokens(*TEXTS[2:])
        upstream.finish()
        seen = await page.settled("ready")

    assert {"isError": True, "isDisconnect": True} == _of(
        broken["finishes"][0], "isError", "isDisconnect"
    )
    assert TEXT == text(seen["messages"][-1])
    assert 2 == len(seen["messages"])


def _of(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names}


@EACH_CLIENT
@pytest.mark.gen_test
async def test_calls_that_were_received_are_not_carried_out_again(
    headrace: Server, upstream: ScriptedUpstream, pages: Any, major: int, framework: str
) -> None:
    calls_the_tool(upstream)

    async with pages(headrace.url, major, framework) as page:
        first = await page.ask("天气？")
        await page.open(messages=first["messages"], resume=True)
        seen = await page.settled(requests=1)

    assert 1 == len(first["calls"])
    assert [] == seen["calls"]
    assert first["messages"] == seen["messages"]


@EACH_CLIENT
@pytest.mark.gen_test
async def test_it_regenerates_and_edits(
    headrace: Server, upstream: ScriptedUpstream, pages: Any, major: int, framework: str
) -> None:
    for said in ("one", "two", "2b", "2c", "2d", "three"):
        upstream.tokens(said)
        upstream.finish()
        upstream.next_request()

    async with pages(headrace.url, major, framework) as page:
        await page.ask("1")
        second = await page.ask("2")
        await page.do(regenerate={"messageId": second["messages"][-1]["id"]})
        again = await page.settled(requests=3)
        await page.do(regenerate=None)
        third = await page.settled(requests=4)
        await page.do(send={"text": "2, please", "messageId": second["messages"][2]["id"]})
        edited = await page.settled(requests=5)
        last = await page.ask("3")

    assert ["one", "2b", "2c", "2d"] == [
        text(second["messages"][1]),
        *(text(seen["messages"][-1]) for seen in (again, third, edited)),
    ]
    assert 6 == len(last["messages"])
    asked = [
        [(message["role"], _said(message)) for message in request.json["input"]["messages"]]
        for request in upstream.requests
    ]
    first = [("user", "1"), ("assistant", "one")]
    assert [*first, ("user", "2")] == asked[2] == asked[3]
    assert [*first, ("user", "2, please"), ("assistant", "2d"), ("user", "3")] == asked[5]


def _said(message: Any) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@EACH_CLIENT
@pytest.mark.gen_test
async def test_a_stop_reaches_the_server_and_a_new_question_stops_what_nobody_reads(
    headrace: Server, upstream: ScriptedUpstream, pages: Any, major: int, framework: str
) -> None:
    for _ in range(2):
        upstream.tokens(TEXTS[0])
        upstream.next_request()
    thinks_and_answers(upstream)

    async with pages(headrace.url, major, framework) as page:
        await page.do(send={"text": "天气？"})
        await page.do(text=TEXTS[0])
        status = await page.do(stop={"id": CHAT})
        stopped = await page.settled()
        await page.do(send={"text": "再来"})
        await page.do(text=TEXTS[0])
        await page.do(leave=None)
        await page.settled("ready")
        last = await page.ask("那明天呢？")

    assert 204 == status
    assert ("ready", []) == (stopped["status"], stopped["errors"])
    assert "stopped" == stopped["messages"][-1]["metadata"]["status"]
    assert ("ready", TEXT) == (last["status"], text(last["messages"][-1]))
    assert [1, 3, 5] == [len(request.json["input"]["messages"]) for request in upstream.requests]


@EACH_CLIENT
@pytest.mark.gen_test
async def test_every_ending_is_seen_for_what_it_is(
    headrace: Server, upstream: ScriptedUpstream, pages: Any, major: int, framework: str
) -> None:
    upstream.tokens(TEXTS[0])
    upstream.finish("length")
    upstream.next_request()
    upstream.tokens(TEXTS[0])
    upstream.cut()
    upstream.next_request()
    upstream.fail(500)

    async with pages(headrace.url, major, framework) as page:
        long = await page.ask("1")
        broken = await page.ask("2")
        failed = await page.ask("3")
        refused = await page.ask(" ")

    assert ("ready", "length") == (long["status"], long["finishes"][-1]["finishReason"])
    assert ["error"] * 3 == [seen["status"] for seen in (broken, failed, refused)]
    assert TEXTS[0] == text(broken["messages"][-1])
    told = [seen["messages"][-1]["metadata"] for seen in (broken, failed)]
    assert ["stream_broken", "provider_overloaded"] == [each["error"]["code"] for each in told]
    assert [each["error"]["message"] for each in told] == [broken["error"], failed["error"]]
    assert refused["error"].startswith("The last message asks nothing")


@pytest.mark.parametrize(
    ("major", "framework"), [(6, "vue"), *((major, "react") for major in MAJORS)]
)
@pytest.mark.gen_test
async def test_it_survives_a_server_that_is_killed(
    killable: KillableServer, upstream: ScriptedUpstream, pages: Any, major: int, framework: str
) -> None:
    upstream.tokens(*TEXTS[:2])
    upstream.next_request()
    thinks_and_answers(upstream)

    async with pages(killable.url, major, framework) as page:
        await page.do(send={"text": "天气？"})
        await page.do(text="".join(TEXTS[:2]))
        await asyncio.sleep(0.2)  # until it is stored, which nobody tells
        await killable.restart()
        broken = await page.settled("error")
        await page.open(messages=broken["messages"], resume=True)
        resumed = await page.settled("error")
        await page.do(regenerate=None)
        again = await page.settled("ready", requests=2)

    assert "interrupted" == resumed["messages"][-1]["metadata"]["status"]
    assert "".join(TEXTS[:2]) == text(resumed["messages"][-1])
    assert TEXT == text(again["messages"][-1])
    assert 2 == len(again["messages"])
