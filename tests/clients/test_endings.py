"""Every ending of an answer, as each client sees it: none is taken for another.

The answer has begun when it ends, so its status is 200 already. Ways to end: the provider finishes
it, or runs out of tokens, or breaks off; somebody else stops it; the client's connection breaks.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agents import Agent, OpenAIResponsesModel, RunConfig, Runner
from langchain_openai import ChatOpenAI

from app.server import Server
from tests.clients.openai_sdk import async_client
from tests.clients.qwen import MODEL
from tests.clients.scripts import Scripts
from tests.readers import call
from tests.tcp_proxy import TcpProxy
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow

Begun = Callable[[], None]
Outcome = dict[str, Any]

ASK: Any = {"model": MODEL, "messages": [{"role": "user", "content": "天气"}]}
RESPONSE: Any = {"model": MODEL, "input": "天气"}


class Ends:
    """Ends the answer that is being read, in one of the ways."""

    def __init__(self, headrace: Server, upstream: ScriptedUpstream, proxy: TcpProxy) -> None:
        self._headrace = headrace
        self._upstream = upstream
        self._proxy = proxy

    def begin(self) -> None:
        """Have the next answer begin."""
        self._upstream.tokens("北京")

    async def end(self, way: str) -> None:
        match way:
            case "complete":
                self._upstream.finish()
            case "length":
                self._upstream.finish("length")
            case "failed":
                self._upstream.cut()
            case "stopped":
                found = re.findall(rb'"id":"(?:chatcmpl-|resp_)([\w-]+)"', self._proxy.passed)
                path = f"/api/v1/answers/{found[-1].decode()}/stop"
                await call(self._headrace.url, "POST", path)
            case "broken":
                self._proxy.cut()
        self._upstream.next_request()


BROKEN = "APIConnectionError"

WAYS = ("complete", "length", "failed", "stopped", "broken")


@pytest.fixture
def ends(headrace: Server, upstream: ScriptedUpstream, tcp_proxy: TcpProxy) -> Ends:
    return Ends(headrace, upstream, tcp_proxy)


# Python


async def chat_loop(url: str, begun: Begun) -> str:
    finish = "silence"
    async with async_client(url) as sdk:
        async for chunk in await sdk.chat.completions.create(stream=True, **ASK):
            [choice] = chunk.choices
            if choice.delta.content:
                begun()
            finish = choice.finish_reason or finish
    return finish


async def chat_helper(url: str, begun: Begun) -> str:
    async with async_client(url) as sdk, sdk.chat.completions.stream(**ASK) as stream:
        async for event in stream:
            if event.type == "content.delta":
                begun()
        return (await stream.get_final_completion()).choices[0].finish_reason


async def responses_loop(url: str, begun: Begun) -> str:
    last: Any = None
    async with async_client(url) as sdk:
        async for event in await sdk.responses.create(stream=True, **RESPONSE):
            if event.type == "response.output_text.delta":
                begun()
            last = event
    response = getattr(last, "response", None)
    return "silence" if response is None else told(response.to_dict())


async def responses_helper(url: str, begun: Begun) -> str:
    async with async_client(url) as sdk, sdk.responses.stream(**RESPONSE) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                begun()
        return told((await stream.get_final_response()).to_dict())


async def langchain_chat(url: str, begun: Begun) -> str:
    return await langchain(url, begun, by_responses=False)


async def langchain_responses(url: str, begun: Begun) -> str:
    return await langchain(url, begun, by_responses=True)


async def langchain(url: str, begun: Begun, *, by_responses: bool) -> str:
    model = ChatOpenAI(
        model=MODEL,
        base_url=f"{url}/v1",
        api_key="none",
        max_retries=0,
        use_responses_api=by_responses,
    )
    told: dict[str, Any] = {}
    async for chunk in model.astream("天气"):
        if chunk.text:
            begun()
        told |= chunk.response_metadata
    details = told.get("incomplete_details") or {}
    return told.get("finish_reason") or details.get("reason") or told.get("status", "silence")


async def agents_responses(url: str, begun: Begun) -> str:
    async with async_client(url) as sdk:
        model = OpenAIResponsesModel(model=MODEL, openai_client=sdk)
        agent = Agent(name="天气", model=model)
        config = RunConfig(tracing_disabled=True)
        run = Runner.run_streamed(agent, "天气", run_config=config)
        async for event in run.stream_events():
            if event.type == "raw_response_event" and "output_text.delta" in event.data.type:
                begun()
    return "complete"


def told(response: Outcome) -> str:
    """How a response ended, in a word."""
    details = response.get("incomplete_details") or response.get("error") or {}
    words = response["status"], details.get("reason"), details.get("code")
    return " ".join(word for word in words if word)


# What each sees, in the order of `WAYS`. A break of its connection is one to each of them; a
# helper that is for whole answers raises for all others.
PYTHON = {
    chat_loop: ("stop", "length", "APIError stream_broken", "APIError stopped", BROKEN),
    chat_helper: (
        *("stop", "LengthFinishReasonError", "APIError stream_broken", "APIError stopped"),
        BROKEN,
    ),
    responses_loop: (
        *("completed", "incomplete max_output_tokens", "failed stream_broken"),
        *("cancelled stopped", BROKEN),
    ),
    responses_helper: ("completed", *["RuntimeError"] * 3, BROKEN),
    langchain_chat: (
        *("stop", "length", "APIError stream_broken", "APIError stopped"),
        "OpenAIConnectionError",
    ),
    langchain_responses: (
        "completed",
        "max_output_tokens",
        "ValueError",
        "stopped",
        "OpenAIConnectionError",
    ),
    agents_responses: ("complete", *["ModelBehaviorError"] * 3, BROKEN),
}


def named(error: Exception) -> str:
    """An error by its class, and its code if it has one."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


