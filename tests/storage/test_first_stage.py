"""What the first stage stored opens, reads and goes on, without anything of it being changed."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from model.messages import Attempt, Status, now
from storage.contract import Storage
from storage.errors import KeyTaken
from storage.sqlite import counts, idempotency_keys
from storage.values import UsageCount, UsageSpan
from tests.storage.conftest import Place
from tests.storage.raw import FIRST_STAGE, Raw, leave_first_stage
from tests.storage.samples import ask, beside, conversation, ending, exchange, key
from tests.storage.test_following import followed

Plain = dict[str, Any]

EXPECTED: Plain = json.loads((FIRST_STAGE / "expected.json").read_text("utf-8"))
STORED: Plain = EXPECTED["stored"]
ANSWERS: dict[str, str] = EXPECTED["ids"]["answers"]
PROCESS: str = EXPECTED["ids"]["process"]

# Within the day of the idempotency key and of the counts: SQLite keeps neither for longer.
THAT_DAY = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _that_day(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (counts, idempotency_keys):
        monkeypatch.setattr(module, "now", lambda: THAT_DAY)


async def stored(storage: Storage) -> Plain:
    """All that a store gives, as plain JSON, less what the first stage had no words for."""
    users: Plain = {}
    for user in STORED["users"]:
        conversations = await storage.conversations(user, limit=200, after=None)
        users[user] = {
            "conversations": conversations,
            "messages": {
                each.id: await storage.messages(user, each.id, limit=200, before=None)
                for each in conversations.data
            },
        }
    spans = [msgspec.convert(each["span"], UsageSpan) for each in STORED["counts"]]
    counts = await storage.share_counts([UsageCount(span, "00" * 8, 0) for span in spans])
    idempotency_key = STORED["idempotency_key"]
    found = {
        "users": users,
        "api_keys": (await storage.list_api_keys(None, limit=200, after=None)).data,
        "counts": [{"span": span, "amount": counts[span]} for span in spans],
        "idempotency_key": await storage.idempotency_key("bob", idempotency_key["id"]),
    }
    plain: Plain = msgspec.json.decode(msgspec.json.encode(found))
    for each in plain["api_keys"]:
        assert each.pop("models") is None
    for user in plain["users"].values():
        for page in user["messages"].values():
            for message in page["data"]:
                assert [] == message.pop("attempts")
                assert message.pop("client") is None
    return plain


@pytest.mark.gen_test
async def test_everything_reads_as_it_did(first: Place) -> None:
    storage = await first.open()

    found = await stored(storage)

    # `restoring.py` moves it, or it would be gone by now.
    found["idempotency_key"]["created_at"] = STORED["idempotency_key"]["created_at"]
    assert STORED == found


@pytest.mark.gen_test
async def test_branches_and_positions_are_what_they_were(first: Place) -> None:
    storage = await first.open()
    for user, served in EXPECTED["served"].items():
        for answer_id, told in served["events"].items():
            answer = await storage.message(user, answer_id)
            branch = await storage.branch(user, answer.conversation_id, limit=99, last=answer_id)
            assert f"id: {answer.position}-end\n" in told
            parents = [None, *(message.id for message in branch.data)][:-1]
            assert parents == [message.parent_id for message in branch.data]


@pytest.mark.gen_test
async def test_keys_are_known_and_taken(first: Place) -> None:
    storage = await first.open()
    for known in STORED["api_keys"]:
        (found,) = await storage.api_keys([known["id"]])
        assert known | {"models": None} == msgspec.json.decode(msgspec.json.encode(found))
    new = conversation("bob")
    question, answer = exchange(new, owner=storage.process)
    taken = key(answer, id=STORED["idempotency_key"]["id"])
    with pytest.raises(KeyTaken):
        await storage.ask(question, answer, title="t", new=new, key=taken)


@pytest.mark.gen_test
async def test_the_orphan_is_swept_and_its_conversation_goes_on(first: Place, raw: Raw) -> None:
    storage = await first.open()
    raw.let_judge(storage.process)

    [orphan] = await storage.orphans()

    assert (ANSWERS["orphan"], PROCESS) == (orphan.id, orphan.owner)
    assert orphan == await storage.message("alice", orphan.id)
    end = ending(
        *orphan.blocks,
        status=Status.INTERRUPTED,
        attempts=(Attempt(target="demo/demo", started_at=now(), ms=5),),
    )
    for _ in range(2):  # a retry, though a file of that stage has no room for attempts
        assert await storage.end_answer(orphan.id, PROCESS, end)
    assert not await storage.end_answer(orphan.id, PROCESS, ending())
    of = await storage.conversation("alice", orphan.conversation_id)
    further = await ask(storage, of, parent_id=orphan.id)
    assert await storage.end_answer(further.id, storage.process, end)
    again = beside(further, owner=storage.process)
    await storage.ask(None, again, title="t", new=None)
    branch = await storage.branch("alice", of.id, limit=9, last=None)
    expected = [orphan.parent_id, orphan.id, further.parent_id, again.id]
    assert expected == [message.id for message in branch.data]
    assert orphan.blocks == branch.data[1].blocks


@pytest.mark.gen_test
async def test_growth_that_an_ended_answer_left_is_followed(mongo: Place) -> None:
    leave_first_stage(mongo.url)
    storage = await mongo.open()

    chunks = await followed(storage, ANSWERS["complete"])

    assert ["reasoning", "reasoning", "text", "tool_call"] == [
        piece.type for chunk in chunks for piece in chunk.pieces
    ]


# Opening changes nothing


def file_contents(url: str) -> list[str]:
    """All of an SQLite file, as the statements that make it."""
    with closing(sqlite3.connect(url.partition(":///")[2])) as database:
        return [*database.iterdump(), str(database.execute("PRAGMA user_version").fetchone())]


def database_contents(url: str) -> Plain:
    """All of a database, but for the processes that are alive."""
    with MongoClient[Plain](url) as client:
        database: Database[Plain] = client.get_default_database()
        return {
            each["name"]: (
                each["options"],
                database[each["name"]].index_information(),
                list(database[each["name"]].find({"_id": {"$ne": "opens"}}).sort("_id")),
            )
            for each in database.list_collections()
        }


@pytest.mark.gen_test
async def test_opening_and_reading_change_nothing_that_is_there(first: Place) -> None:
    contents: Callable[[str], Any]
    contents = file_contents if first.url.startswith("sqlite") else database_contents
    before = contents(first.url)

    storage = await first.open("opens")
    await stored(storage)
    await storage.close()

    after = contents(first.url)
    if isinstance(after, dict):
        for since in ("deletions", "files", "webhook_deliveries"):  # collections that came since
            assert [] == after.pop(since)[-1]
    assert before == after
