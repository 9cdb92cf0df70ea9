"""The whole of SQLite's store, made of its parts, each in a module of its own."""

from storage.contract import Storage
from storage.sqlite.answer_lists import SQLiteAnswerLists
from storage.sqlite.api_keys import SQLiteApiKeys
from storage.sqlite.asks import SQLiteAsks
from storage.sqlite.coordination import SQLiteCoordination
from storage.sqlite.counts import SQLiteCounts
from storage.sqlite.lifecycle import SQLiteLifecycle


class SQLiteStorage(
    SQLiteLifecycle,
    SQLiteCoordination,
    SQLiteAsks,
    SQLiteAnswerLists,
    SQLiteApiKeys,
    SQLiteCounts,
    Storage,
):
    """Conversations in one SQLite file; see the contract for the promises."""
