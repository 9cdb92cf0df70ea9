"""The SDK tries again by itself, after a time-out or a proxy's 504: asked twice, paid once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from app.server import Server
from tests.clients.qwen import MODEL
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow  # for the pauses that the SDK makes before it tries again

_504 = b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

# What becomes of a request that the proxy has passed on: it reads what comes back, and may write.
Fate = Callable[[asyncio.StreamReader], Awaitable[bytes]]


async def passed(response: asyncio.StreamReader) -> bytes:
    """The whole response."""
    return await response.read()


async def swallowed(response: asyncio.StreamReader) -> bytes:
    """A 504 in place of a response that was there."""
    await response.read()
    return _504


@asynccontextmanager
async def proxy(server: Server, *fates: Fate) -> AsyncIterator[str]:
    """A proxy whose requests fare one like the other as said; its address."""
    left = list(fates)
    to = urlsplit(server.url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-2])
        length = {name.lower(): value for name, value in fields.items()}["content-length"]
        body = await reader.readexactly(int(length))
        response, request = await asyncio.open_connection(to.hostname, to.port)
        head = head.replace(b"\r\nConnection: keep-alive", b"").replace(
            b"\r\n", b"\r\nConnection: close\r\n", 1
        )
        request.write(head + body)
        writer.write(await left.pop(0)(response))
        for each in (request, writer):
            each.close()

    listening = await asyncio.start_server(serve, "127.0.0.1")
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1"
    assert [] == left


@asynccontextmanager
async def sdk(base_url: str, **options: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=base_url, api_key="k", **options) as client:
        yield client


async def chat(client: openai.AsyncOpenAI, **options: Any) -> str:
    messages: Any = [{"role": "user", "content": "你好"}]
    answer = await client.chat.completions.create(model=MODEL, messages=messages, **options)
    return answer.choices[0].message.content or ""


async def responses(client: openai.AsyncOpenAI, **options: Any) -> str:
    answer = await client.responses.create(model=MODEL, input="你好", **options)
    return answer.output_text


WAYS = pytest.mark.parametrize("ask", [chat, responses])
Ask = Callable[..., Awaitable[str]]


@WAYS
@pytest.mark.gen_test
async def test_a_proxy_that_gives_up_and_hangs_up_costs_nothing(
    headrace: Server, upstream: ScriptedUpstream, ask: Ask
) -> None:
    async def given_up(response: asyncio.StreamReader) -> bytes:
        await upstream.request(0)
        return _504

    async def finished(response: asyncio.StreamReader) -> bytes:
        upstream.tokens("你好", "，世界")
        upstream.finish()
        return await response.read()

    async with proxy(headrace, given_up, given_up, finished) as url, sdk(url) as client:
        assert "你好，世界" == await ask(client)

    assert 1 == len(upstream.requests)


@WAYS
@pytest.mark.gen_test
async def test_a_response_that_was_swallowed_is_given_again(
    headrace: Server, upstream: ScriptedUpstream, ask: Ask
) -> None:
    upstream.tokens("你好")
    upstream.finish()

    async with proxy(headrace, swallowed, swallowed, passed) as url, sdk(url) as client:
        assert "你好" == await ask(client)

    assert 1 == len(upstream.requests)


@WAYS
@pytest.mark.gen_test
async def test_who_times_out_gets_its_answer_with_the_next_try(
    headrace: Server, upstream: ScriptedUpstream, ask: Ask
) -> None:
    async with sdk(f"{headrace.url}/v1", timeout=0.7, max_retries=5) as client:
        asking = asyncio.ensure_future(ask(client))
        await upstream.request(0)
        await headrace.open_requests.wait_for_none(timeout=5)  # it has timed out
        upstream.tokens("你好")
        upstream.finish()

        assert "你好" == await asking

    assert 1 == len(upstream.requests)


@WAYS
@pytest.mark.gen_test
async def test_equal_questions_are_as_many_questions(
    headrace: Server, upstream: ScriptedUpstream, ask: Ask
) -> None:
    for text in ("一", "二", "三"):
        upstream.tokens(text)
        upstream.finish()
        upstream.next_request()

    async with proxy(headrace, *[swallowed] * 3, *[passed] * 3) as url, sdk(url) as client:
        answers = await asyncio.gather(*(ask(client) for _ in range(3)))

    assert {"一", "二", "三"} == set(answers)
    assert 3 == len(upstream.requests)


@pytest.mark.gen_test
async def test_what_failed_is_asked_again(headrace: Server, upstream: ScriptedUpstream) -> None:
    upstream.fail(429, {"code": "Throttling.RateQuota", "message": "slow down"})
    upstream.next_request()
    upstream.tokens("你好")
    upstream.finish()

    async with sdk(f"{headrace.url}/v1") as client:
        assert "你好" == await chat(client)

    assert 2 == len(upstream.requests)


@WAYS
@pytest.mark.gen_test
async def test_a_key_stands_for_its_answer_quoted_or_not(
    headrace: Server, upstream: ScriptedUpstream, ask: Ask
) -> None:
    upstream.tokens("你好")
    upstream.finish()

    async with sdk(f"{headrace.url}/v1") as client:
        answers = [
            await ask(client, extra_headers={"Idempotency-Key": key}) for key in ("k", '"k"')
        ]
        with pytest.raises(openai.UnprocessableEntityError) as refused:
            await ask(client, temperature=1, extra_headers={"Idempotency-Key": "k"})

    assert ["你好"] * 2 == answers
    assert "idempotency_key_reused" == refused.value.code
    assert 1 == len(upstream.requests)
