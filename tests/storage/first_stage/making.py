"""Makes the three data files beside this script with first-stage code: making.py CHECKOUT.

CHECKOUT is a checkout of commit 7b1c2e5 with its environment's Python running this. Both stores are
filled by their own methods, and read the same. The SQLite file is then opened by a server, whose
answers are recorded. What is dumped of MongoDB is restored, and has to read the same again.
"""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(sys.argv[1]).resolve()))

import msgspec
import storage.base as base
from bson import json_util
from contents import (
    ANOTHER_PROCESS,
    ANSWERS,
    API_KEYS,
    BEGAN_AT,
    CONVERSATIONS,
    IDEMPOTENCY_KEY,
    KEYED_QUESTION,
    PROCESS,
    SPANS,
    USERS,
    Clock,
    fill,
)
from pymongo import MongoClient
from pymongo.database import Database
from restoring import DUMP, restore
from storage.base import Count, Storage
from storage.opening import from_url
from tornado.httpclient import AsyncHTTPClient

from relay.asking import Asking
from server import running
from settings import Settings
from tests.mongod import replica_set

COMMIT = "7b1c2e5"
SQLITE = Path(__file__).with_name("headrace.db")
EXPECTED = Path(__file__).with_name("expected.json")

# Of every list: all of it.
_LIMIT = 200

# When the data are dumped and the server of `served` ends the orphan.
_DUMPED_AT = BEGAN_AT + timedelta(hours=1)

Plain = dict[str, Any]


def main() -> None:
    """Make the files."""
    git = ("git", "-C", sys.argv[1], "rev-parse", "HEAD")
    head = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    if not head.startswith(COMMIT):
        sys.exit(f"{sys.argv[1]} is not a checkout of {COMMIT}")
    with TemporaryDirectory() as folder:
        asyncio.run(make(Path(folder)))


async def make(folder: Path) -> None:
    """Make the files, with what is needed meanwhile in `folder`."""
    made = folder / "headrace.db"
    stored = await filled(f"sqlite:///{made}")
    shrink(made)
    shutil.copyfile(made, SQLITE)
    expected = {
        "ids": {
            "process": PROCESS,
            "another_process": ANOTHER_PROCESS,
            "conversations": CONVERSATIONS,
            "answers": ANSWERS,
        },
        "idempotency": {"user": "bob", "key": IDEMPOTENCY_KEY, "content": KEYED_QUESTION},
        "api_keys": API_KEYS,
        "stored": stored,
        "served": await served(f"sqlite:///{made}"),
    }
    text = json.dumps(expected, indent=2, sort_keys=True, ensure_ascii=False)
    EXPECTED.write_text(f"{text}\n", "utf-8")

    with replica_set(folder) as mongod:
        assert stored == await filled(mongod.url("headrace"))
        with MongoClient[Plain](mongod.url("admin")) as client:
            original = collections(client["headrace"])
            DUMP.write_text(dumped(original), "utf-8")
            restore(client, "restored")
            assert shape(original) == shape(collections(client["restored"]))
        restored = from_url(mongod.url("restored"), process="0d" * 16, lease_seconds=30.0)
        await restored.open()
        found = await read(restored)
        await restored.close()
        found["idempotency_key"]["created_at"] = stored["idempotency_key"]["created_at"]
        assert stored == found


async def filled(url: str) -> Plain:
    """Fill the store at `url`, and read it."""
    clock = Clock()
    store = from_url(url, process=PROCESS, lease_seconds=30.0)
    go_by(clock)  # now that MongoDB's module is imported, if it is to be
    await store.open()
    await fill(store, clock)
    found = await read(store)
    await store.close()
    return found


def go_by(clock: Clock) -> None:
    """Have all first-stage modules tell the time by `clock`: they have taken `now` by its name."""
    known = base.now
    for module in list(sys.modules.values()):
        if vars(module).get("now") is known:
            module.now = clock


