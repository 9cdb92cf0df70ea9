"""A MongoDB as `mongodump --oplog` takes it, all of it at one moment, and `mongorestore` leaves it.

Their work is done through the driver here: no package that tests may install brings them. Documents
are read in one snapshot while a server writes; collections are made with their validators, then
documents, then indexes.
"""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient

from app.server import Server
from doctor.examination import examine
from settings import Settings
from tests.mongod import database_url, drop
from tests.readers import call
from tests.serving import Serving
from tests.steps import LATER

pytestmark = pytest.mark.slow

Dump = dict[str, tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]]

# Leases that run out within the test.
RELAY = {"lease_seconds": 2, "checkpoint_seconds": 0.2, "on_disconnect": "finish"}
LIMITS = {"questions_per_minute": 0, "answers_per_user": 2000}


@pytest.fixture
def restored_url(mongo_url: str) -> Iterator[str]:
    url = database_url(mongo_url, f"{urlsplit(mongo_url).path.strip('/')}_2")
    yield url
    drop(url)


def dump(url: str) -> Dump:
    """Options, indexes and documents of each collection, the documents as of one moment."""
    with MongoClient[dict[str, Any]](url) as client, client.start_session(snapshot=True) as session:
        database = client.get_default_database()
        found = {each["name"]: each["options"] for each in database.list_collections()}
        return {
            name: (
                options,
                [dict(index) for index in database[name].list_indexes()],
                list(database[name].find({}, session=session)),
            )
            for name, options in found.items()
        }


def restore(url: str, dumped: Dump) -> None:
    with MongoClient[dict[str, Any]](url) as client:
        database = client.get_default_database()
        for name, (options, _, documents) in dumped.items():
            database.create_collection(name, **options)
            if documents:
                database[name].insert_many(documents)
        for name, (_, indexes, _) in dumped.items():
            made = [index | {"key": dict(index["key"])} for index in indexes]
            database.command("createIndexes", name, indexes=made)


@pytest.mark.gen_test(timeout=60)
async def test_what_was_acknowledged_before_is_served_from_a_dump_that_was_taken_under_load(
    serve: Serving, mongo_url: str, restored_url: str
) -> None:
    async def start(url: str) -> Server:
        return await serve.start(storage={"url": url}, relay=RELAY, limits=LIMITS)

    server = await start(mongo_url)
    acknowledged: list[tuple[str, str]] = []
    enough, ended = asyncio.Event(), asyncio.Event()

    async def keep_asking(name: str) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            body = {"content": f"question {number} of {name}"}
            asked = await call(server.url, "POST", "/api/v1/chat", body, headers=LATER)
            assert 202 == asked.status
            acknowledged.append((asked.body["conversation_id"], body["content"]))
            if len(acknowledged) > 30:
                enough.set()

    asking = [asyncio.create_task(keep_asking(name)) for name in "ab"]
    await enough.wait()
    before = list(acknowledged)
    dumped = await asyncio.to_thread(dump, mongo_url)
    ended.set()
    await asyncio.gather(*asking)
    await serve.stop(server)
    await asyncio.to_thread(restore, restored_url, dumped)

    server = await start(restored_url)

    said: list[str] = []
    settings = Settings(port=0, storage={"url": restored_url})
    assert await examine(settings, ask=False, write_line=said.append), said
    assert "not there" not in "".join(said)
    assert "migrate" not in "".join(said)
    for conversation_id, question in before:
        path = f"/api/v1/conversations/{conversation_id}"
        asked, answer = await _ended(server, path)
        assert [{"type": "text", "text": question}] == asked["blocks"]
        assert answer["status"] in ("complete", "interrupted")
    gone_on = await call(
        server.url, "POST", f"/api/v1/conversations/{before[-1][0]}/messages", {"content": "on"}
    )
    assert 200 == gone_on.status


async def _ended(server: Server, path: str) -> list[dict[str, Any]]:
    """A conversation's messages, once its answer is no longer live."""
    while True:
        messages: list[dict[str, Any]] = (await call(server.url, "GET", f"{path}/messages")).body[
            "data"
        ]
        if messages[1]["status"] != "live":
            return messages
        await asyncio.sleep(0.1)
