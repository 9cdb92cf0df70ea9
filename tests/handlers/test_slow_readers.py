"""Readers who take little, or nothing for a while, and the signs of life that they get."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest

from app.server import Server
from tests.readers import Reader
from tests.serving import Serving
from tests.steps import post
from tests.upstreams import ScriptedUpstream

Providers = dict[str, dict[str, Any]]


async def _reading_little(server: Server, *, bytes_a_second: int) -> int:
    """Ask, and take that much; how many bytes came before the connection was closed or the end."""
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
    stream, writer = await asyncio.open_connection(sock=slow, limit=2048)
    writer.write(post(b'{"content": "q", "on_disconnect": "finish"}'))
    taken = b""
    with suppress(ConnectionError):
        while b"event: end" not in taken and (some := await stream.read(bytes_a_second // 10)):
            taken += some
            await asyncio.sleep(0.1)
    writer.close()
    return len(taken) if b"event: end" in taken else -len(taken)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_reader_who_pauses_for_a_second_is_not_cut(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, relay={"heartbeat_seconds": 0.4})
    upstream.tokens(*["水" * 16_000] * 12)
    reader = await Reader.ask(server.url)
    reader.writer.transport.pause_reading()
    await asyncio.sleep(1)  # the pause
    reader.writer.transport.resume_reading()
    upstream.finish()
    async with asyncio.timeout(10):
        assert "complete" == (await reader.end())["status"]


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.gen_test
async def test_signs_of_life_come_once_a_heartbeat(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, relay={"heartbeat_seconds": 0.4})
    upstream.tokens("a")
    reader = await Reader.ask(server.url)
    await reader.text("a")
    with suppress(TimeoutError):
        async with asyncio.timeout(2):
            await reader.next()
    assert 4 <= reader.beats <= 7  # 5, and each may come a quarter early


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_slow_reader_who_takes_something_all_the_time_is_not_cut(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream
) -> None:
    # docs/api.md: "A reader that accepts no data for `relay.reader_stall_seconds` is disconnected".
    # This one takes longer than that for a single event.
    relay = {"heartbeat_seconds": 0.2, "reader_stall_seconds": 2.5}
    server = await serve.start(providers=providers, relay=relay)
    upstream.tokens(*["😀" * 16_000] * 4)
    upstream.finish()
    async with asyncio.timeout(25):
        assert 0 < await _reading_little(server, bytes_a_second=20_480)
