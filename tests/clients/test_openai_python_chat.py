"""OpenAI's Python SDK asks for chat completions, of a model whose dialect is not OpenAI's."""

import asyncio
from typing import Any

import openai
import pytest

from app.server import Server
from tests.clients.openai_sdk import (
    MESSAGES,
    TOOLS,
    Weather,
    async_client,
    client,
    reasoning_of,
    texts_of,
)
from tests.clients.qwen import (
    ARGUMENTS,
    CALL_ID,
    MODEL,
    RESULT,
    TEXT,
    TEXTS,
    THOUGHT,
    TOOL,
    calls_the_tool,
    has_image,
    results_in,
    thinks_and_answers,
)
from tests.upstreams import ScriptedUpstream


@pytest.mark.gen_test
async def test_a_stream_has_each_piece_as_it_comes(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    async with async_client(headrace.url) as sdk:
        stream = await sdk.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

    assert (THOUGHT, TEXT) == texts_of(chunks)
    assert "assistant" == chunks[0].choices[0].delta.role
    assert ["stop"] == [c.choices[0].finish_reason for c in chunks if c.choices][-1:]
    assert 1 == len({(chunk.id, chunk.created, chunk.model) for chunk in chunks})
    assert chunks[0].id.startswith("chatcmpl-")
    usage = chunks[-1].usage
    assert usage is not None
    assert (7, 11, 18) == (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    assert has_image(upstream.requests[0].json)


@pytest.mark.gen_test
async def test_a_whole_answer(headrace: Server, upstream: ScriptedUpstream) -> None:
    thinks_and_answers(upstream)

    async with async_client(headrace.url) as sdk:
        made = await sdk.chat.completions.create(model=MODEL, messages=MESSAGES)

    [choice] = made.choices
    assert (TEXT, "stop") == (choice.message.content, choice.finish_reason)
    assert THOUGHT == reasoning_of(choice.message)
    assert made.usage is not None
    assert 18 == made.usage.total_tokens
    assert has_image(upstream.requests[0].json)


@pytest.mark.gen_test
async def test_the_synchronous_client_streams_and_waits(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    def ask() -> tuple[tuple[str, str], str | None]:
        with client(headrace.url) as sdk:
            stream = sdk.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
            streamed = texts_of(list(stream))
            whole = sdk.chat.completions.create(model=MODEL, messages=MESSAGES)
            return streamed, whole.choices[0].message.content

    streamed, whole = await asyncio.to_thread(ask)

    assert ((THOUGHT, TEXT), TEXT) == (streamed, whole)


@pytest.mark.gen_test
async def test_a_tool_is_called_and_its_result_answered(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    calls_the_tool(upstream)
    thinks_and_answers(upstream)
    ask: Any = {"model": MODEL, "tools": TOOLS}

    async with async_client(headrace.url) as sdk:
        async with sdk.chat.completions.stream(messages=MESSAGES, **ask) as stream:
            events = [event async for event in stream]
            first = await stream.get_final_completion()
        message = first.choices[0].message
        again = [
            *MESSAGES,
            message.model_dump(exclude_none=True, exclude={"parsed"}),
            {"role": "tool", "tool_call_id": CALL_ID, "content": RESULT},
        ]
        second = await sdk.chat.completions.create(messages=again, **ask)

    assert "tool_calls" == first.choices[0].finish_reason
    assert message.tool_calls is not None
    [call] = message.tool_calls
    assert (CALL_ID, TOOL, ARGUMENTS) == (call.id, call.function.name, call.function.arguments)
    assert {"city": "北京"} == call.function.parsed_arguments
    assert "tool_calls.function.arguments.done" in {event.type for event in events}
    assert TEXT == second.choices[0].message.content
    assert [(CALL_ID, RESULT)] == results_in(upstream.requests[1].json)


@pytest.mark.gen_test
async def test_the_helper_for_streams_has_the_text_and_the_final_completion(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)

    async with (
        async_client(headrace.url) as sdk,
        sdk.chat.completions.stream(model=MODEL, messages=MESSAGES) as stream,
    ):
        deltas = [event.delta async for event in stream if event.type == "content.delta"]
        final = await stream.get_final_completion()

    assert list(TEXTS) == deltas or TEXT == "".join(deltas)
    assert TEXT == final.choices[0].message.content


@pytest.mark.gen_test
async def test_structured_output_is_parsed(headrace: Server, upstream: ScriptedUpstream) -> None:
    upstream.tokens('{"city":"北', '京","degrees":', "20}")
    upstream.finish()

    async with async_client(headrace.url) as sdk:
        made = await sdk.chat.completions.parse(
            model=MODEL, messages=MESSAGES, response_format=Weather
        )

    assert Weather(city="北京", degrees=20) == made.choices[0].message.parsed
    format_sent = upstream.requests[0].json["parameters"]["response_format"]
    assert "json_schema" == format_sent["type"]


@pytest.mark.gen_test
async def test_models_are_listed_and_retrieved(headrace: Server) -> None:
    async with async_client(headrace.url) as sdk:
        listed = [model.id async for model in sdk.models.list()]
        one = await sdk.models.retrieve(MODEL)

        with pytest.raises(openai.NotFoundError) as caught:
            await sdk.models.retrieve("dashscope")

    assert [MODEL] == listed
    assert (MODEL, "model") == (one.id, one.object)
    assert caught.value.code is not None


@pytest.mark.gen_test
async def test_what_is_refused_is_the_sdks_own_error_and_not_asked_again(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    asked = 0

    async with async_client(headrace.url) as sdk:
        with pytest.raises(openai.NotFoundError) as unknown:
            await sdk.chat.completions.create(model="no/model", messages=MESSAGES)
        with pytest.raises(openai.BadRequestError) as logit_bias:
            await sdk.chat.completions.create(model=MODEL, messages=MESSAGES, logit_bias={"1": 1})

    assert "unknown_model" == unknown.value.code
    assert unknown.value.request_id
    assert "logit_bias" in logit_bias.value.message
    assert asked == len(upstream.requests)
