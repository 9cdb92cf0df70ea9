"""OpenAI's Python SDK asks for responses, of a model whose dialect is not OpenAI's."""

import asyncio
from typing import Any

import openai
import pytest

from app.server import Server
from tests.clients.openai_sdk import (
    FUNCTIONS,
    INPUT,
    INSTRUCTIONS,
    Weather,
    async_client,
    client,
    reasoning_in,
    texts_in,
)
from tests.clients.qwen import (
    ARGUMENTS,
    CALL_ID,
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

ASK: Any = {"model": MODEL, "instructions": INSTRUCTIONS, "input": INPUT}


@pytest.mark.gen_test
async def test_a_stream_has_reasoning_text_and_the_whole_response(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    async with async_client(headrace.url) as sdk:
        stream = await sdk.responses.create(stream=True, **ASK)
        events = [event async for event in stream]

    assert (THOUGHT, TEXT) == texts_in(events)
    assert ["response.created", "response.in_progress"] == [event.type for event in events[:2]]
    last = events[-1]
    assert "response.completed" == last.type
    assert (TEXT, THOUGHT) == (last.response.output_text, reasoning_in(last.response))
    assert 18 == last.response.usage.total_tokens
    numbers = [event.sequence_number for event in events]
    assert sorted(set(numbers)) == numbers
    assert has_image(upstream.requests[0].json)


@pytest.mark.gen_test
async def test_a_whole_response_and_what_is_kept_of_it(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    async with async_client(headrace.url) as sdk:
        made = await sdk.responses.create(metadata={"topic": "天气"}, **ASK)
        kept = await sdk.responses.retrieve(made.id)
        await sdk.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await sdk.responses.retrieve(made.id)

    assert ("completed", TEXT, THOUGHT) == (made.status, made.output_text, reasoning_in(made))
    assert made.to_dict() == kept.to_dict()
    assert ({"topic": "天气"}, INSTRUCTIONS) == (kept.metadata, kept.instructions)


@pytest.mark.gen_test
async def test_the_synchronous_client_streams_and_waits(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    def ask() -> tuple[Any, str]:
        with client(headrace.url) as sdk:
            events = list(sdk.responses.create(stream=True, **ASK))
            return texts_in(events), sdk.responses.create(**ASK).output_text

    assert ((THOUGHT, TEXT), TEXT) == await asyncio.to_thread(ask)


@pytest.mark.gen_test
async def test_the_helper_for_streams_has_the_final_response(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    async with async_client(headrace.url) as sdk, sdk.responses.stream(**ASK) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()

    assert (THOUGHT, TEXT) == texts_in(events)
    assert (TEXT, THOUGHT) == (final.output_text, reasoning_in(final))


@pytest.mark.gen_test
async def test_structured_output_is_parsed(headrace: Server, upstream: ScriptedUpstream) -> None:
    upstream.tokens('{"city":"北', '京","degrees":', "20}")
    upstream.finish()

    async with async_client(headrace.url) as sdk:
        made = await sdk.responses.parse(text_format=Weather, **ASK)

    assert Weather(city="北京", degrees=20) == made.output_parsed
    assert "json_schema" == upstream.requests[0].json["parameters"]["response_format"]["type"]


@pytest.mark.gen_test
async def test_a_tool_is_called_and_its_result_answered(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)

    async with async_client(headrace.url) as sdk:
        async with sdk.responses.stream(tools=FUNCTIONS, **ASK) as stream:
            events = [event async for event in stream]
            first = await stream.get_final_response()
        second = await sdk.responses.create(
            model=MODEL,
            previous_response_id=first.id,
            input=[{"type": "function_call_output", "call_id": CALL_ID, "output": RESULT}],
            tools=FUNCTIONS,
        )

    [call] = [item for item in first.output if item.type == "function_call"]
    assert (CALL_ID, TOOL, ARGUMENTS) == (call.call_id, call.name, call.arguments)
    assert {"city": "北京"} == call.parsed_arguments
    assert "response.function_call_arguments.done" in {event.type for event in events}
    assert (TEXT, first.id) == (second.output_text, second.previous_response_id)
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[1].json)


@pytest.mark.gen_test
async def test_a_response_in_the_background_goes_on_without_a_reader(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    async with async_client(headrace.url) as sdk:
        made = await sdk.responses.create(background=True, **ASK)
        thinks_and_answers(upstream)
        stream = await sdk.responses.retrieve(made.id, stream=True)
        events = [event async for event in stream]
        kept = await sdk.responses.retrieve(made.id)

    assert made.status in ("queued", "in_progress")
    assert (THOUGHT, TEXT) == texts_in(events)
    assert ("completed", TEXT) == (kept.status, kept.output_text)


@pytest.mark.gen_test
async def test_a_response_is_cancelled_from_elsewhere(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens(TEXT)

    async with async_client(headrace.url) as sdk, async_client(headrace.url) as other:
        stream = await sdk.responses.create(stream=True, **ASK)
        events = [await anext(stream)]
        while events[-1].type != "response.output_text.delta":
            events.append(await anext(stream))
        cancelled = await other.responses.cancel(events[0].response.id)
        again = await other.responses.cancel(events[0].response.id)
        rest = [event async for event in stream]

    await upstream.closed.wait()
    assert ["cancelled"] * 2 == [cancelled.status, again.status]
    assert ("response.incomplete", "cancelled") == (rest[-1].type, rest[-1].response.status)
    assert TEXT == cancelled.output_text
