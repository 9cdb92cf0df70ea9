"""A database of MongoDB as the first-stage server left it, out of `mongodb.json`.

Imports nothing of ours, neither of that stage nor of a later one.
"""

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bson import json_util
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

DUMP = Path(__file__).with_name("mongodb.json")

_LIFETIME = "expireAfterSeconds"


def restore(server: str | MongoClient[dict[str, Any]], database_name: str) -> None:
    """Make the collections with their validators, their indexes and documents, in a new database.

    `server` is a client or an address for one. The database may exist, its collections may not.

    What has a lifetime is as old as it was when it was dumped. Under its own time the server would
    take it away, within the minute or in the middle of a test. So the `created_at` of chunks and
    idempotency keys is not the one that was stored, nor are a lease's times, nor a count's end.
    """
    dump = json_util.loads(DUMP.read_text("utf-8"), json_options=json_util.CANONICAL_JSON_OPTIONS)
    age = datetime.now(UTC) - dump["dumped_at"].replace(tzinfo=UTC)
    with ExitStack() as stack:
        client = stack.enter_context(MongoClient(server)) if isinstance(server, str) else server
        # The store reads what a majority has, from the very first query.
        majority = WriteConcern("majority")
        database = client.get_database(database_name, write_concern=majority)
        for name, dumped in dump["collections"].items():
            collection = database.create_collection(name, **dumped["options"])
            indexes = [index | {"key": dict(index["key"])} for index in dumped["indexes"]]
            database.command("createIndexes", name, indexes=indexes)
            aging = [field for index in indexes if _LIFETIME in index for field in index["key"]]
            if name == "processes":
                aging.append("since")  # a lease begins before it ends
            for document in dumped["documents"]:
                for field in aging:
                    document[field] += age
            collection.insert_many(dumped["documents"])
