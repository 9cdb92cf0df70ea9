"""The scripted upstream does what the tests that use it take for granted."""

import asyncio
import json
import time

import pytest

from tests.upstreams import ScriptedUpstream


class Client:
    """A plain socket that asks and reads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def ask(cls, upstream: ScriptedUpstream, path: str = "/v1/chat/completions") -> "Client":
        host, _, port = upstream.url.removeprefix("http://").partition(":")
        client = cls(*await asyncio.open_connection(host, int(port)))
        client.send(path)
        return client

    def send(self, path: str = "/v1/chat/completions") -> None:
        messages = [{"role": "user", "content": "hi"}]
        body = json.dumps({"model": "m", "messages": messages, "stream": True}).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        self.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    async def until(self, text: bytes) -> bytes:
        return await self.reader.readuntil(text)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@pytest.mark.gen_test
async def test_a_script_may_be_written_before_the_request_and_after(
    upstream: ScriptedUpstream,
) -> None:
    upstream.tokens("one")
    client = await Client.ask(upstream)
    await client.until(b'"one"')
    upstream.tokens("two")
    await client.until(b'"two"')
    upstream.finish()
    await client.until(b"[DONE]\n\n\r\n0\r\n\r\n")
    assert 0 == upstream.open
    client.send()  # the same connection, the same script from its beginning
    await client.until(b"[DONE]\n\n\r\n0\r\n\r\n")
    assert (2, 1) == (len(upstream.requests), upstream.connections)
    await client.close()
    assert not upstream.closed.is_set()


@pytest.mark.parametrize("said", ["tokens", "silent", "no_headers"])
@pytest.mark.gen_test
async def test_a_client_that_hangs_up_is_noticed_at_once(
    upstream: ScriptedUpstream, said: str
) -> None:
    getattr(upstream, said)()
    client = await Client.ask(upstream)
    request = await upstream.request()
    assert 1 == upstream.open
    left_at = time.monotonic()
    await client.close()
    async with asyncio.timeout(1):
        await upstream.closed.wait()
    assert request.closed.is_set()
    assert 0 == upstream.open
    assert request.closed_at is not None
    assert request.closed_at - left_at < 0.5


@pytest.mark.gen_test
async def test_requests_may_have_scripts_of_their_own(upstream: ScriptedUpstream) -> None:
    upstream.fail(429, {"error": {"code": "slow_down"}}, Retry_After="3")
    upstream.next_request()
    upstream.finish()
    client = await Client.ask(upstream)
    head = await client.until(b"\r\n\r\n")
    assert b"HTTP/1.1 429 " in head
    assert b"Retry-After: 3\r\n" in head
    await client.until(b"0\r\n\r\n")
    for _ in range(2):
        client.send()
        await client.until(b"[DONE]")
        await client.until(b"0\r\n\r\n")
    await client.close()


@pytest.mark.gen_test
async def test_a_cut_is_no_proper_end(upstream: ScriptedUpstream) -> None:
    upstream.tokens("one")
    upstream.cut()
    client = await Client.ask(upstream)
    everything = await client.reader.read()
    assert b'"one"' in everything
    assert not everything.endswith(b"0\r\n\r\n")
    assert not upstream.closed.is_set()  # it was not the client who hung up
    await client.close()
