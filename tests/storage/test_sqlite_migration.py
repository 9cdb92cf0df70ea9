"""What `migrate` does to an SQLite file, and what a file that is not migrated is served as."""

import os
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from storage.contract import Storage
from storage.errors import Outdated, StorageError
from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import MIGRATIONS, NEWEST, SERVED
from tests.storage.migrating import due, kept_attempts, migrate
from tests.storage.raw import leave_first_stage
from tests.storage.samples import api_key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """What the first stage left."""
    path = tmp_path / "headrace.db"
    leave_first_stage(f"sqlite:///{path}")
    return path


def url(file: Path) -> str:
    return f"sqlite:///{file}"


def contents(file: Path) -> list[str]:
    """All of a file, as the statements that make it, and its version."""
    with closing(sqlite3.connect(file)) as database:
        return [*database.iterdump(), str(version(database))]


def version(database: sqlite3.Connection) -> int:
    found: int = database.execute("PRAGMA user_version").fetchone()[0]
    return found


def made_by(version: int, file: Path) -> Path:
    """An empty store that an earlier version made."""
    with closing(sqlite3.connect(file)) as database:
        database.executescript(f"{''.join(MIGRATIONS[:version])} PRAGMA user_version = {version};")
    return file


@pytest.mark.gen_test
async def test_a_file_that_is_not_migrated_is_served_without_what_it_has_no_room_for(
    file: Path,
) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()

    assert () == await kept_attempts(storage)
    await storage.close()
    with closing(sqlite3.connect(file)) as database:
        assert SERVED == version(database)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, SERVED))
@pytest.mark.gen_test
async def test_a_file_older_than_those_served_is_refused_until_it_is_migrated(
    tmp_path: Path, number: int
) -> None:
    file = made_by(number, tmp_path / "headrace.db")
    before = file.read_bytes()
    looks: list[Callable[[Storage], Any]] = [
        lambda storage: storage.open(),
        lambda storage: storage.open(without_lease=True),
        lambda storage: storage.report(),
    ]
    for look in looks:
        with pytest.raises(Outdated, match=rf"version {number}, .*`server\.py migrate` brings"):
            await look(SQLiteStorage(file, "p"))
    assert before == file.read_bytes()

    assert 3 == len(await migrate(url(file)))

    assert contents(made_by(NEWEST, tmp_path / "new.db")) == contents(file)
    storage = SQLiteStorage(file, "p")
    await storage.open()
    await storage.close()


@pytest.mark.gen_test
async def test_the_file_as_it_was_is_kept_for_its_owner_alone(file: Path) -> None:
    before = contents(file)

    said = await migrate(url(file))

    copy = file.with_name(f"headrace.db.before-{SERVED}")
    tables, room = f"tables from version {SERVED} to {NEWEST}", "unused pages"
    assert [
        f"saved: {copy}",
        f"changed: {tables}",
        f"changed: {room} are returned to the file system",
    ] == said
    assert before == contents(copy)
    assert 0o600 == copy.stat().st_mode & 0o777
    assert {file.name, copy.name, "headrace.db.lock"} == set(os.listdir(file.parent))


@pytest.mark.gen_test
async def test_an_earlier_copy_keeps_its_place_and_a_half_made_one_does_not(file: Path) -> None:
    taken = file.with_name(f"headrace.db.before-{SERVED}")
    taken.write_text("of an earlier migration, whose file was put back")
    half = taken.with_name(f"{taken.name}.2.making")
    half.write_text("of one that was killed")

    await migrate(url(file))

    assert "of an earlier migration, whose file was put back" == taken.read_text()
    assert not half.exists()
    with closing(sqlite3.connect(f"{taken}.2")) as copy:
        assert SERVED == version(copy)


@pytest.mark.gen_test
async def test_a_file_that_a_server_has_is_not_touched(file: Path) -> None:
    server = SQLiteStorage(file, "server")
    await server.open()
    before = contents(file)

    with pytest.raises(StorageError, match=rf"in use by .* \(process {os.getpid()}\): stop it"):
        await migrate(url(file))

    assert before == contents(file)
    await server.close()
    assert await migrate(url(file))


@pytest.mark.gen_test
async def test_a_command_for_keys_goes_on_beside_a_migration(file: Path) -> None:
    command = SQLiteStorage(file, "command")
    await command.open(without_lease=True)
    await migrate(url(file))

    await command.create_api_key(api_key("made-beside"))

    assert 1 == len(await command.api_keys(["made-beside"]))
    await command.close()


@pytest.mark.gen_test
async def test_without_room_for_the_copy_nothing_is_changed(file: Path) -> None:
    before = contents(file)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))  # two pages of the copy
    try:
        with pytest.raises(StorageError, match="SQLite failed on"):
            await migrate(url(file))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert before == contents(file)
    assert {file.name, "headrace.db.lock"} == set(os.listdir(file.parent))


@pytest.mark.gen_test
async def test_a_script_that_fails_leaves_the_version_before_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(file)
    broken = (*MIGRATIONS, "ALTER TABLE messages ADD COLUMN half_made TEXT; DROP TABLE nowhere;")
    monkeypatch.setattr("storage.sqlite.tables.MIGRATIONS", broken)

    with pytest.raises(StorageError, match="SQLITE_ERROR"):
        await migrate(url(file))
    monkeypatch.undo()

    assert ("unused pages are returned to the file system",) == await due(url(file))
    assert before == contents(file.with_name(f"headrace.db.before-{SERVED}"))
    assert not [line for line in contents(file) if "half_made" in line]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"PRAGMA user_version = {NEWEST + 1}", "newer version of Headrace"),
        ("CREATE TABLE theirs (x)", "another program's tables"),
    ],
)
@pytest.mark.gen_test
async def test_a_file_that_is_not_ours_to_change_is_left_alone(
    tmp_path: Path, script: str, words: str
) -> None:
    file = tmp_path / "headrace.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(script)
    before = file.read_bytes()

    with pytest.raises(StorageError, match=words):
        await migrate(url(file))

    assert before == file.read_bytes()
    assert {file.name, "headrace.db.lock"} == set(os.listdir(tmp_path))


def plan(file: Path, order: str) -> str:
    """How SQLite finds a page of conversations that is not the first."""
    asked = f"""EXPLAIN QUERY PLAN SELECT * FROM conversations WHERE user = 'alice'
        AND ({order}, id) < (7, 'x') ORDER BY {order} DESC, id DESC LIMIT 3"""
    with closing(sqlite3.connect(file)) as database:
        return " / ".join(step[-1] for step in database.execute(asked))


@pytest.mark.gen_test
async def test_the_index_of_a_list_by_activity_is_made_by_a_migration(file: Path) -> None:
    assert "TEMP B-TREE" in plan(file, "updated_at")

    await migrate(url(file))

    assert "conversations_by_activity" in plan(file, "updated_at")
    assert "TEMP B-TREE" not in plan(file, "updated_at") + plan(file, "created_at")
