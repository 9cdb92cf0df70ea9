"""Commands that SQLite commits together: what one of them meets, and what becomes of the others."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from model.blocks import TextBlock
from model.messages import Message, Status
from storage.errors import Busy, NotFound, Reason, StorageError
from storage.sqlite.store import SQLiteStorage
from tests.storage.samples import begun, conversation, ending, exchange, key
from tests.storage.writing import Halt, Shell, asked, queued, statements

_ROOT = Path(__file__).parents[2]

# Runs in a process of its own: a question that is acknowledged, and a group of twenty within which,
# or right behind whose commit, the process is killed.
_VICTIM = """
import asyncio, os, signal, sys
from pathlib import Path
from storage.sqlite import writer
from storage.sqlite.store import SQLiteStorage
from tests.storage.samples import begun
from tests.storage.writing import Shell, asked, queued

writer._GROUP_SECONDS = 60  # a busy machine makes no two groups of one

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main(file, when):
    storage = SQLiteStorage(file, "victim")
    await storage.open()
    print((await begun(storage)).id, flush=True)
    shell = Shell(file)
    shell.hold()
    commands = [asked(storage) for _ in range(10)]
    if when == "before the commit":
        commands.append(asyncio.create_task(storage._writer.run("request", die)))
    else:
        storage._writer._commands.resolve = lambda outcomes: outcomes and die()
    commands += [asked(storage) for _ in range(10)]
    for command in commands:
        command.add_done_callback(lambda each: print(each.result().id, flush=True))
    await queued(*commands)
    shell.let_go()
    await asyncio.wait(commands)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""

# Questions and an ending that share a transaction for which the disk has no room, and what is
# stored before and after that.
_DISK = """
import asyncio, subprocess, sys
from pathlib import Path
from model.blocks import TextBlock
from storage.errors import NotFound, StorageError
from storage.sqlite.store import SQLiteStorage
from tests.storage.samples import begun, ending
from tests.storage.writing import Shell, asked, queued

async def main(folder):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=True)
    storage = SQLiteStorage(folder / "headrace.db", "p")
    await storage.open()
    first = await begun(storage)
    filling = folder / "filling"
    with filling.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    shell = Shell(storage.path)
    shell.hold()
    commands = [asked(storage) for _ in range(30)]
    whole = ending(TextBlock("whole"))
    commands.append(asyncio.create_task(storage.end_answer(first.id, "p", whole)))
    await queued(*commands)
    shell.let_go()
    outcomes = await asyncio.gather(*commands, return_exceptions=True)
    print(len(outcomes), {each.reason.value for each in outcomes})
    kept = await storage.conversations("alice", limit=99, after=None)
    print(len(kept.data), (await storage.message("alice", first.id)).status.value)
    filling.unlink()
    await asyncio.gather(*(asked(storage) for _ in range(30)))
    print(await storage.end_answer(first.id, "p", whole))
    kept = await storage.conversations("alice", limit=99, after=None)
    print(len(kept.data), (await storage.message("alice", first.id)).status.value)
    await storage.close()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a group wait for all that comes, on a busy machine too."""
    monkeypatch.setattr("storage.sqlite.writer._GROUP_SECONDS", 60)


@pytest.fixture
def storage(tmp_path: Path, io_loop: IOLoop) -> Iterator[SQLiteStorage]:
    """An open, empty store."""
    storage = SQLiteStorage(tmp_path / "headrace.db", "p")
    io_loop.run_sync(storage.open)
    yield storage
    io_loop.run_sync(storage.close)


@pytest.fixture
def shell(storage: SQLiteStorage) -> Iterator[Shell]:
    """Another program on the same file."""
    shell = Shell(storage.path)
    yield shell
    shell.database.close()


async def conversations_in(storage: SQLiteStorage) -> set[str]:
    """The ids of all conversations."""
    page = await storage.conversations("alice", limit=99, after=None)
    return {each.id for each in page.data}


def selected(said: list[str]) -> list[str]:
    """The first words of statements, without those of transactions and savepoints."""
    first = [statement.split()[0] for statement in said]
    return [word for word in first if word in ("SELECT", "INSERT", "UPDATE", "DELETE")]


@pytest.mark.gen_test
async def test_what_a_refused_question_has_written_is_rolled_back_and_nothing_else(
    storage: SQLiteStorage, shell: Shell
) -> None:
    busy = await begun(storage)
    shell.hold()
    before = asked(storage, key_name="first")
    refused = asked(storage, busy.conversation_id, key_name="second")  # its key was written by then
    behind = asked(storage, key_name="second")  # so that here it is free
    taken = asked(storage, key_name="second")
    await queued(before, refused, behind, taken)
    shell.let_go()
    outcomes = await asyncio.gather(before, refused, behind, taken, return_exceptions=True)

    assert [Message, Busy, Message] == [type(each) for each in outcomes[:3]]
    assert "KeyTaken" == type(outcomes[3]).__name__
    for name, task in (("first", before), ("second", behind)):
        its_key = key(task.result(), name)
        assert its_key == await storage.idempotency_key("alice", its_key.id)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_bug_in_one_command_fails_no_other(storage: SQLiteStorage, shell: Shell) -> None:
    def fail() -> None:
        storage._file._connections[0].execute("DELETE FROM messages")
        raise ZeroDivisionError

    kept = await begun(storage)
    assert storage._writer is not None
    shell.hold()
    failing = asyncio.create_task(storage._writer.run("request", fail))
    commands = [asked(storage), failing, asked(storage)]
    await queued(*commands)
    shell.let_go()
    outcomes = await asyncio.gather(*commands, return_exceptions=True)

    assert [Message, ZeroDivisionError, Message] == [type(each) for each in outcomes]
    assert (await storage.message("alice", kept.id)).status is Status.LIVE