@pytest.mark.parametrize("client", PYTHON, ids=lambda client: client.__name__)
@pytest.mark.gen_test
async def test_python(
    client: Callable[[str, Begun], Awaitable[str]],
    ends: Ends,
    tcp_proxy: TcpProxy,
    expect_log: Callable[[str, str], None],
) -> None:
    if client is agents_responses:
        expect_log("openai.agents", "Error streaming response")
    seen = []
    for way in WAYS:
        begun = asyncio.Event()
        ends.begin()
        asking = asyncio.create_task(client(tcp_proxy.url, begun.set))
        await begun.wait()
        await ends.end(way)
        try:
            seen.append(await asking)
        except Exception as error:  # noqa: BLE001 - which one is what the table says
            seen.append(named(error))

    assert PYTHON[client] == tuple(seen)


# Node

CHAT = ("stop", "length", "error stream_broken", "error stopped", "AI_APICallError")
NODE = {
    "openai chat": ("stop", "length", "Error stream_broken", "Error stopped", "Error"),
    "openai responses": (
        *("completed", "incomplete max_output_tokens", "failed stream_broken"),
        *("cancelled stopped", "Error"),
    ),
    "5 compatible": CHAT,
    "6 compatible": CHAT,
    "7 compatible": CHAT,
    # Major 6 does not say why.
    "6 open-responses": ("stop", "length", "error", "other", "AI_APICallError"),
    "7 open-responses": ("stop", "length", "error stream_broken", "other", "AI_APICallError"),
}


@pytest.mark.parametrize("client", NODE)
@pytest.mark.gen_test
async def test_node(client: str, ends: Ends, tcp_proxy: TcpProxy, node: Scripts) -> None:
    seen = []
    of, by = client.split()
    given: dict[str, Any] = {"ask": RESPONSE if by == "responses" else ASK}
    name = f"openai_{by}.js"
    if of != "openai":
        name, given["major"], given["by"] = "ai_models.js", int(of), by
    async with node.start(name, url=tcp_proxy.url, way="endings", **given) as script:
        for way in WAYS:
            ends.begin()
            script.say(way)
            assert "begun" == await script.heard()
            await ends.end(way)
            seen.append(in_words(await script.heard()))

    assert NODE[client] == tuple(seen)


def in_words(outcome: Outcome) -> str:
    """How an answer ended, with the reason if one was told."""
    error = outcome.get("error") or outcome
    how = outcome.get("finish") or outcome.get("status") or error["name"]
    why = outcome.get("reason") or error.get("code")
    return f"{how} {why}" if why else str(how)
