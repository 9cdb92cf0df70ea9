"""Three hundred clients that are slow and nothing else, by slowhttptest: others notice nothing."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.server import Server
from tests.readers import Connection, Reader, call
from tests.serving import Serving
from tests.upstreams import ScriptedUpstream

_SLOW = 300

# slowhttptest's ways: heads that do not end, bodies that trickle, readers of a few bytes.
_WAYS = {
    "heads": ["-H"],
    "bodies": ["-B", "-t", "POST", "-s", "8192"],
    "reading": ["-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "3"],
}


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.gen_test(timeout=60)
async def test_others_are_served_and_the_slow_ones_are_closed(
    way: str,
    needs: Callable[[str], str],
    serve: Serving,
    providers: Any,
    upstream: ScriptedUpstream,
    tmp_path: Path,
) -> None:
    program = needs("slowhttptest")
    limits = {"head_seconds": 3, "body_seconds": 3, "idle_seconds": 3}
    server = await serve.start(providers=providers, limits=limits)
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url)
    await reader.text("Hel")

    slow = await asyncio.create_subprocess_exec(
        *[program, *_WAYS[way], "-c", str(_SLOW), "-r", "300", "-i", "1", "-x", "24", "-l", "6"],
        *["-p", "3", "-u", f"{server.url}/api/v1/chat"],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        await _until_connections(server, lambda count: count > _SLOW / 2)
        connection = await Connection.open(server.url)
        while slow.returncode is None:
            assert 200 == (await connection.call("GET", "/api/v1/models")).status
            assert 200 == (await call(server.url, "GET", "/readyz")).status
            await asyncio.sleep(0.05)
        connection.close()
    finally:
        if slow.returncode is None:
            slow.kill()
        await slow.wait()
    upstream.tokens("lo")
    await reader.text("Hello")
    await _until_connections(server, lambda count: count <= 1)  # the reader's


async def _until_connections(server: Server, enough: Callable[[int], bool]) -> None:
    async with asyncio.timeout(15):
        while not enough(server.acceptor.connections):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
