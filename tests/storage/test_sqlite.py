"""What only the embedded store promises: a file, its lock, and what survives a `kill -9`."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from model.blocks import TextBlock
from model.messages import Status, Timing, now
from storage.errors import NotFound, StorageError
from storage.pages import PAGE_CHARS
from storage.sqlite.store import SQLiteStorage
from storage.sqlite.tables import MIGRATIONS
from storage.values import KEY_SECONDS
from tests.storage.samples import (
    TEXT,
    ask,
    begun,
    clear,
    conversation,
    ending,
    exchange,
    key,
    text_chunks,
)

# Runs in a process of its own until it is killed: two answers, one of which ended.
_VICTIM = """
import asyncio, sys, time
from pathlib import Path
from model.blocks import TextBlock
from storage.sqlite.store import SQLiteStorage
from tests.storage.samples import TEXT, begun, ending, text_chunks

async def main():
    storage = SQLiteStorage(Path(sys.argv[1]), "victim")
    await storage.open()
    ended, live = await begun(storage), await begun(storage)
    await storage.append_chunks(text_chunks(live.id, "Hel", "lo"))
    await storage.end_answer(ended.id, "victim", ending(TextBlock("whole")))
    print(ended.id, live.id, flush=True)
    time.sleep(60)

asyncio.run(main())
"""


# The same, with many questions at a time, each of which is told as soon as it is acknowledged.
_BUSY_VICTIM = """
import asyncio, sys
from pathlib import Path
from storage.sqlite.store import SQLiteStorage
from tests.storage.samples import begun

async def main():
    storage = SQLiteStorage(Path(sys.argv[1]), "victim")
    await storage.open()

    async def ask():
        while True:
            print((await begun(storage)).id, flush=True)

    await asyncio.gather(*(ask() for _ in range(32)))

asyncio.run(main())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "headrace.db"


async def migrated(file: Path) -> SQLiteStorage:
    """The store at a file that an older version made, brought to this one and open."""
    assert await SQLiteStorage(file, "migration").migrate(lambda _: None)
    storage = SQLiteStorage(file, "p")
    await storage.open()
    return storage


@pytest.mark.gen_test
async def test_what_was_acknowledged_survives_kill_9(file: Path) -> None:
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _VICTIM, str(file), stdout=subprocess.PIPE
    )
    assert victim.stdout is not None
    ended, live = (await victim.stdout.readline()).decode().split()
    victim.send_signal(signal.SIGKILL)
    await victim.wait()

    storage = SQLiteStorage(file, "next")
    await storage.open()

    assert (await storage.message("alice", ended)).status is Status.COMPLETE
    [orphan] = await storage.orphans()
    assert (orphan.id, orphan.owner) == (live, "victim")
    assert orphan.blocks == (TextBlock("Hello"),)
    interrupted = ending(*orphan.blocks, status=Status.INTERRUPTED)
    assert await storage.end_answer(live, "victim", interrupted)
    assert [] == await storage.orphans()
    await storage.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_was_acknowledged_of_many_at_a_time_survives_kill_9(file: Path) -> None:
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _BUSY_VICTIM, str(file), stdout=subprocess.PIPE
    )
    assert victim.stdout is not None
    told = [await victim.stdout.readline() for _ in range(200)]
    victim.send_signal(signal.SIGKILL)
    told += (await victim.stdout.read()).splitlines(keepends=True)
    await victim.wait()

    storage = SQLiteStorage(file, "next")
    await storage.open()
    for line in told:
        if line.endswith(b"\n"):  # the last may have been cut
            assert (await storage.message("alice", line.decode().strip())).status is Status.LIVE
    await storage.close()