async def read(store: Storage) -> Plain:
    """What a store gives, as plain JSON."""
    users: Plain = {}
    for user in USERS:
        conversations = await store.conversations(user, limit=_LIMIT, after=None)
        users[user] = {
            "conversations": conversations,
            "messages": {
                each.id: await store.messages(user, each.id, limit=_LIMIT, before=None)
                for each in conversations.data
            },
        }
    counts = await store.share_counts([Count(span, "00" * 8, 0) for span in SPANS])
    key_id = Asking(user="bob", content=KEYED_QUESTION, key=IDEMPOTENCY_KEY).key_id
    found = {
        "users": users,
        "api_keys": (await store.list_api_keys(None, limit=_LIMIT, after=None)).data,
        "counts": [{"span": span, "amount": counts[span]} for span in SPANS],
        "idempotency_key": await store.idempotency_key("bob", key_id),
    }
    plain: Plain = msgspec.json.decode(msgspec.json.encode(found))
    return plain


async def served(url: str) -> Plain:
    """What a server answers about the store at `url`, whose orphan it ends at its start."""
    clock = Clock()
    clock.at = _DUMPED_AT
    go_by(clock)
    users: Plain = {}
    async with running(Settings(port=0, storage={"url": url})) as server:
        for user in USERS:
            listed = json.loads(await get(server.url, "/api/v1/conversations", user))
            messages = {
                each["id"]: json.loads(
                    await get(server.url, f"/api/v1/conversations/{each['id']}/messages", user)
                )
                for each in listed["data"]
            }
            answers = [
                message["id"]
                for page in messages.values()
                for message in page["data"]
                if message["role"] == "assistant"
            ]
            events = {
                each: await get(server.url, f"/api/v1/answers/{each}/events", user)
                for each in answers
            }
            users[user] = {"conversations": listed, "messages": messages, "events": events}
    return users


async def get(url: str, path: str, user: str) -> str:
    """The body of what a user gets."""
    # The id shows in the events of answers that failed.
    headers = {"Headrace-User": user, "X-Request-Id": "first-stage"}
    response = await AsyncHTTPClient().fetch(f"{url}{path}?limit={_LIMIT}", headers=headers)
    return response.body.decode()


def shrink(path: Path) -> None:
    """Leave one file, with nothing in it that is not needed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (6,)
        database.execute("VACUUM")
    assert not path.with_name(f"{path.name}-wal").exists()


def collections(database: Database[Plain]) -> Plain:
    """What a database consists of, by the names of its collections."""
    found: Plain = {}
    for listed in database.list_collections():
        collection = database[listed["name"]]
        indexes = [
            # In pairs: its fields have an order, which sorting a document's would lose.
            {**index, "key": list(index["key"].items())}
            for index in collection.list_indexes()
            if index["name"] != "_id_"  # which every collection has
        ]
        documents = list(collection.find().sort("_id"))
        found[listed["name"]] = {
            "options": listed["options"],
            "indexes": indexes,
            "documents": documents,
        }
    for process in found["processes"]["documents"]:
        # By the server's clock, which nobody stops: as if it had died at its last write.
        process |= {"since": BEGAN_AT, "lease_until": _DUMPED_AT - timedelta(minutes=1)}
    return found


def shape(found: Plain) -> Plain:
    """The same without what restoring may change."""
    return {
        name: {**each, "documents": [document["_id"] for document in each["documents"]]}
        for name, each in found.items()
    }


def dumped(found: Plain) -> str:
    """Collections as canonical Extended JSON, a document a line.

    Fields are sorted. Only in the `_id` of a chunk does their order matter: it is the sorted one.
    """
    made = ",\n".join(
        f"  {as_json(name)}: {{\n"
        f'   "options": {as_json(each["options"])},\n'
        f'   "indexes": [{as_lines(each["indexes"])}],\n'
        f'   "documents": [{as_lines(each["documents"])}]\n'
        "  }"
        for name, each in sorted(found.items())
    )
    return f'{{\n "collections": {{\n{made}\n }},\n "dumped_at": {as_json(_DUMPED_AT)}\n}}\n'


def as_lines(documents: Iterable[Plain]) -> str:
    """The elements of a list, each on a line."""
    return ",".join(f"\n    {as_json(document)}" for document in documents) + "\n   "


def as_json(value: Any) -> str:
    """One line of canonical Extended JSON."""
    options = json_util.CANONICAL_JSON_OPTIONS
    return json_util.dumps(value, json_options=options, sort_keys=True, ensure_ascii=False)


if __name__ == "__main__":
    main()