@pytest.mark.gen_test
async def test_nothing_is_acknowledged_or_seen_before_the_commit(
    storage: SQLiteStorage, shell: Shell
) -> None:
    shell.hold()
    commands = [asked(storage) for _ in range(5)]
    await queued(*commands)
    halt = Halt(storage)
    await queued(halt.done)
    shell.let_go()
    await halt.reached()

    assert not any(command.done() for command in commands)
    assert set() == await conversations_in(storage)
    halt.go_on()
    kept = {answer.conversation_id for answer in await asyncio.gather(*commands)}
    assert kept == await conversations_in(storage)
    await halt.done


@pytest.mark.gen_test
async def test_who_leaves_in_the_middle_of_a_transaction_takes_nobody_along(
    storage: SQLiteStorage, shell: Shell
) -> None:
    shell.hold()
    new = conversation()
    question, answer = exchange(new, owner="p")
    carried_out = asyncio.create_task(storage.ask(question, answer, title="t", new=new))
    before = asked(storage)
    await queued(before, carried_out)
    halt = Halt(storage)
    await queued(halt.done)
    behind, waiting = asked(storage), asked(storage)
    await queued(behind, waiting)
    shell.let_go()
    await halt.reached()
    for each in (carried_out, waiting):
        each.cancel()
    await asyncio.wait([carried_out, waiting])
    halt.go_on()
    kept = {each.conversation_id for each in await asyncio.gather(before, behind)}

    assert kept | {new.id} == await conversations_in(storage)  # and nothing of who was waiting
    assert await storage.live_answer("alice", new.id) == answer.id
    await storage.ask(question, answer, title="t", new=new)  # asking again changes nothing
    assert 2 == len((await storage.messages("alice", new.id, limit=9, before=None)).data)
    await halt.done


@pytest.mark.gen_test
async def test_an_error_at_the_commit_fails_all_of_its_commands(
    storage: SQLiteStorage, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise StorageError("the file was replaced", reason=Reason.REPLACED)

    assert storage._writer is not None
    live = await begun(storage)
    monkeypatch.setattr(storage._writer, "_check", refuse)
    shell.hold()
    commands = [asked(storage) for _ in range(5)]
    ended = asyncio.create_task(storage.end_answer(live.id, "p", ending(TextBlock("x"))))
    await queued(*commands, ended)
    shell.let_go()
    outcomes = await asyncio.gather(*commands, ended, return_exceptions=True)

    assert [Reason.REPLACED] * 6 == [
        each.reason for each in outcomes if isinstance(each, StorageError)
    ]
    assert {live.conversation_id} == await conversations_in(storage)
    assert await storage.live_answer("alice", live.conversation_id) == live.id


@pytest.mark.slow
def test_a_disk_without_room_fails_a_whole_group_and_keeps_what_was_acknowledged(
    needs: Callable[[str], str], tmp_path: Path
) -> None:
    unshare = (needs("unshare"), "--user", "--map-root-user", "--mount")

    ran = subprocess.run(
        [*unshare, sys.executable, "-c", _DISK, str(tmp_path)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "" == ran.stderr
    assert ["31 {'full'}", "1 live", "True", "31 complete"] == ran.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(("when", "kept"), [("before the commit", 1), ("behind the commit", 21)])
@pytest.mark.gen_test
async def test_a_process_killed_in_mid_group_loses_nothing_that_was_acknowledged(
    tmp_path: Path, when: str, kept: int
) -> None:
    file = tmp_path / "headrace.db"
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _VICTIM, str(file), when), cwd=_ROOT, stdout=subprocess.PIPE
    )
    told, _ = await victim.communicate()
    storage = SQLiteStorage(file, "next")
    await storage.open()

    assert -signal.SIGKILL == victim.returncode
    [acknowledged] = told.decode().split()  # and nobody of the group
    orphans = {orphan.id for orphan in await storage.orphans()}
    assert acknowledged in orphans
    assert kept == len(orphans)  # all of the group or nothing of it
    await storage.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_transaction_takes_no_more_than_some_megabytes(
    storage: SQLiteStorage, shell: Shell
) -> None:
    live = [await begun(storage) for _ in range(3)]
    said = statements(storage)
    shell.hold()
    commands: list[asyncio.Task[object]] = [
        *(asked(storage, text="x" * 1_500_000) for _ in range(6)),
        *(
            asyncio.create_task(
                storage.end_answer(each.id, "p", ending(TextBlock("y" * 1_500_000)))
            )
            for each in live
        ),
        *(asked(storage) for _ in range(9)),
    ]
    await queued(*commands)
    shell.let_go()
    await asyncio.gather(*commands)

    assert 4 == said.count("COMMIT")  # of nine long ones, by threes, and of the short ones


@pytest.mark.gen_test
async def test_a_question_takes_few_statements(storage: SQLiteStorage) -> None:
    said = statements(storage)
    first = await asked(storage)
    of_the_first = selected(said)
    await storage.end_answer(first.id, "p", ending(TextBlock("yes")))
    said.clear()
    await asked(storage, first.conversation_id)
    of_the_next = selected(said)
    said.clear()
    with pytest.raises(NotFound):
        await asked(storage, "nowhere")

    assert ["INSERT", "INSERT", "INSERT"] == of_the_first
    assert ["SELECT", "INSERT", "INSERT", "UPDATE"] == of_the_next
    assert ["SELECT"] == selected(said)


@pytest.mark.gen_test
async def test_a_savepoint_makes_no_file(storage: SQLiteStorage) -> None:
    (place,) = storage._file._connections[0].execute("PRAGMA temp_store").fetchone()

    assert 2 == place  # in memory
