"""A deleted conversation: invisible at once, then purged by any process, whatever it contains."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient, monitoring
from pymongo.database import Database

from model.blocks import TextBlock
from model.messages import Conversation, Message
from storage.contract import Storage
from storage.errors import NotFound
from storage.mongo import connection, live_answers, queries
from storage.mongo import deletions as mongo_deletions
from storage.sqlite import deletions as sqlite_deletions
from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import MIGRATIONS, SERVED
from storage.values import AnswerUpdates
from tests.mongod import ReplicaSet
from tests.storage.conftest import Place
from tests.storage.samples import (
    ask,
    begun,
    clear,
    conversation,
    ending,
    key,
    text_chunks,
)

_TABLES = ("messages", "chunks", "conversations", "deletions")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is two messages, or two chunks."""
    monkeypatch.setattr(mongo_deletions, "_PURGE_BATCH", 2)
    monkeypatch.setattr(sqlite_deletions, "_PURGE_BATCH", 2)


def left(place: Place) -> dict[str, int]:
    """How much a store holds of each."""
    scheme, _, file = place.url.partition(":///")
    if scheme == "sqlite":
        with closing(sqlite3.connect(file)) as shell:
            count = "SELECT count(*) FROM {}"
            return {name: shell.execute(count.format(name)).fetchone()[0] for name in _TABLES}
    with MongoClient[dict[str, Any]](place.url, readConcernLevel="majority") as client:
        database = client.get_default_database()
        return {name: database[name].count_documents({}) for name in _TABLES}


async def told(storage: Storage, answers: int) -> tuple[Conversation, list[Message]]:
    """A conversation of so many answers, the last of them live, each with growth in the store."""
    of = conversation()
    await storage.create_conversation(of)
    found: list[Message] = []
    for _ in range(answers):
        if found:
            await storage.end_answer(found[-1].id, storage.process, ending(TextBlock("Hello")))
        found.append(await ask(storage, of, parent_id=found[-1].id if found else None))
        await storage.append_chunks(text_chunks(found[-1].id, "Hel", "lo"))
    return of, found


# Seen no more


@pytest.mark.slow
@pytest.mark.parametrize("cleared", [0, 1, 99])
@pytest.mark.gen_test
async def test_nothing_is_seen_of_a_deleted_conversation_however_much_of_it_is_left(
    storage: Storage, small_batches: None, cleared: int
) -> None:
    of, answers = await told(storage, 4)
    kept = key(answers[0])
    messages = await storage.messages("alice", of.id, limit=99, before=None)
    cursor = (await storage.messages("alice", of.id, limit=2, before=None)).next

    await storage.delete_conversation("alice", of.id)
    deletion = await storage.next_deletion()
    assert deletion is not None
    for _ in range(cleared):
        await storage.purge(deletion)

    for message in messages.data:
        for lookup in (
            storage.message("alice", message.id),
            storage.branch("alice", of.id, limit=9, last=message.id),
        ):
            with pytest.raises(NotFound):
                await lookup
    for lookup in (
        storage.conversation("alice", of.id),
        storage.messages("alice", of.id, limit=9, before=None),
        storage.messages("alice", of.id, limit=9, before=cursor),
        storage.branch("alice", of.id, limit=9, last=None),
        storage.live_answer("alice", of.id),
        storage.delete_conversation("alice", of.id),
        ask(storage, of),
        ask(storage, of, parent_id=answers[0].id),
    ):
        with pytest.raises(NotFound):
            await lookup
    gone = frozenset(answer.id for answer in answers)
    for position in (0, 3):
        assert AnswerUpdates(gone=gone) == await storage.answer_updates(
            dict.fromkeys(gone, position)
        )
    assert await storage.idempotency_key("alice", kept.id) is None
    assert frozenset() == await storage.own_live_answers()
    assert [] == await storage.orphans()
    assert () == (await storage.conversations("alice", limit=9, after=None)).data


@pytest.mark.gen_test
async def test_a_live_answer_of_a_deleted_conversation_is_its_owners_no_more(
    storage: Storage,
) -> None:
    answer = await begun(storage)
    await storage.delete_conversation("alice", answer.conversation_id)
    assert not await storage.end_answer(answer.id, storage.process, ending(TextBlock("x")))


@pytest.mark.gen_test
async def test_another_users_conversation_is_neither_deleted_nor_cleared(storage: Storage) -> None:
    answer = await begun(storage, "bob")
    with pytest.raises(NotFound):
        await storage.delete_conversation("alice", answer.conversation_id)
    assert await storage.next_deletion() is None
    assert (await storage.message("bob", answer.id)).id == answer.id


