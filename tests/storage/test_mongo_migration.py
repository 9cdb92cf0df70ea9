"""What `migrate` does to a MongoDB, and what a start leaves to it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.monitoring import CommandFailedEvent

from storage.errors import Outdated, StorageError
from storage.mongo import connection, lifecycle
from storage.mongo.schema import INDEXES, VALIDATORS
from storage.mongo.store import MongoStorage
from storage.values import SCHEMA_VERSION, Order
from tests.storage.conftest import Commands, Place
from tests.storage.migrating import Plain, due, migrate
from tests.storage.raw import leave_first_stage
from tests.storage.samples import begun, conversation

# Collections that were added after the first version. A start creates them without a migration.
SINCE = {"deletions", "files", "webhook_deliveries"}


def validators(database: Database[Plain]) -> dict[str, Any]:
    return {name: database[name].options().get("validator") for name in VALIDATORS}


def theirs_and_new(theirs: dict[str, Any]) -> dict[str, Any]:
    """The validators of an older store once a start has made what is new."""
    return theirs | {name: VALIDATORS[name] for name in SINCE}


def documents(database: Database[Plain]) -> dict[str, list[Plain]]:
    return {name: list(database[name].find().sort("_id")) for name in VALIDATORS}


@pytest.mark.slow
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
        "changed: index live_of_user of messages",
        "changed: index of_protocol of messages",
        "changed: validator of messages",
        "changed: schema from version 1 to 2",
    ]
    assert expected == said
    assert VALIDATORS == validators(database)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.gen_test
async def test_without_an_index_that_keeps_a_rule_no_server_starts(
    mongo: Place, database: Database[Plain]
) -> None:
    storage = await mongo.open()
    await storage.close()
    database["messages"].drop_index("live")
    for look in (MongoStorage.open, MongoStorage.report):
        with pytest.raises(Outdated, match=r"messages\.live; `server\.py migrate` creates them"):
            await look(MongoStorage(mongo.url, "p", 30))

    assert ["changed: index live of messages"] == await migrate(mongo.url)

    await mongo.open()


@pytest.mark.slow
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


@pytest.mark.slow
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
        if event.command_name in ("collMod", "createIndexes"):
            self._left -= 1
            if self._left == 0:
                self._loop.call_soon_threadsafe(self.reached.set)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_collection_that_is_never_free_is_given_up_in_words(
    mongo: Place, database: Database[Plain], monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_first_stage(mongo.url)
    # So that the change in question is the first one.
    for name in ("conversations", "messages"):
        database.command("createIndexes", name, indexes=INDEXES[name])
    theirs = validators(database)
    monkeypatch.setattr(lifecycle, "_BUSY_SECONDS", 0.0)
    with database.client.start_session() as session, session.start_transaction():
        change = {"$set": {"open": True}}
        database["messages"].update_one({"role": "user"}, change, session=session)
        with pytest.raises(StorageError, match=r"validator of messages: .* busy; run it again"):
            await migrate(mongo.url)

    assert theirs == validators(database)
