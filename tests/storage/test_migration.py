"""What `open` makes and leaves, and what `migrate` changes and says, with both stores."""

import asyncio
import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandFailedEvent

from model.messages import Attempt, Message, now
from storage.contract import Storage
from storage.errors import Outdated, StorageError
from storage.factory import from_url
from storage.mongo import connection, lifecycle
from storage.mongo.schema import INDEXES, VALIDATORS
from storage.mongo.store import MongoStorage
from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import MIGRATIONS, NEWEST, SERVED
from storage.values import SCHEMA_VERSION, Order
from tests.storage.conftest import Commands, Place
from tests.storage.raw import leave_first_stage
from tests.storage.samples import api_key, begun, conversation, ending

Plain = dict[str, Any]


async def migrate(url: str) -> list[str]:
    """Migrate a store as the command does; returns what it says."""
    said: list[str] = []
    storage = from_url(url, process="migration", lease_seconds=1)
    assert await storage.migrate(said.append) == bool(said)
    return said


async def due(url: str) -> tuple[str, ...]:
    """What the doctor is told to be due."""
    return (await from_url(url, process="doctor", lease_seconds=1).report()).due


async def kept_attempts(storage: Storage) -> tuple[Attempt, ...]:
    """What is kept of the attempts of an answer."""
    answer = await begun(storage)
    attempts = (Attempt(target="demo/demo", started_at=now(), ms=5, code="rate_limited"),)
    end = ending(attempts=attempts)
    for _ in range(2):
        assert await storage.end_answer(answer.id, storage.process, end)
    return (await storage.message("alice", answer.id)).attempts


# Both stores


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_new_store_is_of_this_version(place: Place) -> None:
    storage = await place.open()
    assert 1 == len(await kept_attempts(storage))
    await storage.close()

    assert () == await due(place.url)
    assert [] == await migrate(place.url)


@pytest.mark.gen_test
async def test_where_nothing_is_nothing_is_made(place: Place) -> None:
    assert () == await due(place.url)
    assert [] == await migrate(place.url)

    if place.url.startswith("sqlite"):
        assert not Path(place.url.partition(":///")[2]).parent.exists()
    else:
        with MongoClient[Plain](place.url) as client:
            assert [] == client.get_default_database().list_collection_names()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_first_stages_store_is_migrated_once_and_reads_as_before(first: Place) -> None:
    storage = await first.open()
    before = await everything(storage)
    await storage.close()
    wanted = await due(first.url)

    said = await migrate(first.url)

    assert [f"changed: {each}" for each in wanted] == [
        line for line in said if not line.startswith("kept: ")
    ]
    assert wanted
    assert () == await due(first.url)
    assert [] == await migrate(first.url)
    storage = await first.open()
    assert before == await everything(storage)
    assert 1 == len(await kept_attempts(storage))


async def everything(storage: Storage) -> list[Message]:
    """All messages of both users, by each list of their conversations."""
    found: list[Message] = []
    for user, order in product(("alice", "bob"), Order):
        conversations = await storage.conversations(user, limit=99, after=None, order=order)
        for each in conversations.data:
            page = await storage.messages(user, each.id, limit=99, before=None)
            found += page.data
    return found