@pytest.mark.gen_test
async def test_what_a_dead_process_left_is_read_a_page_at_a_time(file: Path) -> None:
    dead = SQLiteStorage(file, "dead")
    await dead.open()
    left = {(await begun(dead)).id for _ in range(3)}
    for answer_id in left:
        await dead.append_chunks(text_chunks(answer_id, "x" * (PAGE_CHARS // 2 + 1)))
    await dead.close()
    storage = SQLiteStorage(file, "next")
    await storage.open()
    ended: set[str] = set()
    while orphans := await storage.orphans():
        assert 1 == len(orphans)
        interrupted = ending(*orphans[0].blocks, status=Status.INTERRUPTED)
        assert await storage.end_answer(orphans[0].id, "dead", interrupted)
        ended.add(orphans[0].id)

    assert left == ended
    await storage.close()


@pytest.mark.gen_test
async def test_a_second_process_is_refused_in_words_for_the_operator(file: Path) -> None:
    first, second = SQLiteStorage(file, "first"), SQLiteStorage(file, "second")
    await first.open()
    with pytest.raises(StorageError, match=rf"{file} is in use .* \(process {os.getpid()}\)"):
        await second.open()
    await first.close()

    third = SQLiteStorage(file, "third")
    await third.open()
    await third.close()


@pytest.mark.gen_test
async def test_two_names_of_one_file_have_one_lock(file: Path, tmp_path: Path) -> None:
    first = SQLiteStorage(file, "first")
    await first.open()
    (tmp_path / "link.db").symlink_to(file)
    with pytest.raises(StorageError, match="in use"):
        await SQLiteStorage(tmp_path / "link.db", "second").open()
    await first.close()


@pytest.mark.gen_test
async def test_the_file_is_for_its_owner_alone(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    await begun(storage)
    assert {0} == {path.stat().st_mode & 0o077 for path in file.parent.iterdir()}
    await storage.close()


@pytest.mark.gen_test
async def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    text, foreign = tmp_path / "notes.txt", tmp_path / "other.db"
    text.write_text("not a database, but long enough to be looked at " * 100)
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    for path, words in ((text, "SQLITE_NOTADB"), (foreign, "another program's tables")):
        before = path.read_bytes()
        with pytest.raises(StorageError, match=words):
            await SQLiteStorage(path, "p").open()
        assert path.read_bytes() == before


@pytest.mark.gen_test
async def test_a_newer_versions_file_is_refused(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    await storage.close()
    with sqlite3.connect(file) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StorageError, match="newer version of Headrace"):
        await SQLiteStorage(file, "p").open()


@pytest.mark.gen_test
async def test_a_file_of_the_first_version_is_brought_to_this_one(file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as first:
        first.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        first.execute(
            "INSERT INTO conversations VALUES ('c', 'alice', 'Kept', NULL, NULL, '{}', 0, 0)"
        )
    first.close()
    storage = await migrated(file)
    assert "Kept" == (await storage.conversation("alice", "c")).title
    question, answer = exchange(conversation(id="c"), owner="p")
    await storage.ask(question, answer, title="t", new=None, key=key(answer))
    assert await storage.idempotency_key("alice", key(answer).id) == key(answer)
    await storage.close()


@pytest.mark.gen_test
async def test_a_conversation_from_before_there_were_branches_is_one_branch(file: Path) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as before:
        before.executescript(f"{MIGRATIONS[0]} {MIGRATIONS[1]} PRAGMA user_version = 2;")
        for of in ("c", "d"):
            before.execute(
                "INSERT INTO conversations VALUES (?, 'alice', 't', NULL, NULL, '{}', 0, 0)", (of,)
            )
            before.executemany(
                """INSERT INTO messages VALUES
                (?, ?, 'alice', ?, ?, ?, '[]', NULL, 'complete', NULL, NULL, NULL, NULL, 0, 0)""",
                [
                    (f"{of}-q1", of, "user", 0, None),
                    (f"{of}-a1", of, "assistant", 1, f"{of}-q1"),
                    (f"{of}-q2", of, "user", 2, None),
                    (f"{of}-a2", of, "assistant", 3, f"{of}-q2"),
                ],
            )
    before.close()
    storage = await migrated(file)
    for of in ("c", "d"):
        branch = await storage.branch("alice", of, limit=9, last=None)
        assert branch == await storage.messages("alice", of, limit=9, before=None)
        expected = [None, f"{of}-q1", f"{of}-a1", f"{of}-q2"]
        assert [message.parent_id for message in branch.data] == expected
    await storage.close()


@pytest.mark.gen_test
async def test_answers_from_before_they_were_timed_have_no_times_and_new_ones_have(
    file: Path,
) -> None:
    file.parent.mkdir()
    with sqlite3.connect(file) as before:
        before.executescript(f"{''.join(MIGRATIONS[:5])} PRAGMA user_version = 5;")
        before.execute(
            "INSERT INTO conversations VALUES ('c', 'alice', 't', NULL, NULL, '{}', 0, 0)"
        )
        before.execute(
            """INSERT INTO messages VALUES ('c-a', 'c', 'alice', 'assistant', 0, NULL,
            '[]', NULL, 'complete', NULL, NULL, NULL, NULL, 0, 0)"""
        )
    before.close()
    storage = await migrated(file)
    assert (await storage.message("alice", "c-a")).timing is None
    answer = await ask(storage, conversation(id="c"), parent_id="c-a")
    timed = ending(timing=Timing(first_token_ms=1, reasoning_ms=2, total_ms=3))
    assert await storage.end_answer(answer.id, "p", timed)
    assert (await storage.message("alice", answer.id)).timing == timed.timing
    await storage.close()


@pytest.mark.gen_test
async def test_a_key_stands_for_a_day_and_goes_when_another_is_kept(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    moment, day = timedelta(minutes=1), timedelta(seconds=KEY_SECONDS)

    async def ask(name: str, age: timedelta) -> str:
        new = conversation()
        question, answer = exchange(new, owner="p")
        kept = key(answer, name, created_at=now() - age)
        await storage.ask(question, answer, title="t", new=new, key=kept)
        return kept.id

    expired = await ask("old", day + moment)
    assert await storage.idempotency_key("alice", expired) is None
    expiring = await ask("younger", day - moment)
    assert await storage.idempotency_key("alice", expiring) is not None
    again = await ask("old", timedelta())  # not taken any more
    await storage.close()

    with sqlite3.connect(file) as shell:
        kept = shell.execute("SELECT id FROM idempotency_keys").fetchall()
        assert {row[0] for row in kept} == {expiring, again}
    shell.close()


@pytest.mark.gen_test
async def test_of_a_branch_sqlite_holds_what_is_read_and_not_what_it_sorts(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    of, parent_id = conversation(), None
    await storage.create_conversation(of)
    for _ in range(10):
        parent_id = (await ask(storage, of, parent_id=parent_id)).id
        await storage.end_answer(parent_id, "p", ending(TextBlock("x" * 100_000)))
    read: list[str] = []
    for database in storage._file._connections[1:]:
        database.set_trace_callback(read.append)

    page = await storage.branch("alice", of.id, limit=20, last=None, max_chars=250_000)

    assert 4 == len(page.data)
    whole = [query for query in read if query.startswith("SELECT * FROM messages")]
    assert 5 == len(whole)  # and one for which there was no room
    await storage.close()


@pytest.mark.gen_test
async def test_a_place_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=str(tmp_path)):
        await SQLiteStorage(tmp_path / "file" / "headrace.db", "p").open()


@pytest.mark.gen_test
async def test_another_programs_transaction_is_waited_for(file: Path, io_loop: IOLoop) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    answer = await begun(storage)
    shell = sqlite3.connect(file, isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")

    pinged = asyncio.create_task(storage.ping())  # it cannot be written to just now
    ended = asyncio.create_task(storage.end_answer(answer.id, "p", ending(TextBlock("x"))))
    done, _ = await asyncio.wait([pinged, ended], timeout=0.1)
    assert not done  # and the loop went on meanwhile
    shell.execute("COMMIT")
    shell.close()

    await pinged
    assert await ended
    await storage.close()


@pytest.mark.gen_test
async def test_an_ending_clears_its_chunks_and_late_ones_do_not_stay(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    answer, deleted = await begun(storage), await begun(storage)
    chunks = text_chunks(answer.id, "a", "b") + text_chunks(deleted.id, "c", "d")
    await storage.append_chunks([chunks[0], chunks[2]])
    await storage.end_answer(answer.id, "p", ending(TextBlock("ab")))
    await storage.delete_conversation("alice", deleted.conversation_id)
    await storage.append_chunks(chunks)
    await clear(storage)
    await storage.close()

    with sqlite3.connect(file) as shell:
        assert (0,) == shell.execute("SELECT count(*) FROM chunks").fetchone()
    shell.close()


@pytest.mark.gen_test
async def test_errors_name_the_file_and_quote_nobody(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    shell = sqlite3.connect(file)
    shell.execute("DROP TABLE messages")
    shell.close()
    new = conversation(title=TEXT)
    question, answer = exchange(new, owner="p", text=TEXT)

    with pytest.raises(StorageError, match=str(file)) as failed:
        await storage.ask(question, answer, title=TEXT, new=new)

    assert TEXT[:4] not in "".join(traceback.format_exception(failed.value))
    with pytest.raises(NotFound):  # nothing was half done
        await storage.conversation("alice", new.id)
    await storage.close()


@pytest.mark.gen_test
async def test_a_file_that_cannot_grow_is_told_by_a_ping_until_it_can(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    await storage.create_conversation(conversation())
    size = file.with_name(f"{file.name}-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # of this process's files, as yet
    try:
        with pytest.raises(StorageError):
            await storage.create_conversation(conversation())
        for _ in range(2):
            with pytest.raises(StorageError):
                await storage.ping()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await storage.ping()
    await storage.create_conversation(conversation())
    await storage.close()


@pytest.mark.gen_test
async def test_closing_waits_for_what_was_begun(file: Path) -> None:
    storage = SQLiteStorage(file, "p")
    await storage.open()
    asking = asyncio.create_task(begun(storage))
    await asyncio.sleep(0)
    await storage.close()
    answer = await asking

    storage = SQLiteStorage(file, "p")
    await storage.open()
    assert (await storage.message("alice", answer.id)).status is Status.LIVE
    await storage.close()