@pytest.mark.gen_test
async def test_of_ten_who_delete_at_once_none_fails_and_the_next_one_finds_nothing(
    storage: Storage,
) -> None:
    answer = await begun(storage)
    of = answer.conversation_id

    outcomes = await asyncio.gather(
        *(storage.delete_conversation("alice", of) for _ in range(10)), return_exceptions=True
    )

    assert None in outcomes
    assert all(each is None or isinstance(each, NotFound) for each in outcomes)
    with pytest.raises(NotFound):
        await storage.delete_conversation("alice", of)


# Cleared


@pytest.mark.slow
@pytest.mark.gen_test
async def test_clearing_takes_all_of_it_by_batches_and_nothing_of_others(
    place: Place, storage: Storage, small_batches: None
) -> None:
    other = await begun(storage)
    await storage.append_chunks(text_chunks(other.id, "a"))
    for _ in range(2):
        of, _ = await told(storage, 4)
        await storage.delete_conversation("alice", of.id)

    assert 2 * 4 <= await clear(storage)

    found = left(place)
    assert (2, 1, 1) == (found["messages"], found["chunks"], found["conversations"])
    assert await storage.next_deletion() is None
    assert (await storage.message("alice", other.id)).blocks == (TextBlock("a"),)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_start_goes_on_where_the_process_before_it_was_killed(
    place: Place, small_batches: None
) -> None:
    dying = await place.open(lease_seconds=0.01)
    of, _ = await told(dying, 4)
    await dying.delete_conversation("alice", of.id)
    deletion = await dying.next_deletion()
    assert deletion is not None
    assert await dying.purge(deletion)
    await dying.close()
    assert 0 < left(place)["messages"] < 8

    await clear(await place.open())

    found = left(place)
    assert (0, 0) == (found["messages"], found["chunks"])


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_one_process_clears_is_left_alone_by_another(mongo: Place) -> None:
    one, other = await mongo.open(), await mongo.open()
    first, second = await begun(one), await begun(one)
    for answer in (first, second):
        await one.delete_conversation("alice", answer.conversation_id)

    taken = [await one.next_deletion(), await other.next_deletion()]

    ids = {each.conversation_id for each in taken if each is not None}
    assert {first.conversation_id, second.conversation_id} == ids
    assert await one.next_deletion() is None


# Growth that comes late


@pytest.mark.slow
@pytest.mark.parametrize("cleared", [False, True])
@pytest.mark.gen_test
async def test_growth_behind_a_deletion_does_not_stay_and_its_owner_is_told(
    place: Place, storage: Storage, cleared: bool
) -> None:
    answer, other = await begun(storage), await begun(storage)
    late = text_chunks(answer.id, "a", "b", "c")
    assert frozenset() == await storage.append_chunks(late[:1])
    await storage.delete_conversation("alice", answer.conversation_id)
    if cleared and place.url.startswith("mongo"):  # an SQLite file has one writer, who was told
        await clear(storage)

    for chunk in late[1:]:
        gone = await storage.append_chunks([chunk, *text_chunks(other.id, "x")])
        assert frozenset({answer.id}) == gone

    await clear(storage)
    assert 1 == left(place)["chunks"]
    assert (await storage.message("alice", other.id)).blocks == (TextBlock("x"),)