# SQLite


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What the first stage left."""
    path = tmp_path / "headrace.db"
    leave_first_stage(f"sqlite:///{path}")
    return path


def url(file: Path) -> str:
    return f"sqlite:///{file}"


def contents(file: Path) -> list[str]:
    """All of a file, as the statements that make it, and its version."""
    with closing(sqlite3.connect(file)) as database:
        return [*database.iterdump(), str(version(database))]


def version(database: sqlite3.Connection) -> int:
    found: int = database.execute("PRAGMA user_version").fetchone()[0]
    return found


def made_by(version: int, file: Path) -> Path:
    """An empty store that an earlier version made."""
    with closing(sqlite3.connect(file)) as database:
        database.executescript(f"{''.join(MIGRATIONS[:version])} PRAGMA user_version = {version};")
    return file


@pytest.mark.gen_test
async def test_a_file_that_is_not_migrated_is_served_without_what_it_has_no_room_for(
    file: Path,
) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()

    assert () == await kept_attempts(storage)
    await storage.close()
    with closing(sqlite3.connect(file)) as database:
        assert SERVED == version(database)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, SERVED))
@pytest.mark.gen_test
async def test_a_file_older_than_those_served_is_refused_until_it_is_migrated(
    tmp_path: Path, number: int
) -> None:
    file = made_by(number, tmp_path / "headrace.db")
    before = file.read_bytes()
    looks: list[Callable[[Storage], Any]] = [
        lambda storage: storage.open(),
        lambda storage: storage.open(beside=True),
        lambda storage: storage.report(),
    ]
    for look in looks:
        with pytest.raises(Outdated, match=rf"version {number}, .*`server\.py migrate` brings"):
            await look(SQLiteStorage(file, "p"))
    assert before == file.read_bytes()

    assert 3 == len(await migrate(url(file)))

    assert contents(made_by(NEWEST, tmp_path / "new.db")) == contents(file)
    storage = SQLiteStorage(file, "p")
    await storage.open()
    await storage.close()


@pytest.mark.gen_test
async def test_the_file_as_it_was_is_kept_for_its_owner_alone(file: Path) -> None:
    before = contents(file)

    said = await migrate(url(file))

    copy = file.with_name(f"headrace.db.before-{SERVED}")
    tables, room = f"tables from version {SERVED} to {NEWEST}", "room that is no longer needed"
    assert [f"kept: {copy}", f"changed: {tables}", f"changed: {room} is given back"] == said
    assert before == contents(copy)
    assert 0o600 == copy.stat().st_mode & 0o777
    assert {file.name, copy.name, "headrace.db.lock"} == set(os.listdir(file.parent))


@pytest.mark.gen_test
async def test_an_earlier_copy_keeps_its_place_and_a_half_made_one_does_not(file: Path) -> None:
    taken = file.with_name(f"headrace.db.before-{SERVED}")
    taken.write_text("of an earlier migration, whose file was put back")
    half = taken.with_name(f"{taken.name}.2.making")
    half.write_text("of one that was killed")

    await migrate(url(file))

    assert "of an earlier migration, whose file was put back" == taken.read_text()
    assert not half.exists()
    with closing(sqlite3.connect(f"{taken}.2")) as copy:
        assert SERVED == version(copy)


@pytest.mark.gen_test
async def test_a_file_that_a_server_has_is_not_touched(file: Path) -> None:
    server = SQLiteStorage(file, "server")
    await server.open()
    before = contents(file)

    with pytest.raises(StorageError, match=rf"in use by .* \(process {os.getpid()}\): stop it"):
        await migrate(url(file))

    assert before == contents(file)
    await server.close()
    assert await migrate(url(file))


@pytest.mark.gen_test
async def test_a_command_for_keys_goes_on_beside_a_migration(file: Path) -> None:
    command = SQLiteStorage(file, "command")
    await command.open(beside=True)
    await migrate(url(file))

    await command.create_api_key(api_key("made-beside"))

    assert 1 == len(await command.api_keys(["made-beside"]))
    await command.close()


@pytest.mark.gen_test
async def test_without_room_for_the_copy_nothing_is_changed(file: Path) -> None:
    before = contents(file)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))  # two pages of the copy
    try:
        with pytest.raises(StorageError, match="SQLite failed on"):
            await migrate(url(file))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert before == contents(file)
    assert {file.name, "headrace.db.lock"} == set(os.listdir(file.parent))


@pytest.mark.gen_test
async def test_a_script_that_fails_leaves_the_version_before_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(file)
    broken = (*MIGRATIONS, "ALTER TABLE messages ADD COLUMN half_made TEXT; DROP TABLE nowhere;")
    monkeypatch.setattr("storage.sqlite.tables.MIGRATIONS", broken)

    with pytest.raises(StorageError, match="SQLITE_ERROR"):
        await migrate(url(file))
    monkeypatch.undo()

    assert ("room that is no longer needed is given back",) == await due(url(file))
    assert before == contents(file.with_name(f"headrace.db.before-{SERVED}"))
    assert not [line for line in contents(file) if "half_made" in line]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"PRAGMA user_version = {NEWEST + 1}", "newer version of Headrace"),
        ("CREATE TABLE theirs (x)", "another program's tables"),
    ],
)
@pytest.mark.gen_test
async def test_a_file_that_is_not_ours_to_change_is_left_alone(
    tmp_path: Path, script: str, words: str
) -> None:
    file = tmp_path / "headrace.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(script)
    before = file.read_bytes()

    with pytest.raises(StorageError, match=words):
        await migrate(url(file))

    assert before == file.read_bytes()
    assert {file.name, "headrace.db.lock"} == set(os.listdir(tmp_path))


def plan(file: Path, order: str) -> str:
    """How SQLite finds a page of conversations that is not the first."""
    asked = f"""EXPLAIN QUERY PLAN SELECT * FROM conversations WHERE user = 'alice'
        AND ({order}, id) < (7, 'x') ORDER BY {order} DESC, id DESC LIMIT 3"""
    with closing(sqlite3.connect(file)) as database:
        return " / ".join(step[-1] for step in database.execute(asked))


@pytest.mark.gen_test
async def test_the_index_of_a_list_by_activity_is_made_by_a_migration(file: Path) -> None:
    assert "TEMP B-TREE" in plan(file, "updated_at")

    await migrate(url(file))

    assert "conversations_by_activity" in plan(file, "updated_at")
    assert "TEMP B-TREE" not in plan(file, "updated_at") + plan(file, "created_at")


# MongoDB


# Collections that came behind the first stage. They are no change of anything: a start makes them.
SINCE = {"deletions"}


def validators(database: Database[Plain]) -> dict[str, Any]:
    return {name: database[name].options().get("validator") for name in VALIDATORS}


def theirs_and_new(theirs: dict[str, Any]) -> dict[str, Any]:
    """The validators of an older store once a start has made what is new."""
    return theirs | {name: VALIDATORS[name] for name in SINCE}


def documents(database: Database[Plain]) -> dict[str, list[Plain]]:
    return {name: list(database[name].find().sort("_id")) for name in VALIDATORS}


@pytest.mark.gen_test
async def test_a_validator_that_differs_is_left_by_a_start_and_changed_by_a_migration(
    mongo: Place, database: Database[Plain]
) -> None:
    leave_first_stage(mongo.url)
    theirs = validators(database)
    await mongo.open()
    assert theirs_and_new(theirs) == validators(database)

    said = await migrate(mongo.url)

    expected = [
        "changed: index by_activity of conversations",
        "changed: index by_size of conversations",
        "changed: validator of messages",
        "changed: schema from version 1 to 2",
    ]
    assert expected == said
    assert VALIDATORS == validators(database)


@pytest.mark.gen_test
async def test_what_the_first_stage_writes_is_taken_after_a_migration(
    mongo: Place, database: Database[Plain]
) -> None:
    leave_first_stage(mongo.url)
    before = documents(database)

    await migrate(mongo.url)

    assert before == documents(database)
    for name, kept in before.items():
        for each in kept:
            database[name].replace_one({"_id": each["_id"]}, each | {"schema": 1})


@pytest.mark.gen_test
async def test_a_migration_takes_nothing_away(mongo: Place, database: Database[Plain]) -> None:
    leave_first_stage(mongo.url)
    database["messages"].create_index("user", name="by_hand")
    database["notes"].insert_one({"an operator's": "own"})

    await migrate(mongo.url)

    assert {"_id_", "by_hand", *(each["name"] for each in INDEXES["messages"])} == set(
        database["messages"].index_information()
    )
    assert 1 == database["notes"].count_documents({})


@pytest.mark.gen_test
async def test_an_index_that_was_lost_is_made_by_a_migration_alone(
    mongo: Place, database: Database[Plain]
) -> None:
    storage = await mongo.open()
    await storage.close()
    database["messages"].drop_index("live_owners")
    await mongo.open()
    assert "live_owners" not in database["messages"].index_information()

    assert ("index live_owners of messages",) == await due(mongo.url)
    assert ["changed: index live_owners of messages"] == await migrate(mongo.url)

    assert "live_owners" in database["messages"].index_information()


@pytest.mark.gen_test
async def test_each_list_of_conversations_is_in_the_order_of_its_index(
    mongo: Place, database: Database[Plain], commands: Commands
) -> None:
    storage = await mongo.open()
    for _ in range(2):
        await storage.create_conversation(conversation())
    for order in Order:
        page = await storage.conversations("alice", limit=1, after=None, order=order)
        commands.sent.clear()
        await storage.conversations("alice", limit=1, after=page.next, order=order)
        [sent] = commands.sent

        asked = {name: sent[name] for name in ("find", "filter", "sort", "limit")}
        plan = database.command("explain", asked)["queryPlanner"]["winningPlan"]

        index = "of_user" if order is Order.CREATED else "by_activity"
        assert f"'indexName': '{index}'" in str(plan)
        assert "'stage': 'SORT'" not in str(plan)


@contextmanager
def as_before_mongodb_6(database: Database[Plain]) -> Iterator[None]:
    """Have sorts that need the disk fail unless they say that they may."""
    admin = database.client.admin
    admin.command("setParameter", 1, allowDiskUseByDefault=False)
    try:
        yield
    finally:
        admin.command("setParameter", 1, allowDiskUseByDefault=True)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_list_by_activity_of_a_store_that_is_not_migrated_is_sorted_however_long(
    mongo: Place, database: Database[Plain]
) -> None:
    storage = await mongo.open()
    database["conversations"].drop_index("by_activity")
    system = "x" * 1_000_000
    kept = [conversation(system=system) for _ in range(120)]  # more than a sort's 100 MB
    for each in kept:
        await storage.create_conversation(each)

    with as_before_mongodb_6(database):
        page = await storage.conversations("alice", limit=200, after=None, order=Order.UPDATED)

    last = max(kept, key=lambda each: (each.updated_at, each.id))
    assert (last.id, True) == (page.data[0].id, page.next is not None)


@pytest.mark.gen_test
async def test_without_an_index_that_keeps_a_rule_no_server_starts(
    mongo: Place, database: Database[Plain]
) -> None:
    storage = await mongo.open()
    await storage.close()
    database["messages"].drop_index("live")
    for look in (MongoStorage.open, MongoStorage.report):
        with pytest.raises(Outdated, match=r"messages\.live; `server\.py migrate` makes them"):
            await look(MongoStorage(mongo.url, "p", 30))

    assert ["changed: index live of messages"] == await migrate(mongo.url)

    await mongo.open()


@pytest.mark.gen_test
async def test_a_store_that_a_later_version_migrated_is_served_and_not_changed(
    mongo: Place, database: Database[Plain]
) -> None:
    leave_first_stage(mongo.url)
    database["store"].insert_one({"_id": "migrated", "schema": SCHEMA_VERSION + 1})
    theirs = validators(database)
    storage = await mongo.open()
    await begun(storage)

    assert () == await due(mongo.url)
    with pytest.raises(StorageError, match="a newer version of Headrace has migrated"):
        await migrate(mongo.url)

    assert theirs_and_new(theirs) == validators(database)
    [noted] = database["store"].find()
    assert SCHEMA_VERSION + 1 == noted["schema"]


@pytest.mark.gen_test
async def test_a_start_that_was_cut_off_is_completed_by_the_next(
    mongo: Place, database: Database[Plain]
) -> None:
    database.create_collection("messages")  # and killed before there was an index

    await mongo.open()

    assert VALIDATORS == validators(database)
    made = set(database["messages"].index_information())
    assert {"_id_", *(each["name"] for each in INDEXES["messages"])} == made
    assert () == await due(mongo.url)


class Tries(Commands):
    """Tells when so many changes of a collection were given up."""

    def __init__(self, many: int) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._left = many

    def failed(self, event: object) -> None:
        assert isinstance(event, CommandFailedEvent)
        if event.command_name == "collMod":
            self._left -= 1
            if self._left == 0:
                self._loop.call_soon_threadsafe(self.reached.set)


@pytest.mark.gen_test
async def test_a_migration_that_waits_for_a_transaction_keeps_nobody_waiting(
    mongo: Place, database: Database[Plain], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_first_stage(mongo.url)
    server = await mongo.open()
    tries = Tries(3)
    monkeypatch.setitem(connection._OPTIONS, "event_listeners", [tries])
    with database.client.start_session() as session:
        session.start_transaction()
        change = {"$set": {"open": True}}
        database["messages"].update_one({"role": "user"}, change, session=session)
        migrating = asyncio.create_task(migrate(mongo.url))
        await tries.reached.wait()

        answers = [await begun(server) for _ in range(5)]

        assert not migrating.done()
        session.commit_transaction()
    assert "changed: validator of messages" in await migrating
    for answer in answers:
        assert answer.id == await server.live_answer("alice", answer.conversation_id)


@pytest.mark.gen_test
async def test_a_collection_that_is_never_free_is_given_up_in_words(
    mongo: Place, database: Database[Plain], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_first_stage(mongo.url)
    # So that the collection in question is the first one.
    database.command("createIndexes", "conversations", indexes=INDEXES["conversations"])
    theirs = validators(database)
    monkeypatch.setattr(lifecycle, "_BUSY_SECONDS", 0.0)
    with database.client.start_session() as session, session.start_transaction():
        change = {"$set": {"open": True}}
        database["messages"].update_one({"role": "user"}, change, session=session)
        with pytest.raises(StorageError, match=r"validator of messages: .* busy; run it again"):
            await migrate(mongo.url)

    assert theirs == validators(database)
