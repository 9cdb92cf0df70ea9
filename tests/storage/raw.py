"""What a store holds, written and looked at past our own code: as another version would write it.

Values are plain; each store keeps them in its own way.
"""

import json
import shutil
import sqlite3
from abc import ABC, abstractmethod
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pymongo.database import Database

from storage.values import conversation_of
from tests.storage.first_stage.restoring import restore

FIRST_STAGE = Path(__file__).parent / "first_stage"

Plain = dict[str, Any]

# Columns that SQLite has as JSON.
_JSON = {"blocks", "usage", "timing", "error", "attempts", "metadata", "client"}


def leave_first_stage(url: str) -> None:
    """Have at `url`, where nothing is, what the first stage left; see `first_stage/README.md`."""
    scheme, _, file = url.partition(":///")
    if scheme == "sqlite":
        Path(file).parent.mkdir(exist_ok=True)
        shutil.copyfile(FIRST_STAGE / "headrace.db", file)
    else:
        restore(url, urlsplit(url).path.strip("/"))


class Raw(ABC):
    """The stored data, read and written without the store's code."""

    @abstractmethod
    def change(self, kind: str, its_id: str, **fields: Any) -> None:
        """Set fields of a message or a conversation; those that nobody knows are made."""

    @abstractmethod
    def stored(self, kind: str, its_id: str) -> Plain:
        """All that is stored of it."""

    @abstractmethod
    def add_chunk(self, answer_id: str, position: int, pieces: Any) -> None:
        """Keep growth of an answer."""

    @abstractmethod
    def let_judge(self, process: str) -> None:
        """Have a process have lived for long, so that it may say who is dead."""


class RawSQLite(Raw):
    def __init__(self, file: Path) -> None:
        self._file = file

    def change(self, kind: str, its_id: str, **fields: Any) -> None:
        with closing(sqlite3.connect(self._file)) as database, database:
            there = {row[1] for row in database.execute(f"PRAGMA table_info({kind})")}
            for name, value in fields.items():
                if name not in there:
                    database.execute(f"ALTER TABLE {kind} ADD COLUMN {name}")
                if name in _JSON or isinstance(value, dict | list):
                    value = json.dumps(value)
                database.execute(f"UPDATE {kind} SET {name} = ? WHERE id = ?", (value, its_id))

    def stored(self, kind: str, its_id: str) -> Plain:
        with closing(sqlite3.connect(self._file)) as database:
            database.row_factory = sqlite3.Row
            found = database.execute(f"SELECT * FROM {kind} WHERE id = ?", (its_id,)).fetchone()
            return dict(found)

    def add_chunk(self, answer_id: str, position: int, pieces: Any) -> None:
        with closing(sqlite3.connect(self._file)) as database, database:
            database.execute(
                "INSERT INTO chunks (answer_id, position, pieces) VALUES (?, ?, ?)",
                (answer_id, position, json.dumps(pieces)),
            )

    def let_judge(self, process: str) -> None:
        """There is but one process, and all others are dead."""


class RawMongo(Raw):
    def __init__(self, database: Database[Plain]) -> None:
        self._database = database

    def change(self, kind: str, its_id: str, **fields: Any) -> None:
        changed = self._database.get_collection(kind).update_one(
            {"_id": its_id}, {"$set": fields}, bypass_document_validation=True
        )
        assert 1 == changed.matched_count

    def stored(self, kind: str, its_id: str) -> Plain:
        found = self._database[kind].find_one({"_id": its_id})
        assert found is not None
        return found

    def add_chunk(self, answer_id: str, position: int, pieces: Any) -> None:
        document = {
            "_id": {"answer": answer_id, "position": position},
            "conversation": conversation_of(answer_id),
            "pieces": pieces,
            "created_at": datetime.now(UTC),
            "schema": 99,
        }
        self._database["chunks"].insert_one(document, bypass_document_validation=True)

    def let_judge(self, process: str) -> None:
        past = datetime(2000, 1, 1, tzinfo=UTC)
        self._database["processes"].update_one({"_id": process}, {"$set": {"since": past}})
