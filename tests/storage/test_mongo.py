"""MongoDB only: how it is opened, what is stored there, and the messages for the operator."""

import asyncio
import os
import traceback
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import WriteError

from model.blocks import TextBlock
from model.messages import Message, now
from storage.errors import NotFound, StorageError
from storage.mongo.connection import _CONCURRENCY
from storage.mongo.schema import INDEXES, VALIDATORS
from storage.mongo.store import MongoStorage
from storage.values import SCHEMA_VERSION, Changes
from tests.mongod import Mongod, ReplicaSet
from tests.storage.conftest import Place
from tests.storage.samples import (
    api_key,
    ask,
    begun,
    clear,
    conversation,
    count,
    delivery,
    ending,
    exchange,
    key,
    stored_file,
    text_chunks,
)


def told(error: BaseException) -> str:
    """All that a log would show of an error."""
    return "".join(traceback.format_exception(error))


# Opening


@pytest.mark.slow
@pytest.mark.gen_test
async def test_processes_may_open_an_empty_database_at_once(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    await asyncio.gather(*(mongo.open() for _ in range(5)))
    for name, indexes in INDEXES.items():
        made = database[name].index_information()
        assert set(made) == {"_id_", *(index["name"] for index in indexes)}
        assert database[name].options()["validator"] == VALIDATORS[name]
    assert 5 == database["processes"].count_documents({})
    assert list(database["store"].find()) == [{"_id": "migrated", "schema": SCHEMA_VERSION}]


@pytest.mark.gen_test
async def test_a_collection_made_by_hand_gets_its_validator_and_keeps_one_it_has(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    database.create_collection("messages")
    database.create_collection("chunks", validator={"later": 2})
    await mongo.open()
    assert database["messages"].options()["validator"] == VALIDATORS["messages"]
    assert {"later": 2} == database["chunks"].options()["validator"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_every_document_carries_its_schema_version_and_must(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open()
    new = conversation()
    question, answer = exchange(new, owner=storage.process)
    await storage.ask(question, answer, title="t", new=new, key=key(answer))
    await storage.append_chunks(text_chunks(answer.id, "x"))
    await storage.create_api_key(api_key("k"))
    await storage.share_counts([count()])
    await storage.store_file(stored_file(new))
    await storage.delete_conversation("alice", (await begun(storage)).conversation_id)
    assert await storage.end_answer(answer.id, storage.process, ending(), [delivery(answer)])
    for name in VALIDATORS:
        collection = database[name]
        kept = collection.find_one()
        assert kept is not None
        assert kept["schema"] == SCHEMA_VERSION
        with pytest.raises(WriteError, match="validation"):
            collection.update_one({"_id": kept["_id"]}, {"$unset": {"schema": ""}})


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_server_without_a_replica_set_is_refused(
    tmp_path: Path, mongod: ReplicaSet
) -> None:
    with Mongod.standing_alone(tmp_path) as server:
        storage = MongoStorage(f"mongodb://{server.address}/x", "p", 30)
        with pytest.raises(StorageError, match="must run as a replica set"):
            await storage.open()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_unreachable_server_is_named_without_its_password() -> None:
    storage = MongoStorage("mongodb://ann:s3cret@127.0.0.1:1,127.0.0.1:2/x", "p", 30)
    with pytest.raises(
        StorageError, match=r"at 127\.0\.0\.1:1,127\.0\.0\.1:2: no server"
    ) as failed:
        await storage.open()
    assert "s3cret" not in told(failed.value)


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://ann:s3cret@:x/",
        "mongodb://ann:s3cret@host:s3cret/x",
        "mongodb://ann:s3:cret/s3cret@host/x",
        "mongodb://ann:s3cret@host/x?tls=s3cret",
        "mongodb://ann:s3cret@host/x?s3cret=1",
        "mongodb://ann:s3cret@host/x?w=s3cret&replicaSet",
        "mongodb://",
    ],
)
@pytest.mark.gen_test
async def test_a_url_that_the_driver_refuses_keeps_its_password(url: str) -> None:
    storage = MongoStorage(url, "p", 30)
    with pytest.raises(StorageError, match=r"storage\.url (is not valid|has)") as refused:
        await storage.open()
    assert "s3" not in told(refused.value)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_deleted_conversation_leaves_nothing_behind(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open()
    deleted, other = await begun(storage), await begun(storage)
    for answer in (deleted, other):
        await storage.append_chunks(text_chunks(answer.id, "a", "b"))
    await storage.delete_conversation("alice", deleted.conversation_id)
    await clear(storage)
    left = {
        each["conversation"] for name in ("messages", "chunks") for each in database[name].find()
    }
    assert left == {other.conversation_id}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_messages_from_before_there_were_branches_can_be_read_and_gone_on_from(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open()
    answer = await begun(storage)
    await storage.end_answer(answer.id, storage.process, ending(TextBlock("yes")))
    database["messages"].update_many({}, {"$unset": {"parent_id": ""}})
    of = await storage.conversation("alice", answer.conversation_id)

    page = await storage.messages("alice", of.id, limit=9, before=None)
    assert [None, None] == [message.parent_id for message in page.data]
    second = await ask(storage, of, parent_id=answer.id)
    branch = await storage.branch("alice", of.id, limit=9, last=None)
    assert [message.id for message in branch.data] == [answer.id, second.parent_id, second.id]


@pytest.mark.gen_test
async def test_messages_of_earlier_and_of_later_versions_can_be_read_and_ended(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open()
    change = database["messages"].update_many
    for fields in ({"$unset": {"timing": ""}}, {"$set": {"of_a_later_version": {"ms": 1}}}):
        answer = await begun(storage)
        change({}, fields)
        assert (await storage.message("alice", answer.id)).timing is None
        end = ending(TextBlock("yes"))
        assert await storage.end_answer(answer.id, storage.process, end)
        change({}, fields)
        assert await storage.end_answer(answer.id, storage.process, end)  # a retry
        assert (await storage.message("alice", answer.id)).has(end)


# Many commands and many processes


def test_the_limits_together_are_lower_than_motors_threads() -> None:
    assert sum(_CONCURRENCY.values()) < int(os.environ["MOTOR_MAX_WORKERS"])


@pytest.mark.slow
@pytest.mark.gen_test
async def test_racing_questions_to_two_processes_have_one_winner(mongo: Place) -> None:
    one, other = await mongo.open(), await mongo.open()
    of = conversation()
    await one.create_conversation(of)
    outcomes = await asyncio.gather(
        *(ask(storage, of) for storage in (one, other) * 25), return_exceptions=True
    )
    assert 1 == sum(isinstance(each, Message) for each in outcomes)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_errors_quote_nobody(mongo: Place) -> None:
    storage = await mongo.open()
    answer = await begun(storage)
    words = "quoted" * 3_000_000  # more than a document may hold
    new = conversation()
    question, live = exchange(new, owner="p", text=words)
    bad = Changes(title=["quoted"])  # type: ignore[arg-type]
    attempts: list[Awaitable[object]] = [
        storage.ask(question, live, title="t", new=new),
        storage.end_answer(answer.id, storage.process, ending(TextBlock(words))),
        storage.append_chunks(text_chunks(answer.id, words)),
        storage.change_conversation("alice", answer.conversation_id, bad, now()),
    ]
    for attempt in attempts:
        with pytest.raises(StorageError) as failed:
            await attempt
        assert "quoted" not in told(failed.value)
    with pytest.raises(NotFound):
        await storage.conversation("alice", new.id)
