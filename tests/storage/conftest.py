"""Stores to test: `storage` is each of the two in turn, open and empty.

Fixtures: `mongod` (a replica set of one, for the whole session), `mongo_url` (an empty database),
`place` (where a store is: opens as many as a test needs), `first` (a `place` where the first stage
left a store), `mongo` (a `place` of MongoDB's), `local` (one on `mongod`), `storage`, `raw` (what
either store holds, seen past our own code), `database` (that of `mongo`, likewise),
`commands` (what MongoDB is sent). One mongod serves all tests; whoever kills one starts it.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandListener, CommandStartedEvent
from tornado.ioloop import IOLoop

from storage.contract import Storage
from storage.factory import from_url
from storage.mongo import connection
from storage.sqlite.backup import backup
from tests.mongod import ReplicaSet, drop
from tests.storage.raw import Raw, RawMongo, RawSQLite, leave_first_stage
from tests.storage.sqlite_files import (
    discard_line,
    make_titled,
)


class Place:
    """Where a store is. Closes all that were opened there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opened: list[Storage] = []

    async def open(
        self,
        process: str | None = None,
        *,
        lease_seconds: float = 30.0,
        without_lease: bool = False,
    ) -> Storage:
        """Open the store as a new process does: SQLite admits one, others only `without_lease`."""
        name = process or secrets.token_hex(16)
        storage = from_url(self.url, process=name, lease_seconds=lease_seconds)
        self._opened.append(storage)
        await storage.open(without_lease=without_lease)
        return storage

    async def close(self) -> None:
        """Close whatever is open."""
        await asyncio.gather(*(storage.close() for storage in self._opened))


class Commands(CommandListener):
    """The commands that our stores sent, as the driver tells them."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.sent.append(dict(event.command))

    def succeeded(self, event: object) -> None:
        """It was sent; that is all."""

    def failed(self, event: object) -> None:
        """So was this."""


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Listens to the MongoStorages that are opened from now on."""
    listener = Commands()
    monkeypatch.setitem(connection._OPTIONS, "event_listeners", [listener])
    return listener


@pytest.fixture
def database(mongo_url: str) -> Iterator[Database[dict[str, Any]]]:
    """The test's database, seen past our own code."""
    with MongoClient[dict[str, Any]](mongo_url) as client:
        yield client.get_default_database()


@pytest.fixture
def mongo(mongo_url: str, io_loop: IOLoop) -> Iterator[Place]:
    """A place for MongoStorages."""
    place = Place(mongo_url)
    yield place
    io_loop.run_sync(place.close)


@pytest.fixture
def local(mongod: ReplicaSet, io_loop: IOLoop) -> Iterator[Place]:
    """A place for MongoStorages on `mongod`, wherever `mongo` is: for fail points."""
    place = Place(mongod.url(f"headrace_test_{secrets.token_hex(8)}"))
    yield place
    io_loop.run_sync(place.close)
    drop(place.url)


@pytest.fixture(params=["sqlite", pytest.param("mongo", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, io_loop: IOLoop, tmp_path: Path) -> Iterator[Place]:
    """A place for stores of either kind."""
    if request.param == "mongo":
        yield request.getfixturevalue("mongo")
        return
    place = Place(f"sqlite:///{tmp_path}/data/headrace.db")
    yield place
    io_loop.run_sync(place.close)


@pytest.fixture
def first(place: Place) -> Place:
    """A place where the first stage left a store, of either kind."""
    leave_first_stage(place.url)
    return place


@pytest.fixture
def storage(place: Place, io_loop: IOLoop) -> Storage:
    """An open, empty store."""
    return io_loop.run_sync(place.open)


@pytest.fixture
def raw(place: Place) -> Iterator[Raw]:
    """The store of `place`, seen past our own code."""
    scheme, _, file = place.url.partition(":///")
    if scheme == "sqlite":
        yield RawSQLite(Path(file))
        return
    # The store reads what a majority has.
    with MongoClient[dict[str, Any]](place.url, w="majority") as client:
        yield RawMongo(client.get_default_database())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a server's SQLite file is to be, in a folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "headrace.db"


@pytest.fixture
def beyond(tmp_path: Path) -> Path:
    """A folder for backups."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def titled(io_loop: IOLoop) -> Callable[..., None]:
    """Have a server keep conversations: `titled(file, "one", "two")`, each with a live answer."""
    return lambda file, *titles: io_loop.run_sync(lambda: make_titled(file, *titles))


@pytest.fixture
def kept(titled: Callable[..., None], tmp_path: Path, beyond: Path) -> Path:
    """A backup with one conversation, "new"."""
    titled(tmp_path / "made.db", "new")
    backup(tmp_path / "made.db", beyond / "kept.db", discard_line)
    return beyond / "kept.db"
