"""Headrace itself, as tests need it: the real server, in the test's own loop, on a free port.

Fixtures: `serve` starts servers with the settings that a test gives, `headrace` is one whose only
provider is the test's `upstream`. Everything a server started is closed when the test ends.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from app.composition import running
from app.server import Server
from settings import Settings
from tests.readers import close_all
from tests.upstreams import ScriptedUpstream


class Serving:
    """Starts and stops servers; each keeps its conversations in a file of the test's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[Server, AsyncExitStack] = {}

    async def start(self, *, file: str = "headrace.db", **settings: Any) -> Server:
        """A server; without providers among `settings` the demo answers."""
        url = f"sqlite:///{self._folder / file}"
        values = {"port": 0, "storage": {"url": url}, **settings}
        stack = AsyncExitStack()
        server = await stack.enter_async_context(running(Settings(**values)))
        self._started[server] = stack
        return server

    async def stop(self, server: Server) -> None:
        """Leave as SIGTERM would make it."""
        await self._started.pop(server).aclose()

    async def stop_all(self) -> None:
        """Leave nothing running."""
        while self._started:
            await self.stop(next(iter(self._started)))


@pytest.fixture
def serve(io_loop: IOLoop, tmp_path: Path) -> Iterator[Serving]:
    """Start servers: `server = await serve.start(relay={"heartbeat_seconds": 0.1})`."""
    serving = Serving(tmp_path)
    yield serving

    async def stop() -> None:
        await close_all()
        async with asyncio.timeout(10):  # whatever was done to it
            await serving.stop_all()

    try:
        io_loop.run_sync(stop)
    except TimeoutError:
        pytest.fail("the server does not stop", pytrace=False)


@pytest.fixture
def providers(upstream: ScriptedUpstream) -> dict[str, dict[str, Any]]:
    """Settings that name `upstream` as the only provider."""
    return {"openai": {"dialect": "openai", "base_url": f"{upstream.url}/v1"}}


@pytest.fixture
def headrace(io_loop: IOLoop, serve: Serving, providers: dict[str, dict[str, Any]]) -> Server:
    """A server whose only provider is the test's `upstream`."""
    server: Server = io_loop.run_sync(lambda: serve.start(providers=providers))
    return server
