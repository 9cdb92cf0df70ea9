"""Images and files of questions: stored before them, visible with them, deleted with them."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from model.messages import now
from storage.contract import Storage
from storage.errors import NotFound, StorageError
from storage.sizes import CONVERSATION_BYTES
from storage.sqlite.store import SQLiteStorage
from tests.storage.conftest import Place
from tests.storage.migrating import migrate
from tests.storage.raw import leave_first_stage
from tests.storage.samples import (
    TEXT,
    ask,
    begun,
    beside,
    clear,
    conversation,
    ending,
    exchange,
    stored_file,
    with_files,
)

CONTENT = bytes(range(256)) * 400


def files_in(place: Place) -> int:
    """How many files a store has, seen past our own code."""
    scheme, _, file = place.url.partition(":///")
    if scheme == "sqlite":
        with closing(sqlite3.connect(file)) as shell:
            (count,) = shell.execute("SELECT count(*) FROM files").fetchone()
            return int(count)
    with MongoClient[dict[str, Any]](place.url, readConcernLevel="majority") as client:
        return client.get_default_database()["files"].count_documents({})


@pytest.mark.gen_test
async def test_a_file_is_returned_as_it_was_stored_once_its_question_is(storage: Storage) -> None:
    new = conversation()
    file = stored_file(new, CONTENT, name=TEXT)
    question, answer = exchange(new, owner=storage.process)
    for _ in range(2):  # a retry changes nothing
        await storage.store_file(file)
    with pytest.raises(NotFound):
        await storage.file("alice", file.id)

    for _ in range(2):
        await storage.ask(with_files(question, file), answer, title="t", new=new)

    assert file == await storage.file("alice", file.id)
    with pytest.raises(NotFound):
        await storage.file("bob", file.id)
    with pytest.raises(NotFound):
        await storage.file("alice", file.id + "0")


@pytest.mark.gen_test
async def test_a_question_whose_file_is_not_stored_is_not_stored_either(storage: Storage) -> None:
    new = conversation()
    files = [stored_file(new), stored_file(new)]
    await storage.store_file(files[0])
    question, answer = exchange(new, owner=storage.process)

    with pytest.raises(StorageError):
        await storage.ask(with_files(question, *files), answer, title="t", new=new)

    for lookup in (
        storage.conversation("alice", new.id),
        storage.message("alice", answer.id),
        storage.file("alice", files[0].id),
    ):
        with pytest.raises(NotFound):
            await lookup


@pytest.mark.gen_test
async def test_another_users_file_is_no_file_of_a_question(storage: Storage) -> None:
    new = conversation()
    theirs = stored_file(new, user="bob")
    await storage.store_file(theirs)
    question, answer = exchange(new, owner=storage.process)

    await storage.discard_files("alice", [theirs.id])
    with pytest.raises(StorageError):
        await storage.ask(with_files(question, theirs), answer, title="t", new=new)

    with pytest.raises(NotFound):
        await storage.conversation("alice", new.id)


@pytest.mark.gen_test
async def test_discarded_files_are_gone_and_those_of_questions_stay(
    place: Place, storage: Storage
) -> None:
    new = conversation()
    asked, unasked = stored_file(new), stored_file(new)
    for file in (asked, unasked):
        await storage.store_file(file)
    question, answer = exchange(new, owner=storage.process)
    await storage.ask(with_files(question, asked), answer, title="t", new=new)

    await storage.discard_files("alice", [asked.id, unasked.id])

    assert 1 == files_in(place)
    assert asked == await storage.file("alice", asked.id)


@pytest.mark.gen_test
async def test_old_files_without_a_question_are_purged_and_no_others(
    place: Place, storage: Storage
) -> None:
    new = conversation()
    asked, late, old = (
        stored_file(new, created_at=now() - timedelta(hours=hours)) for hours in (9, 0, 9)
    )
    for file in (asked, late, old):
        await storage.store_file(file)
    question, answer = exchange(new, owner=storage.process)
    await storage.ask(with_files(question, asked), answer, title="t", new=new)

    while await storage.purge_unasked_files(now() - timedelta(hours=1)):
        pass

    assert 2 == files_in(place)
    assert asked == await storage.file("alice", asked.id)


@pytest.mark.gen_test
async def test_files_count_for_their_user_until_the_conversation_is_deleted(
    place: Place, storage: Storage
) -> None:
    new = conversation()
    file = stored_file(new, CONTENT)
    await storage.store_file(file)
    assert 0 == await storage.stored_bytes("alice")
    question, answer = exchange(new, owner=storage.process)
    await storage.ask(with_files(question, file), answer, title="t", new=new)
    await storage.end_answer(answer.id, storage.process, ending())

    stored = await storage.stored_bytes("alice")
    await storage.ask(None, beside(answer, owner=storage.process), title=None, new=None)

    assert stored == await storage.stored_bytes("alice")
    assert 0 < stored - len(CONTENT) - CONVERSATION_BYTES < 1000
    await storage.delete_conversation("alice", new.id)
    assert 0 == await storage.stored_bytes("alice")
    with pytest.raises(NotFound):
        await storage.file("alice", file.id)
    assert 1 == files_in(place)
    await clear(storage)
    assert 0 == files_in(place)


@pytest.mark.gen_test
async def test_a_deletion_takes_the_files_of_its_conversation_and_no_others(
    place: Place, storage: Storage
) -> None:
    deleted, other = conversation(), conversation()
    kept = stored_file(other)
    for of in (deleted, other):
        files = [kept] if of is other else [stored_file(of) for _ in range(23)]
        question, answer = exchange(of, owner=storage.process)
        for file in files:
            await storage.store_file(file)
        await storage.ask(with_files(question, *files), answer, title="t", new=of)
    late = stored_file(deleted)
    await storage.store_file(late)  # its question will find no conversation

    await storage.delete_conversation("alice", deleted.id)
    question, answer = exchange(deleted, owner=storage.process)
    with pytest.raises(NotFound):
        await storage.ask(with_files(question, late), answer, title="t", new=None)
    await clear(storage)

    assert 2 == files_in(place)
    while await storage.purge_unasked_files(now() + timedelta(seconds=1)):
        pass
    assert 1 == files_in(place)
    assert kept == await storage.file("alice", kept.id)


@pytest.mark.gen_test
async def test_a_question_and_the_sweep_of_its_files_never_both_succeed(
    place: Place, storage: Storage
) -> None:
    for _ in range(20):
        new = conversation()
        file = stored_file(new)
        await storage.store_file(file)
        question, answer = exchange(new, owner=storage.process)

        asked, *_ = await asyncio.gather(
            storage.ask(with_files(question, file), answer, title="t", new=new),
            storage.purge_unasked_files(now() + timedelta(hours=1)),
            storage.discard_files("alice", [file.id]),
            return_exceptions=True,
        )

        if asked is None:
            assert file == await storage.file("alice", file.id)
        else:
            assert isinstance(asked, StorageError)
            with pytest.raises(NotFound):
                await storage.conversation("alice", new.id)


@pytest.mark.gen_test
async def test_files_of_a_dead_process_are_purged_by_the_next(place: Place) -> None:
    dying = await place.open(lease_seconds=0.01)
    await dying.store_file(stored_file(conversation(), CONTENT))
    await dying.close()

    storage = await place.open()
    while await storage.purge_unasked_files(now() + timedelta(hours=1)):
        pass

    assert 0 == files_in(place)


@pytest.mark.gen_test
async def test_an_sqlite_file_without_the_table_is_served_and_takes_files_once_it_is_migrated(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/headrace.db"
    leave_first_stage(url)
    storage = SQLiteStorage(tmp_path / "headrace.db", "p")
    await storage.open()
    file = stored_file(conversation())
    with pytest.raises(StorageError, match=r"server\.py migrate"):
        await storage.store_file(file)
    with pytest.raises(NotFound):
        await storage.file("alice", file.id)
    await storage.discard_files("alice", [file.id])
    assert not await storage.purge_unasked_files(now())
    answer = await begun(storage)
    await storage.end_answer(answer.id, storage.process, ending())
    await storage.delete_conversation("alice", answer.conversation_id)
    await clear(storage)
    await storage.close()

    await migrate(url)

    storage = SQLiteStorage(tmp_path / "headrace.db", "p")
    await storage.open()
    await storage.store_file(file)
    of = conversation()
    await storage.create_conversation(of)
    await ask(storage, of)
    await storage.close()


@pytest.mark.gen_test
async def test_a_file_that_mongodb_cannot_hold_is_too_large(mongo: Place) -> None:
    storage = await mongo.open()
    with pytest.raises(StorageError) as refused:
        await storage.store_file(stored_file(conversation(), bytes(17_000_000)))
    assert "too_large" == refused.value.reason
