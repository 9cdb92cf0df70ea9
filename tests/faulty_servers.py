"""Servers on one database, each with a store in front of its own that a test can spoil."""

import asyncio
from typing import Any, NamedTuple

from app.server import Server
from tests.faults import FaultyStorage
from tests.readers import Reader
from tests.serving import Serving
from tests.steps import until
from tests.upstreams import ScriptedUpstream

# Seconds. It runs out where another test has the machine, so tests with these servers are `alone`.
LEASE = 1.0
RELAY = {"checkpoint_seconds": 0.05, "lease_seconds": LEASE, "heartbeat_seconds": 0.2}


class FaultyServer(NamedTuple):
    """A server, and what stands before its own store."""

    server: Server
    store: FaultyStorage

    @property
    def url(self) -> str:
        return self.server.url


class FaultyServers:
    """Starts servers on one database, each with a faulty store of its own."""

    def __init__(self, serve: Serving, settings: dict[str, Any]) -> None:
        self._serve = serve
        self._settings = settings
        self.stores: list[FaultyStorage] = []

    async def start(self, **relay: Any) -> FaultyServer:
        server = await self._serve.start(**self._settings, relay={**RELAY, **relay})
        return FaultyServer(server, self.stores[-1])


async def followed(owner: FaultyServer, answer_id: str) -> None:
    """Wait until the owner has heard that its answer is read elsewhere."""
    generation = owner.server.relay.live_answers.get(answer_id)
    assert generation is not None
    async with asyncio.timeout(5):
        await until(lambda: generation.reader_timeout.is_followed)


async def read_at_both(
    owner: FaultyServer, other: FaultyServer, upstream: ScriptedUpstream
) -> tuple[Reader, Reader]:
    """Readers, at the owner and at the other one, of an answer that begins with "a"."""
    upstream.tokens("a")
    reader = await Reader.ask(owner.url)
    await reader.text("a")
    back = await Reader.come_back(other.url, reader.answer_id)
    await back.text("a")
    return reader, back
