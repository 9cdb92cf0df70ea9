"""Room in the SQLite file that is no longer needed goes back to the system."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from model.blocks import TextBlock
from storage.sqlite import file as sqlite_file
from storage.sqlite import writer
from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import MIGRATIONS, NEWEST
from tests.storage.samples import begun, conversation, ending

_MEGABYTE = 1_000_000


@pytest.fixture
def storage(
    tmp_path: Path, io_loop: IOLoop, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SQLiteStorage]:
    """An open, empty store that is tidied without delay."""
    monkeypatch.setattr(writer, "_UNTIDY_SECONDS", 0.0)
    monkeypatch.setattr(writer, "_TIDY_SECONDS", 0.0)
    storage = SQLiteStorage(tmp_path / "headrace.db", "p")
    io_loop.run_sync(storage.open)
    yield storage
    io_loop.run_sync(storage.close)


def size(storage: SQLiteStorage, suffix: str = "") -> int:
    return storage.path.with_name(f"{storage.path.name}{suffix}").stat().st_size


async def becomes(true: Callable[[], bool]) -> None:
    """Wait for what a thread does, and nothing tells of."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def checked(file: Path) -> tuple[str, int]:
    """What SQLite finds wrong with a file, and how it gives back room."""
    with closing(sqlite3.connect(file)) as database:
        (found,) = database.execute("PRAGMA integrity_check").fetchone()
        (gives,) = database.execute("PRAGMA auto_vacuum").fetchone()
    return found, gives


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_file_shrinks_behind_deletions_and_what_is_left_is_whole(
    storage: SQLiteStorage,
) -> None:
    texts = {}
    for number in range(12):
        answer = await begun(storage)
        texts[answer.id] = chr(65 + number) * _MEGABYTE
        await storage.end_answer(answer.id, "p", ending(TextBlock(texts[answer.id])))
    await becomes(lambda: size(storage) > 8 * _MEGABYTE)
    for answer_id in list(texts)[:10]:
        await storage.delete_conversation("alice", answer_id.partition("-")[0])
        del texts[answer_id]
    while (deletion := await storage.next_deletion()) is not None:
        while await storage.purge(deletion):
            pass
    await becomes(lambda: size(storage) < 4 * _MEGABYTE)

    for answer_id, text in texts.items():
        assert text == (await storage.message("alice", answer_id)).blocks[0].text  # type: ignore[union-attr]
    assert ("ok", 2) == checked(storage.path)


@pytest.mark.gen_test
async def test_a_file_of_before_gives_room_back_once_it_is_migrated(tmp_path: Path) -> None:
    file = tmp_path / "headrace.db"
    with closing(sqlite3.connect(file)) as before:
        before.executescript(f"{''.join(MIGRATIONS)} PRAGMA user_version = {NEWEST};")
    storage = SQLiteStorage(file, "p")
    await storage.open()  # and it is served as it is
    kept = conversation()
    await storage.create_conversation(kept)
    await storage.close()
    said: list[str] = []
    room = "unused pages are returned to the file system"
    assert (room,) == (await SQLiteStorage(file, "doctor").report()).due

    assert await SQLiteStorage(file, "migration").migrate(said.append)

    assert [f"changed: {room}"] == said  # no tables: no copy
    assert () == (await SQLiteStorage(file, "doctor").report()).due
    assert not await SQLiteStorage(file, "migration").migrate(said.append)
    assert ("ok", 2) == checked(file)
    storage = SQLiteStorage(file, "p")
    await storage.open()
    assert kept == await storage.conversation("alice", kept.id)
    await storage.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_log_that_grew_while_somebody_read_is_cut_when_they_are_done(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "MAX_LOG_BYTES", _MEGABYTE)
    monkeypatch.setattr(sqlite_file, "_CUT_SECONDS", 0.0)
    sizes: list[int] = []

    async def write() -> str:
        answer = await begun(storage)
        await storage.end_answer(answer.id, "p", ending(TextBlock("x" * _MEGABYTE)))
        sizes.append(size(storage, "-wal"))
        return answer.id

    with closing(sqlite3.connect(storage.path, isolation_level=None)) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM messages").fetchone()
        kept = [await write() for _ in range(3)]
        assert sizes == sorted(sizes)
        reading.execute("ROLLBACK")
    kept += [await write() for _ in range(6)]

    assert min(sizes[3:]) < sizes[2]  # by itself SQLite keeps 64 MB of it
    for answer_id in kept:
        assert (await storage.message("alice", answer_id)).position == _MEGABYTE
    assert ("ok", 2) == checked(storage.path)
