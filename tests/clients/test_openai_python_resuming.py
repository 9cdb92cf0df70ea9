"""OpenAI's Python SDK comes back to a response after a cut, at every event, and after a crash."""

from typing import Any

import openai
import pytest

from app.server import Server
from tests.clients.killable import KillableServer
from tests.clients.openai_sdk import FUNCTIONS, INPUT, async_client, texts_in
from tests.clients.qwen import (
    ARGUMENTS,
    CALL_ID,
    MODEL,
    TEXT,
    TEXTS,
    THOUGHT,
    THOUGHTS,
    TOOL,
    thinks_and_answers,
)
from tests.tcp_proxy import TcpProxy
from tests.upstreams import ScriptedUpstream

# The response goes on when its reader has left.
STAYS: Any = {"default_headers": {"Headrace-On-Disconnect": "finish"}}
ASK: Any = {"model": MODEL, "input": INPUT, "tools": FUNCTIONS, "stream": True}


def says_everything(upstream: ScriptedUpstream) -> None:
    """Reasoning, text, a call."""
    upstream.reasoning(*THOUGHTS)
    upstream.tokens(*TEXTS)
    upstream.tool_call(0, CALL_ID, TOOL, ARGUMENTS)
    upstream.finish("tool_calls")


@pytest.mark.slow
@pytest.mark.gen_test
async def test_every_cut_of_an_ended_response_is_resumed_exactly(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    says_everything(upstream)
    async with async_client(headrace.url) as sdk:
        whole = [event async for event in await sdk.responses.create(**ASK)]
        of = whole[0].response.id
        for count, event in enumerate(whole[:-1], 1):
            number = event.sequence_number
            stream = await sdk.responses.retrieve(of, stream=True, starting_after=number)
            rest = [each async for each in stream]
            async with sdk.responses.stream(response_id=of, starting_after=number) as helper:
                by_helper = [each async for each in helper]
                final = await helper.get_final_response()

            before = whole[:count]
            assert (THOUGHT, TEXT) == texts_in([*before, *rest])
            assert (THOUGHT, TEXT) == texts_in([*before, *by_helper])
            assert whole[-1].response.output == rest[-1].response.output
            assert TEXT == final.output_text


@pytest.mark.slow
@pytest.mark.gen_test
async def test_every_cut_of_a_live_response_is_resumed_exactly(
    headrace: Server, upstream: ScriptedUpstream, tcp_proxy: TcpProxy
) -> None:
    says_everything(upstream)
    async with async_client(headrace.url) as sdk, async_client(tcp_proxy.url, **STAYS) as cut:
        count = len([event async for event in await sdk.responses.create(**ASK)])
        upstream.next_request()
        for place in range(1, count):
            seen: list[Any] = []
            upstream.reasoning(*THOUGHTS)
            upstream.tokens(*TEXTS[:2])
            stream = await cut.responses.create(**ASK)
            while len(seen) < place and "".join(texts_in(seen)) != THOUGHT + "".join(TEXTS[:2]):
                seen.append(await anext(stream))
            tcp_proxy.cut()
            upstream.tokens(*TEXTS[2:])
            upstream.tool_call(0, CALL_ID, TOOL, ARGUMENTS)
            upstream.finish("tool_calls")
            upstream.next_request()
            of = seen[0].response.id
            after = seen[-1].sequence_number
            stream = await sdk.responses.retrieve(of, stream=True, starting_after=after)
            rest = [event async for event in stream]

            assert (THOUGHT, TEXT) == texts_in([*seen, *rest])
            assert "response.completed" == rest[-1].type


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_response_whose_process_was_killed_is_resumed_and_has_failed(
    killable: KillableServer, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning(*THOUGHTS)
    upstream.tokens(*TEXTS)
    async with async_client(killable.url) as sdk:
        stream = await sdk.responses.create(**ASK)
        seen = [await anext(stream)]
        while texts_in(seen) != (THOUGHT, TEXT):
            seen.append(await anext(stream))

        await killable.restart()
        with pytest.raises(openai.APIConnectionError):
            await anext(stream)
        of, after = seen[0].response.id, seen[-1].sequence_number
        stream = await sdk.responses.retrieve(of, stream=True, starting_after=after)
        rest = [event async for event in stream]
        kept = await sdk.responses.retrieve(of)

    assert "response.failed" == rest[-1].type
    assert "failed" == kept.status
    assert TEXT.startswith(kept.output_text)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_was_stored_before_a_crash_is_read_after_it(
    killable: KillableServer, upstream: ScriptedUpstream
) -> None:
    thinks_and_answers(upstream)
    async with async_client(killable.url) as sdk:
        made = await sdk.responses.create(model=MODEL, input=INPUT)
        await killable.restart()
        kept = await sdk.responses.retrieve(made.id)
        again = await sdk.responses.create(
            model=MODEL, input="明天呢？", previous_response_id=made.id
        )

    assert made.to_dict() == kept.to_dict()
    assert TEXT == again.output_text
    assert TEXT in upstream.requests[1].body.decode()
