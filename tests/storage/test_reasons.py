"""Why a store failed, in a word, and whether that is permanent."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from model.messages import Message
from storage.errors import NotFound, Reason, StorageError, TooLarge
from storage.mongo import error_hints
from storage.sqlite import error_hints as sqlite_reasons
from storage.sqlite.store import SQLiteStorage
from tests.storage.conftest import Place
from tests.storage.samples import begun, conversation, exchange
from tests.storage.sqlite_files import damage_table


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_question_that_no_document_holds_is_too_large_and_not_kept(mongo: Place) -> None:
    storage = await mongo.open()
    new = conversation()
    question, answer = exchange(new, owner=storage.process, text="x" * 17_000_000)

    with pytest.raises(TooLarge) as failed:
        await storage.ask(question, answer, title="t", new=new)

    assert failed.value.reason.lasts
    with pytest.raises(NotFound):
        await storage.conversation("alice", new.id)


@pytest.mark.gen_test
async def test_what_sqlite_cannot_hold_is_too_large_and_fails_nothing_beside_it(
    tmp_path: Path,
) -> None:
    storage = SQLiteStorage(tmp_path / "headrace.db", "p")
    await storage.open()
    storage._file._connections[0].setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
    new = conversation()
    question, answer = exchange(new, owner="p", text="x" * 200_000)
    with closing(sqlite3.connect(storage.path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")  # so that they wait for it together
        asking = storage.ask(question, answer, title="t", new=new)
        commands = [asyncio.create_task(each) for each in (begun(storage), asking, begun(storage))]
        await asyncio.sleep(0)
        shell.execute("ROLLBACK")
    outcomes = await asyncio.gather(*commands, return_exceptions=True)

    assert [Message, TooLarge, Message] == [type(each) for each in outcomes]
    with pytest.raises(NotFound):
        await storage.conversation("alice", new.id)
    await storage.close()


@pytest.mark.gen_test
async def test_a_file_that_is_no_database_lasts(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be looked at " * 100)

    with pytest.raises(StorageError) as failed:
        await SQLiteStorage(file, "p").open()

    assert (Reason.CORRUPT, True) == (failed.value.reason, failed.value.reason.lasts)


@pytest.mark.gen_test
async def test_damaged_pages_are_told_as_corrupt(tmp_path: Path) -> None:
    file = tmp_path / "headrace.db"
    storage = SQLiteStorage(file, "p")
    await storage.open()
    answer = await begun(storage)
    await storage.close()
    damage_table(file, "messages")
    storage = SQLiteStorage(file, "p")
    await storage.open()

    with pytest.raises(StorageError) as failed:
        await storage.message("alice", answer.id)

    assert Reason.CORRUPT is failed.value.reason
    for _ in range(2):  # and whoever asks whether it is ready is told so from then on
        with pytest.raises(StorageError) as told:
            await storage.ping()
        assert Reason.CORRUPT is told.value.reason
    await storage.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("SQLITE_BUSY_SNAPSHOT", Reason.LOCKED),
        ("SQLITE_FULL", Reason.FULL),
        ("SQLITE_IOERR_FSYNC", Reason.IO),
        ("SQLITE_READONLY_DBMOVED", Reason.REPLACED),
        ("SQLITE_READONLY_DIRECTORY", Reason.READ_ONLY),
        ("SQLITE_TOOBIG", Reason.TOO_LARGE),
        ("SQLITE_CANTOPEN_ISDIR", Reason.UNREACHABLE),
        ("SQLITE_MISUSE", Reason.FAILED),
        ("ProgrammingError", Reason.FAILED),
    ],
)
def test_sqlites_names_have_their_reasons(name: str, why: Reason) -> None:
    assert why is sqlite_reasons.reason(name)


def test_the_names_are_those_that_sqlite_has() -> None:
    known = {name for name in vars(sqlite3) if name.startswith("SQLITE_")}
    assert {name for name in sqlite_reasons._REASONS if name.startswith("SQLITE_")} <= known


@pytest.mark.parametrize(
    ("classes", "code", "why"),
    [
        ("WriteError OperationFailure PyMongoError", 10334, Reason.TOO_LARGE),
        ("OperationFailure PyMongoError", 14031, Reason.FULL),
        ("NotPrimaryError AutoReconnect ConnectionFailure", None, Reason.NOT_PRIMARY),
        ("ServerSelectionTimeoutError AutoReconnect ConnectionFailure", None, Reason.UNREACHABLE),
        ("NetworkTimeout AutoReconnect ConnectionFailure", None, Reason.TIMEOUT),
        ("AutoReconnect ConnectionFailure PyMongoError", None, Reason.UNREACHABLE),
        ("OperationFailure PyMongoError", 18, Reason.DENIED),
        ("OperationFailure PyMongoError", 1, Reason.FAILED),
    ],
)
def test_mongodbs_errors_have_their_reasons(classes: str, code: int | None, why: Reason) -> None:
    kinds = [type(name, (), {}) for name in classes.split()]
    assert why is error_hints.reason(kinds, code, timed_out=False)


def test_a_name_without_servers_is_told_so() -> None:
    assert "DNS has no servers for its name" in error_hints.words("ConfigurationError", None)
