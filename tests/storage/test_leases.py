"""Leases and what they carry: who lives, and what one process asks of another. MongoDB only."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from model.blocks import LATER_KINDS, TextBlock
from model.messages import Status
from storage.errors import StorageError
from storage.values import PeerRequests
from tests.mongod import ReplicaSet
from tests.storage.conftest import Commands, Place
from tests.storage.samples import UNKNOWN, begun, ending, text_chunks


def run_out(database: Database[dict[str, Any]], process: str) -> None:
    """Have a lease have run out long ago."""
    past = datetime(2000, 1, 1, tzinfo=UTC)
    database["processes"].update_one({"_id": process}, {"$set": {"lease_until": past}})


def held_for_ages(database: Database[dict[str, Any]], process: str) -> None:
    """Have a lease have been held without a gap for long."""
    past = datetime(2000, 1, 1, tzinfo=UTC)
    database["processes"].update_one({"_id": process}, {"$set": {"since": past}})


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_dead_processes_answers_are_orphans_with_their_growth(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    dead, alive, judge = [await mongo.open(name) for name in ("dead", "alive", "judge")]
    orphaned = await begun(dead)
    await dead.append_chunks(text_chunks(orphaned.id, "so", " far"))
    forgotten = await begun(alive, owner="a process without a document")
    for storage in (alive, judge):
        await begun(storage)
    held_for_ages(database, "judge")
    assert [each.id for each in await judge.orphans()] == [forgotten.id]

    run_out(database, "dead")

    orphans = {each.id: each for each in await judge.orphans()}
    assert set(orphans) == {orphaned.id, forgotten.id}
    assert orphans[orphaned.id].blocks == (TextBlock("so far"),)
    end = ending(TextBlock("so far"), status=Status.INTERRUPTED)
    assert await judge.end_answer(orphaned.id, "dead", end)
    # The dead one was only paused: it is told, and changes nothing.
    assert not await dead.end_answer(orphaned.id, "dead", ending(TextBlock("so far and on")))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_whoever_was_cut_off_judges_nobody(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    judge = await mongo.open("judge")
    await begun(judge, owner="dead")

    assert [] == await judge.orphans()  # it has only just come
    held_for_ages(database, "judge")
    assert 1 == len(await judge.orphans())
    run_out(database, "judge")
    assert [] == await judge.orphans()  # nor may it once its own lease has run out
    await judge.renew_lease({})
    assert [] == await judge.orphans()  # nor right after such a gap
    held_for_ages(database, "judge")
    await judge.renew_lease({})
    assert 1 == len(await judge.orphans())  # renewed in time, it still may


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_lease_runs_out_by_the_servers_clock_and_one_held_that_long_may_judge(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    judge = await mongo.open("judge", lease_seconds=0.5)
    dead = await mongo.open("dead", lease_seconds=0.2)
    answer = await begun(dead)

    async with asyncio.timeout(10):
        while not (orphans := await judge.orphans()):
            await judge.renew_lease({})

    assert [each.id for each in orphans] == [answer.id]
    judged_at = database.command("hello")["localTime"]
    leases = {each["_id"]: each for each in database["processes"].find()}
    assert leases["dead"]["lease_until"] <= judged_at
    assert leases["judge"]["since"] + timedelta(seconds=0.5) <= judged_at


@pytest.mark.gen_test
async def test_a_closed_process_leaves_no_lease_and_so_no_live_answer_for_long(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    leaving, judge = await mongo.open("leaving"), await mongo.open("judge")
    answer = await begun(leaving)
    await leaving.close()
    held_for_ages(database, "judge")
    assert [each.id for each in await judge.orphans()] == [answer.id]


@pytest.mark.gen_test
async def test_a_renewal_tells_whether_the_lease_had_run_out(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open("p")
    assert await storage.renew_lease({})

    run_out(database, "p")
    assert not await storage.renew_lease({})
    assert await storage.renew_lease({})

    database["processes"].delete_one({"_id": "p"})  # as MongoDB does, a day later
    assert not await storage.renew_lease({})
    assert await storage.renew_lease({})


@pytest.mark.gen_test
async def test_a_lease_that_runs_out_by_itself_is_told(mongo: Place) -> None:
    storage = await mongo.open(lease_seconds=0.001)
    async with asyncio.timeout(10):
        while await storage.renew_lease({}):
            pass


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_gap_that_nobody_waited_to_hear_of_is_told_the_next_time(
    mongo: Place, commands: Commands, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open("p")
    run_out(database, "p")
    commands.sent.clear()
    renewal = asyncio.create_task(storage.renew_lease({}))
    await asyncio.sleep(0)
    renewal.cancel()
    await asyncio.wait([renewal])
    assert renewal.cancelled()
    assert not await storage.renew_lease({})
    assert [next(iter(command)) for command in commands.sent] == ["findAndModify"] * 2


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_gap_found_by_a_renewal_whose_reply_was_lost_is_told_the_next_time(
    mongod: ReplicaSet, local: Place
) -> None:
    storage = await local.open("p")
    with MongoClient[dict[str, Any]](local.url) as client:
        run_out(client.get_default_database(), "p")
    with mongod.failing("findAndModify", times=1, **UNKNOWN), pytest.raises(StorageError):
        await storage.renew_lease({})
    assert not await storage.renew_lease({})


# What is read

# How a process of the first stage renews its lease: commit 7b1c2e5, `lease_renewed(30_000, {})`.
FIRST_STAGE_RENEWAL: list[dict[str, Any]] = [
    {
        "$set": {
            "since": {"$cond": [{"$gt": ["$lease_until", "$$NOW"]}, "$since", "$$NOW"]},
            "lease_until": {"$add": ["$$NOW", 30_000]},
            "wants": {"$literal": []},
            "schema": 1,
        }
    }
]


def first_stage(database: Database[dict[str, Any]], process: str = "first stage") -> None:
    """Have a process of the first stage renew its lease."""
    processes = database.get_collection("processes", write_concern=WriteConcern("majority"))
    processes.update_one({"_id": process}, FIRST_STAGE_RENEWAL, upsert=True)


@pytest.mark.gen_test
async def test_a_lease_says_what_its_process_can_read(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage, other = await mongo.open("p"), await mongo.open("other")

    assert await storage.unreadable(LATER_KINDS) == frozenset()
    assert {"video"} == await other.unreadable(["video"])  # nobody knows it yet
    lease = database["processes"].find_one({"_id": "p"})
    assert lease is not None
    assert sorted(LATER_KINDS) == lease["reads"]


@pytest.mark.gen_test
async def test_a_process_of_the_first_stage_reads_nothing_that_came_later(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open()
    first_stage(database)

    assert await storage.unreadable(LATER_KINDS) == LATER_KINDS
    assert {"image"} == await storage.unreadable(["image"])
    assert await storage.unreadable([]) == frozenset()
    run_out(database, "first stage")
    assert await storage.unreadable(LATER_KINDS) == frozenset()
    first_stage(database)
    assert await storage.unreadable(LATER_KINDS) == LATER_KINDS


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_any_one_of_several_processes_cannot_read_is_told(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open()
    for name, reads in {"one": ["image", "file"], "other": ["file", "data", "video"]}.items():
        first_stage(database, name)
        processes = database.get_collection("processes", write_concern=WriteConcern("majority"))
        processes.update_one({"_id": name}, {"$set": {"reads": reads}})

    assert await storage.unreadable(["file"]) == frozenset()
    assert {"image", "data"} == await storage.unreadable(["image", "file", "data"])
    assert {"tool_result"} == await storage.unreadable({"tool_result"})


# Requests to peers


@pytest.mark.gen_test
async def test_a_request_to_a_process_is_seen_by_it_alone(mongo: Place) -> None:
    owner, other, reader = [await mongo.open(name) for name in ("owner", "other", "reader")]
    assert await owner.peer_requests() == PeerRequests()
    requests = {
        "owner": PeerRequests(frozenset({"$a", "b"}), frozenset({"b", "c"})),
        "a process that is gone": PeerRequests(frozenset({"d"})),
    }
    assert await reader.renew_lease(requests)
    assert await owner.peer_requests() == requests["owner"]
    assert await other.peer_requests() == await reader.peer_requests() == PeerRequests()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_requests_of_several_processes_are_taken_together(mongo: Place) -> None:
    owner, one, other = [await mongo.open(name) for name in ("owner", "one", "other")]
    await one.renew_lease({"owner": PeerRequests(frozenset("ab"), frozenset("s"), frozenset("u"))})
    await other.renew_lease({"owner": PeerRequests(frozenset("bc"), frozenset("t"))})
    assert await owner.peer_requests() == PeerRequests(
        frozenset("abc"), frozenset("st"), frozenset("u")
    )


@pytest.mark.gen_test
async def test_each_renewal_replaces_the_requests_before(mongo: Place) -> None:
    owner, reader = await mongo.open("owner"), await mongo.open("reader")
    for requests in (
        PeerRequests(frozenset("ab")),
        PeerRequests(frozenset("b")),
        PeerRequests(stops=frozenset("b")),
    ):
        await reader.renew_lease({"owner": requests})
        assert await owner.peer_requests() == requests
    await reader.renew_lease({"owner": PeerRequests()})
    assert await owner.peer_requests() == PeerRequests()


@pytest.mark.gen_test
async def test_requests_of_a_dead_process_do_not_count(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    owner, reader = await mongo.open("owner"), await mongo.open("reader")
    requests = PeerRequests(frozenset({"a"}))
    await reader.renew_lease({"owner": requests})
    run_out(database, "owner")  # that is another matter
    assert await owner.peer_requests() == requests

    run_out(database, "reader")

    assert await owner.peer_requests() == PeerRequests()
    await reader.renew_lease({"owner": requests})
    assert await owner.peer_requests() == requests


@pytest.mark.slow
@pytest.mark.gen_test
async def test_requests_run_out_with_their_lease(mongo: Place) -> None:
    owner, reader = await mongo.open("owner"), await mongo.open("reader", lease_seconds=0.2)
    await reader.renew_lease({"owner": PeerRequests(frozenset({"a"}))})
    async with asyncio.timeout(10):
        while await owner.peer_requests() != PeerRequests():
            pass


@pytest.mark.slow
@pytest.mark.parametrize(
    "requests",
    [
        PeerRequests(frozenset({"a"})),
        PeerRequests(stops=frozenset({"a"})),
        PeerRequests(stops_unread=frozenset({"a"})),
    ],
)
@pytest.mark.gen_test
async def test_who_has_requests_to_peers_keeps_the_lease_when_it_closes(
    mongo: Place, database: Database[dict[str, Any]], requests: PeerRequests
) -> None:
    owner = await mongo.open("owner")
    leaving, reader = await mongo.open("leaving"), await mongo.open("reader")
    for storage in (leaving, reader):
        await storage.renew_lease({"owner": requests})
    await leaving.renew_lease({})
    for storage in (leaving, reader):
        await storage.close()
    assert {"owner", "reader"} == {each["_id"] for each in database["processes"].find()}
    assert await owner.peer_requests() == requests


@pytest.mark.gen_test
async def test_what_is_asked_every_tick_is_answered_from_an_index(
    mongo: Place, commands: Commands, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open("p")
    answer = await begun(storage)
    commands.sent.clear()
    await storage.peer_requests()
    await storage.answer_updates({answer.id: 0})
    await storage.own_live_answers()
    indexes = [index_of(database, command) for command in commands.sent]
    assert ["wanted", "_id_", "_id_", "live_owners"] == indexes


def index_of(database: Database[dict[str, Any]], command: dict[str, Any]) -> str:
    """The index by which the server finds what a command asks for."""
    asked = {name: command[name] for name in ("find", "filter", "projection") if name in command}
    stage = database.command("explain", asked)["queryPlanner"]["winningPlan"]
    while "inputStage" in stage:
        stage = stage["inputStage"]
    return str(stage["indexName"])
