"""Whole conversations with the scripted Responses API, over sockets; it refuses what it should."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from http_client.client import HttpClient
from model.blocks import Block, ImageBlock, TextBlock, ToolResultBlock
from model.messages import Role
from model.prompt import Prompt, Tool, Turn, text_turn
from providers.building import build_provider
from providers.errors import BadRequest, ProviderOverloaded, RateLimited, Unauthorized
from providers.provider import Provider
from settings import ProviderSettings, TimeoutSettings
from tests.openai_responses_stream import ResponsesStream
from tests.providers.conversations import CITY, FILES, IMAGE_URL
from tests.providers.recorded import Recorded
from tests.upstreams import ScriptedUpstream

MODEL = "gpt-5-example"
WEATHER = Tool("weather", "Tells the weather.", CITY)
HELLO = text_turn(Role.USER, "Where is it warmer?")


@asynccontextmanager
async def provider_at(upstream: ScriptedUpstream, **more: Any) -> AsyncIterator[Provider]:
    """The provider as its settings make it."""
    url = upstream.base_url("openai-responses")
    given = {"preset": "openai-responses", "base_url": url, "api_key": "sk-example", **more}
    client = HttpClient()
    try:
        yield build_provider(
            "it",
            ProviderSettings.model_validate(given),
            base_url=url,
            client=client,
            timeouts=TimeoutSettings(),
        )
    finally:
        client.close()


async def answer(provider: Provider, *turns: Turn, model: str = MODEL, **options: Any) -> Recorded:
    """What the provider answers."""
    recorded = Recorded(model)
    prompt = Prompt(model=model, turns=turns, files=FILES, **options)
    provider.check(prompt)
    sent = asyncio.get_running_loop().create_future()
    sent.set_result(None)
    await provider.answer(prompt, may_send=sent, on_sent=lambda: None, sink=recorded)
    return recorded


@pytest.mark.gen_test
async def test_three_rounds_of_two_calls_and_then_another_model(upstream: ScriptedUpstream) -> None:
    for number in range(3):
        upstream.response(
            lambda stream, number=number: stream.reasoning(f"Thought {number}"),
            lambda stream, number=number: stream.call(f"{number}_a", "weather", '{"city":', '"A"}'),
            ResponsesStream.reasoning,
            lambda stream, number=number: stream.call(f"{number}_b", "weather", '{"city":"B"}'),
            ResponsesStream.complete,
        )
        upstream.end()
        upstream.next_request()
    upstream.tokens("A", " is.")
    upstream.finish()
    turns = [HELLO]

    async with provider_at(upstream) as provider:
        for _ in range(3):
            said = await answer(provider, *turns, tools=(WEATHER,))
            calls = [call["id"] for call in said.tool_calls]
            results: tuple[Block, ...] = tuple(ToolResultBlock(each, "20 °C") for each in calls)
            turns += [Turn(Role.ASSISTANT, said.answer.blocks()), Turn(Role.USER, results)]
        last = await answer(provider, *turns, tools=(WEATHER,))
        await answer(provider, *turns, tools=(WEATHER,), model="gpt-5-other")

    assert "A is." == last.text_
    kinds = [[item.get("type") for item in request.json["input"]] for request in upstream.requests]
    one_round = ["reasoning", "function_call", "reasoning", "function_call"]
    assert [None, *([*one_round, *["function_call_output"] * 2] * 3)] == kinds[3]
    assert "reasoning" not in kinds[4]
    assert kinds[4] == [kind for kind in kinds[3] if kind != "reasoning"]


@pytest.mark.gen_test
async def test_a_question_with_two_images(upstream: ScriptedUpstream) -> None:
    upstream.tokens("The first.")
    upstream.finish()
    question = Turn(
        Role.USER, (TextBlock("Which is older?"), IMAGE_URL, ImageBlock(file_id="f-png"))
    )

    async with provider_at(upstream, reasoning_summary="concise") as provider:
        said = await answer(provider, question)

    assert "The first." == said.text_
    [message] = upstream.requests[0].json["input"]
    kinds = [part["type"] for part in message["content"]]
    assert ["input_text", "input_image", "input_image"] == kinds
    assert {"summary": "concise"} == upstream.requests[0].json["reasoning"]


@pytest.mark.gen_test
async def test_errors_are_raised_as_what_they_are(upstream: ScriptedUpstream) -> None:
    error = {"message": "的问题", "type": "x", "param": None, "code": None}
    for number, (status, code) in enumerate(
        ((401, "invalid_api_key"), (429, "rate_limit_exceeded"), (503, "server_is_overloaded"))
    ):
        if number:
            upstream.next_request()
        upstream.fail(status, {"error": {**error, "code": code}}, Retry_After="7")
    kinds = (Unauthorized, RateLimited, ProviderOverloaded)

    async with provider_at(upstream) as provider:
        for kind in kinds:
            with pytest.raises(kind) as caught:
                await answer(provider, HELLO)
            assert "的问题" not in str(caught.value)
        assert 7 == caught.value.retry_after


@pytest.mark.gen_test
async def test_what_the_api_refuses_is_a_bad_request(upstream: ScriptedUpstream) -> None:
    async with provider_at(upstream) as provider:
        with pytest.raises(BadRequest) as caught:
            await answer(provider, HELLO, max_tokens=5)  # it takes no less than 16

    assert "invalid_value" == caught.value.provider_code


@pytest.mark.gen_test
async def test_cancelling_hangs_up(upstream: ScriptedUpstream) -> None:
    upstream.tokens("so far")

    async with provider_at(upstream) as provider:
        asked = asyncio.ensure_future(answer(provider, HELLO))
        await upstream.request()
        asked.cancel()
        async with asyncio.timeout(5):
            await upstream.closed.wait()

    assert asked.cancelled()
