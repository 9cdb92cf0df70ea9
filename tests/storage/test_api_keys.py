"""API keys: what both stores keep of them, and that a command may manage them beside a server."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from model.messages import now
from storage.contract import Storage
from storage.errors import InvalidCursor, NotFound, StorageError
from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import MIGRATIONS, NEWEST, SERVED
from storage.values import ApiKey
from tests.storage.conftest import Place
from tests.storage.samples import TEXT, api_key, begun


async def kept(storage: Storage, key_id: str) -> ApiKey | None:
    """What is kept of a key."""
    found = await storage.api_keys([key_id])
    return found[0] if found else None


async def everybodys(storage: Storage, user: str | None = None) -> list[str]:
    """The ids of all API keys, over as many pages as there are."""
    ids: list[str] = []
    after = None
    while True:
        page = await storage.list_api_keys(user, limit=2, after=after)
        ids += [key.id for key in page.data]
        if page.next is None:
            return ids
        after = page.next


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_key_comes_back_as_it_was_kept(storage: Storage) -> None:
    plain = api_key("a")
    whole = api_key("b", TEXT, admin=True, note=TEXT, expires_at=now() + timedelta(days=1))
    bound, shut = api_key("c", models=("openai/*", TEXT)), api_key("d", models=())
    for key in (plain, whole, whole, bound, shut):  # a retry is fine
        await storage.create_api_key(key)
    assert [plain, whole, bound, shut] == [await kept(storage, key_id) for key_id in "abcd"]


@pytest.mark.slow
@pytest.mark.parametrize("key_id", ["", "missing", "$gt", TEXT])
@pytest.mark.gen_test
async def test_there_is_no_key_that_was_never_made(storage: Storage, key_id: str) -> None:
    await storage.create_api_key(api_key("a"))
    assert [] == await storage.api_keys([key_id])
    with pytest.raises(NotFound):
        await storage.revoke_api_key(key_id, now())


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_key_made_twice_stays_as_it_was_first(storage: Storage) -> None:
    first = api_key("a")
    await storage.create_api_key(first)
    await storage.create_api_key(api_key("a", "mallory", admin=True))
    assert first == await kept(storage, "a")


@pytest.mark.gen_test
async def test_the_first_revocation_counts_and_the_key_stays_known(storage: Storage) -> None:
    await storage.create_api_key(api_key("a"))
    first = now() - timedelta(hours=1)
    for at in (first, now()):
        revoked = await storage.revoke_api_key("a", at)
        assert first == revoked.revoked_at
    assert revoked == await kept(storage, "a")


@pytest.mark.slow
@pytest.mark.gen_test
async def test_many_keys_are_looked_after_in_one_go(storage: Storage) -> None:
    ids = [f"{number:05}" for number in range(2100)]  # more than either store asks for at once
    await asyncio.gather(*(storage.create_api_key(api_key(key_id)) for key_id in ids[:20]))
    await storage.revoke_api_key(ids[7], now())

    found = {key.id: key for key in await storage.api_keys(ids)}

    assert set(ids[:20]) == set(found)
    assert [ids[7]] == [key.id for key in found.values() if key.revoked_at is not None]


@pytest.mark.gen_test
async def test_keys_are_listed_by_user_and_for_all_in_pages(storage: Storage) -> None:
    for name in "ecadb":
        await storage.create_api_key(api_key(name, "alice" if name in "abc" else "bob"))
    assert list("abcde") == await everybodys(storage)
    assert list("abc") == await everybodys(storage, "alice")
    assert [] == await everybodys(storage, "nobody")
    with pytest.raises(InvalidCursor):
        await storage.list_api_keys(None, limit=1, after="é")


@pytest.mark.gen_test
async def test_a_lone_surrogate_in_a_note_is_a_value_error_and_nothing_is_kept(
    storage: Storage,
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        await storage.create_api_key(api_key("a", note="\ud800"))
    assert await kept(storage, "a") is None


# Beside a server


@pytest.mark.slow
@pytest.mark.gen_test
async def test_keys_are_made_and_taken_back_beside_a_server(place: Place) -> None:
    server = await place.open()
    live = await begun(server)
    beside = await place.open(without_lease=True)

    await beside.create_api_key(api_key("a"))
    assert (await kept(server, "a")) is not None
    await server.create_api_key(api_key("b"))
    revoked = await beside.revoke_api_key("b", now())
    await beside.close()

    assert revoked == await kept(server, "b")
    assert live.id == await server.live_answer("alice", live.conversation_id)
    assert [] == await server.orphans()


@pytest.mark.gen_test
async def test_a_command_beside_takes_no_lease(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    await mongo.open(without_lease=True)
    assert 0 == database["processes"].count_documents({})


@pytest.mark.gen_test
async def test_a_command_keeps_no_server_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "headrace.db"
    server = SQLiteStorage(file, "first")
    await server.open()
    await server.close()

    command, server = SQLiteStorage(file, "command"), SQLiteStorage(file, "second")
    await command.open(without_lease=True)
    await server.open()
    await command.create_api_key(api_key("a"))

    assert await kept(server, "a") is not None
    await server.close()
    await command.close()


@pytest.mark.gen_test
async def test_a_command_makes_no_file(tmp_path: Path) -> None:
    file = tmp_path / "data" / "headrace.db"
    with pytest.raises(StorageError, match="the server's first start creates it"):
        await SQLiteStorage(file, "command").open(without_lease=True)
    assert not file.parent.exists()


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (0, "another program's tables"),
        (SERVED - 1, "`server.py migrate` brings them to"),
        (NEWEST + 1, "newer version of Headrace"),
    ],
)
@pytest.mark.gen_test
async def test_a_command_leaves_a_file_alone_that_no_server_would_serve(
    tmp_path: Path, version: int, words: str
) -> None:
    file = tmp_path / "headrace.db"
    server = SQLiteStorage(file, "server")
    await server.open()
    await server.close()
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {version}")
    before = file.read_bytes()

    with pytest.raises(StorageError, match=words):
        await SQLiteStorage(file, "command").open(without_lease=True)

    assert before == file.read_bytes()


@pytest.mark.gen_test
async def test_a_command_makes_no_tables(tmp_path: Path) -> None:
    file = tmp_path / "headrace.db"
    file.touch()

    with pytest.raises(StorageError, match="empty; the server's first start creates its tables"):
        await SQLiteStorage(file, "command").open(without_lease=True)

    assert b"" == file.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("version", range(SERVED, NEWEST + 1))
@pytest.mark.gen_test
async def test_keys_are_made_in_files_of_every_version_that_is_served(
    tmp_path: Path, version: int
) -> None:
    file = tmp_path / "headrace.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(f"{''.join(MIGRATIONS[:version])} PRAGMA user_version = {version};")
    command = SQLiteStorage(file, "command")
    await command.open(without_lease=True)

    await command.create_api_key(api_key("a"))

    assert api_key("a").user == (await command.revoke_api_key("a", now())).user
    await command.close()


@pytest.mark.gen_test
async def test_a_file_that_cannot_keep_which_models_a_key_may_ask_gets_no_key_for_all_of_them(
    tmp_path: Path,
) -> None:
    file = tmp_path / "headrace.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(f"{''.join(MIGRATIONS[:SERVED])} PRAGMA user_version = {SERVED};")
    command = SQLiteStorage(file, "command")
    await command.open(without_lease=True)

    with pytest.raises(StorageError, match=r"`server\.py migrate` first"):
        await command.create_api_key(api_key("a", models=("openai/*",)))

    assert await kept(command, "a") is None
    await command.close()
