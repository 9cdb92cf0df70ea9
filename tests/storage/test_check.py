"""Damage in an SQLite file, or in a backup of it, as `check` finds it."""

import itertools
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from storage.sqlite.backup import check
from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import NEWEST
from tests.storage.filled import filled
from tests.storage.raw import FIRST_STAGE
from tests.storage.samples import begun, ending
from tests.storage.sqlite_files import damage, discard_line, insert_conversation, names_in


def _checked(file: Path, *, is_ours: bool = True) -> tuple[bool, list[str]]:
    said: list[str] = []
    return check(file, is_ours=is_ours, write_line=said.append), said


@pytest.mark.gen_test
async def test_a_whole_database_is_ok_beside_its_server_and_afterwards(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    answer = await begun(storage)
    assert (True, 1) == (_checked(file)[0], len(_checked(file)[1]))
    await storage.end_answer(answer.id, "p", ending())
    await storage.close()

    fine, [said] = _checked(file)

    assert fine
    assert said.startswith(f"{file}: ok: ")
    assert said.endswith(f" bytes, 1 conversations, 2 messages, 0 files, version {NEWEST}")
    assert {"headrace.db", "headrace.db.lock"} == names_in(file.parent)


def test_a_backup_is_looked_through_and_left_as_it_is(kept: Path) -> None:
    before = kept.read_bytes()

    assert _checked(kept, is_ours=False)[0]

    assert (before, {"kept.db"}) == (kept.read_bytes(), names_in(kept.parent))


def test_what_another_server_writes_to_it_meanwhile_is_nodamage(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.inspection._STEPS", 1_000)
    filled(file, 4)
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as server:
        server.execute("PRAGMA journal_mode = WAL").fetchone()
        server.execute("DELETE FROM messages WHERE ordinal < 10")
        server.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert 0 == file.with_name(f"{file.name}-wal").stat().st_size
        steps = itertools.count()

        def stop() -> bool:
            if next(steps) == 3:
                server.execute("DELETE FROM messages WHERE ordinal % 2")
                server.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            return False

        fine = check(file, is_ours=False, write_line=discard_line, stop=stop)

    assert next(steps) > 3
    assert fine


def test_a_file_of_the_first_stage_is_ok() -> None:
    assert _checked(FIRST_STAGE / "headrace.db", is_ours=False)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE messages SET parent_id = 'nobody-x' WHERE role = 'assistant'", "not there"),
        ("UPDATE messages SET parent_id = id", "came later"),
        ("UPDATE messages SET user = 'bob'", "another user's"),
        ("UPDATE messages SET status = 'complete'", None),
        (
            "UPDATE messages SET status = 'complete';"
            "INSERT INTO chunks SELECT id, 0, '[]' FROM messages WHERE role = 'assistant'",
            "chunks are of no live answer",
        ),
        ("DROP INDEX live_answers; UPDATE messages SET status = 'live'", "more than one live"),
        ("DELETE FROM messages", None),
        ("DELETE FROM messages; INSERT INTO chunks VALUES ('c-a', 0, '[]')", "no live answer"),
        ("DELETE FROM conversations", "of a conversation that is not there"),
        # On its way out: the first of its messages are gone, and the live one.
        (
            "INSERT INTO deletions SELECT id, user FROM conversations; DELETE FROM conversations;"
            "INSERT INTO chunks SELECT id, 0, '[]' FROM messages WHERE role = 'assistant';"
            "DELETE FROM messages WHERE ordinal = 0 OR status = 'live'",
            None,
        ),
    ],
)
def test_rows_that_break_a_promise_are_counted(
    titled: Callable[..., None], file: Path, change: str, words: str | None
) -> None:
    titled(file, "old")
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.executescript(change)

    fine, said = _checked(file)

    assert (words is None) == fine, said
    if words is not None:
        assert re.search(f"^wrong: .*{words}", said[0])
        assert f"{file}: damaged" == said[-1]


def test_an_index_that_lacks_a_row_is_found(titled: Callable[..., None], file: Path) -> None:
    titled(file, "old")
    index = "type = 'index' AND name = 'conversations_of_user'"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = 1")
        database.execute("CREATE TEMP TABLE aside AS SELECT * FROM sqlite_master")
        database.execute(f"DELETE FROM sqlite_master WHERE {index}")
        database.execute("PRAGMA writable_schema = RESET")
        insert_conversation(database, "unseen")
        database.execute("PRAGMA writable_schema = 1")
        database.execute(f"INSERT INTO sqlite_master SELECT * FROM aside WHERE {index}")

    fine, said = _checked(file)

    assert not fine
    assert "conversations_of_user" in said[0]


def test_damaged_pages_are_found(titled: Callable[..., None], file: Path) -> None:
    titled(file, *(f"{number}" * 3000 for number in range(9)))
    damage(file)

    fine, said = _checked(file)

    assert not fine
    assert 2 <= len(said) <= 101
    assert [] == [line for line in said[:-1] if not line.startswith("wrong: ")]
