"""Checks an SQLite file for damage: its pages, its indexes and the invariants of its rows."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress

from storage.errors import Reason
from storage.sqlite.error_hints import reason
from storage.sqlite.errors import stopped
from storage.sqlite.inspection import version_of
from storage.sqlite.tables import SERVED, columns_of

# Seconds between two calls of `stop` while SQLite itself does not call it.
_WATCH_SECONDS = 0.02

# Faults that are reported of one kind. The first few tell what to do as well as all would.
_MOST_FAULTS = 20

# The invariants of the rows that every supported version keeps, by the words for the rows that
# break one. The first query does not use the index that enforces its invariant, since that may be
# what is damaged. Rows of deleted conversations are still being purged: `{deleted}` selects the ids
# of those.
_INVARIANTS = {
    "conversations have more than one live answer": """
        SELECT count(*) FROM (
            SELECT 1 FROM messages NOT INDEXED WHERE status = 'live'
            GROUP BY conversation_id HAVING count(*) > 1
        )""",
    "messages are of a conversation that is not there": """
        SELECT count(*) FROM messages
        WHERE conversation_id NOT IN (SELECT id FROM conversations)
            AND conversation_id NOT IN ({deleted})""",
    "messages are another user's than their conversation": """
        SELECT count(*) FROM messages
        JOIN conversations ON conversations.id = messages.conversation_id
        WHERE conversations.user <> messages.user""",
    "messages go on from one that is not there, or that came later": """
        SELECT count(*) FROM messages
        LEFT JOIN messages AS parent ON parent.id = messages.parent_id
            AND parent.conversation_id = messages.conversation_id
        WHERE messages.parent_id IS NOT NULL
            AND (parent.id IS NULL OR parent.ordinal >= messages.ordinal)
            AND messages.conversation_id NOT IN ({deleted})""",
    "chunks are of no live answer": """
        SELECT count(*) FROM chunks LEFT JOIN messages ON messages.id = chunks.answer_id
        WHERE messages.status IS NOT 'live' AND NOT EXISTS (
            SELECT 1 FROM ({deleted}) AS deleted
            WHERE substr(chunks.answer_id, 1, length(deleted.id) + 1) = deleted.id || '-'
        )""",
}


def faults(
    database: sqlite3.Connection, *, thoroughly: bool, stop: Callable[[], bool]
) -> list[str]:
    """Return what is damaged in a file, in words; empty if nothing is.

    A quick check reads each page once. A thorough one also compares the indexes with their tables,
    and checks the invariants of the rows. Raises StorageError once `stop` returns True.
    """
    found: list[str] = []
    try:
        found += _damage(database, "integrity_check" if thoroughly else "quick_check", stop)
        if stop():  # an interrupted check reports unread pages as missing
            raise stopped()
        if thoroughly and not found and version_of(database) >= SERVED:
            found += _broken_invariants(database)
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if reason(name) is not Reason.CORRUPT:
            raise
        found.append(f"{name}: it cannot be read to its end")
    return found


def _damage(database: sqlite3.Connection, pragma: str, stop: Callable[[], bool]) -> list[str]:
    """Return what is damaged in the pages. Fails with SQLITE_INTERRUPT once `stop` returns True.

    SQLite 3.40, as in Debian, checks all pages in one step without calling its progress handler. So
    the check runs in a thread of its own, because the current one may have to handle signals.
    """
    checked: Future[list[str]] = Future()

    def check() -> None:
        try:
            checked.set_result(list(_lines(database, pragma)))
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            checked.set_exception(error)

    threading.Thread(target=check, name="sqlite check", daemon=True).start()
    while True:
        with suppress(TimeoutError):
            return checked.result(_WATCH_SECONDS)
        if stop():
            database.interrupt()


def _lines(database: sqlite3.Connection, pragma: str) -> Iterator[str]:
    for (text,) in database.execute(f"PRAGMA {pragma}({_MOST_FAULTS})"):
        for line in str(text).splitlines():
            if line != "ok" and not line.startswith("***"):
                yield line


def _broken_invariants(database: sqlite3.Connection) -> Iterator[str]:
    deleted = "SELECT id FROM deletions"
    if "deletions" not in columns_of(database):  # a file of an older version
        deleted = "SELECT NULL AS id WHERE false"
    for words, query in _INVARIANTS.items():
        (count,) = database.execute(query.format(deleted=deleted)).fetchone()
        if count:
            yield f"{count:,} {words}"
