"""Fixtures: servers on one database, each with a store that a test can spoil."""

from collections.abc import Iterator
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from app import composition
from tests.faults import FaultyStorage
from tests.faulty_servers import FaultyServer, FaultyServers
from tests.serving import Serving


@pytest.fixture
def faulty_servers(
    serve: Serving,
    providers: dict[str, dict[str, Any]],
    mongo_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FaultyServers]:
    started = FaultyServers(serve, {"storage": {"url": mongo_url}, "providers": providers})
    real = composition.from_url

    def opened(*arguments: Any, **named: Any) -> Any:
        store = FaultyStorage()
        store.wrapped = real(*arguments, **named)
        started.stores.append(store)
        return store

    monkeypatch.setattr(composition, "from_url", opened)
    yield started
    for store in started.stores:
        store.heal()


@pytest.fixture
def two(io_loop: IOLoop, faulty_servers: FaultyServers) -> tuple[FaultyServer, FaultyServer]:
    """The owner, and another one."""
    return io_loop.run_sync(faulty_servers.start), io_loop.run_sync(faulty_servers.start)
