"""Fixtures: servers on one database, each with a store that a test can spoil."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from app import composition
from tests.faults import FaultyStorage
from tests.faulty_servers import FaultyServer, FaultyServers
from tests.image_provider import ImageProvider
from tests.image_provider import build_provider as build_image_provider
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


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[ImageProvider]:
    """The servers' providers, which take images and files."""
    built: list[ImageProvider] = []

    def build(*arguments: Any, **named: Any) -> ImageProvider:
        built.append(build_image_provider(*arguments, **named))
        return built[-1]

    monkeypatch.setattr("app.composition.build_provider", build)
    return built


@pytest.fixture(params=["sqlite", "mongo"])
def with_store(
    request: pytest.FixtureRequest, providers: dict[str, Any], tmp_path: Path
) -> dict[str, Any]:
    """The settings of a server on either store."""
    url = f"sqlite:///{tmp_path}/headrace.db"
    if request.param == "mongo":
        url = request.getfixturevalue("mongo_url")
    return {"providers": providers, "storage": {"url": url}}