@pytest.mark.gen_test
async def test_growth_that_lands_in_the_middle_of_a_deletion_does_not_stay(
    mongo: Place, database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The insert was on its way; the conversation is deleted, and cleared, before it arrives."""
    owner, deleting = await mongo.open(), await mongo.open()
    answer = await begun(owner)
    inserting = live_answers.chunk_document

    def deleted_first(*chunk: Any) -> Any:
        with MongoClient[dict[str, Any]](mongo.url) as client:
            store = client.get_default_database()
            of = answer.conversation_id
            store["conversations"].delete_one({"_id": of})
            store["messages"].delete_many({"conversation": of})
            store["deletions"].update_one(
                {"_id": of}, [*queries.deleted("alice"), *queries.CLEARED], upsert=True
            )
        return inserting(*chunk)

    monkeypatch.setattr(live_answers, "chunk_document", deleted_first)
    gone = await owner.append_chunks(text_chunks(answer.id, "secret"))

    assert {answer.id} == gone
    assert 0 == database["chunks"].count_documents({})
    assert await deleting.next_deletion() is None  # it is remembered, and not due


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_came_late_from_one_who_died_is_cleared_when_the_deletion_is_forgotten(
    mongo: Place, database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = await mongo.open()
    answer = await begun(storage)
    await storage.delete_conversation("alice", answer.conversation_id)
    at_once = [{"$set": {"again": True, "due_at": "$$NOW"}}]
    monkeypatch.setattr(queries, "CLEARED", at_once)  # an hour later
    deletion = await storage.next_deletion()
    assert deletion is not None
    while await storage.purge(deletion):
        pass
    late = live_answers.chunk_document(text_chunks(answer.id, "late")[0], answer.created_at)
    database["chunks"].insert_one(late)

    await clear(storage)

    assert 0 == database["chunks"].count_documents({})
    assert 0 == database["deletions"].count_documents({})


# Whatever goes wrong


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_transaction_of_a_deletion_is_as_small_for_many_messages_as_for_one(
    mongod: ReplicaSet, local: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Listener(monitoring.CommandListener):
        def __init__(self) -> None:
            self.sent: list[str] = []
            self.deleted = 0

        def started(self, event: monitoring.CommandStartedEvent) -> None:
            self.sent.append(event.command_name)

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
            if event.command_name == "delete":
                self.deleted += event.reply["n"]

        def failed(self, event: monitoring.CommandFailedEvent) -> None:
            raise AssertionError(event.command_name)

    listener = Listener()
    monkeypatch.setitem(connection._OPTIONS, "event_listeners", [listener])
    storage = await local.open()
    of, _ = await told(storage, 10)
    listener.sent.clear()

    await storage.delete_conversation("alice", of.id)

    assert ["delete", "update", "delete", "commitTransaction"] == listener.sent
    assert 2 == listener.deleted  # the conversation and its live answer


@pytest.mark.slow
@pytest.mark.gen_test
async def test_deletions_that_hang_keep_nobody_from_asking(
    mongod: ReplicaSet, local: Place
) -> None:
    storage = await local.open()
    answers = [await begun(storage) for _ in range(32)]
    with mongod.failing("delete", times=32, blockConnection=True, blockTimeMS=1500):
        deleting = [
            asyncio.create_task(storage.delete_conversation("alice", each.conversation_id))
            for each in answers
        ]
        await asyncio.sleep(0)

        await begun(storage)

        assert not any(each.done() for each in deleting)
    assert [None] * 32 == await asyncio.gather(*deleting)


@pytest.mark.gen_test
async def test_a_file_without_room_for_deletions_forgets_all_at_once(tmp_path: Path) -> None:
    file = tmp_path / "headrace.db"
    with closing(sqlite3.connect(file)) as shell:
        shell.executescript(f"{''.join(MIGRATIONS[:SERVED])} PRAGMA user_version = {SERVED};")
    storage = SQLiteStorage(file, "p")
    await storage.open()
    other = await begun(storage)
    of, answers = await told(storage, 4)

    await storage.delete_conversation("alice", of.id)

    with pytest.raises(NotFound):
        await storage.message("alice", answers[0].id)
    assert frozenset() == await storage.append_chunks(text_chunks(answers[-1].id, "late"))
    assert await storage.next_deletion() is None
    await storage.close()
    with closing(sqlite3.connect(file)) as shell:
        counts = [
            shell.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("messages", "chunks")
        ]
    assert [2, 0] == counts
    assert other.conversation_id != of.id


@pytest.mark.gen_test
async def test_each_deletion_of_an_sqlite_file_has_its_turn_whatever_the_others_meet(
    tmp_path: Path,
) -> None:
    storage = SQLiteStorage(tmp_path / "headrace.db", "p")
    await storage.open()
    deleted = [await begun(storage), await begun(storage)]
    for answer in deleted:
        await storage.delete_conversation("alice", answer.conversation_id)

    taken = [await storage.next_deletion() for _ in range(100)]  # by chance all alike: 2 ** -99

    await storage.close()
    ids = {each.conversation_id for each in taken if each is not None}
    assert {answer.conversation_id for answer in deleted} == ids


@pytest.mark.gen_test
async def test_a_batch_of_an_sqlite_file_is_bounded_by_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "headrace.db"
    storage = SQLiteStorage(file, "p")
    await storage.open()
    of = conversation()
    await storage.create_conversation(of)
    for _ in range(4):
        answer = await ask(storage, of)
        await storage.end_answer(answer.id, "p", ending(TextBlock("界" * 400_000)))
    await storage.delete_conversation("alice", of.id)

    assert 4 < await clear(storage)
    await storage.close()


@pytest.mark.gen_test
async def test_what_the_first_stage_stored_is_deleted_as_well(first: Place) -> None:
    storage = await first.open()
    theirs = await storage.conversations("alice", limit=99, after=None)
    assert theirs.data
    for each in theirs.data:
        messages = await storage.messages("alice", each.id, limit=99, before=None)
        await storage.delete_conversation("alice", each.id)
        for message in messages.data:
            with pytest.raises(NotFound):
                await storage.message("alice", message.id)

    await clear(storage)

    await storage.close()
    if first.url.startswith("sqlite"):
        with closing(sqlite3.connect(first.url.partition(":///")[2])) as shell:
            count = "SELECT count(*) FROM messages WHERE user = 'alice'"
            assert (0,) == shell.execute(count).fetchone()
    else:
        with MongoClient[dict[str, Any]](first.url) as client:
            messages_there = client.get_default_database()["messages"]
            assert 0 == messages_there.count_documents({"user": "alice"})
