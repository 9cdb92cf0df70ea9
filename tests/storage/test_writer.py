"""SQLite under contention: waiting commands are committed together, while readers go on."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from model.blocks import TextBlock
from model.messages import Message, Status
from storage.errors import Busy, NotFound, Reason, StorageError
from storage.sqlite import writer
from storage.sqlite.command_queues import CommandQueues, Outcome
from storage.sqlite.store import SQLiteStorage
from tests.storage.samples import begun, ending, text_chunks
from tests.storage.writing import Shell, asked, queued, statements


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the writer of the store that is opened next a short timeout."""
    monkeypatch.setattr("storage.sqlite.writer.QUEUE_TIMEOUT_SECONDS", 0.3)


@pytest.mark.gen_test
async def test_what_waits_is_one_transaction_and_what_is_refused_fails_no_other(
    storage: SQLiteStorage, shell: Shell
) -> None:
    busy = await begun(storage)
    said = statements(storage)
    shell.hold()
    commands = [asked(storage), asked(storage, busy.conversation_id), asked(storage)]
    commands += [asked(storage, "nowhere"), asked(storage)]
    await queued(*commands)
    shell.let_go()
    outcomes = await asyncio.gather(*commands, return_exceptions=True)

    kept = [outcome for outcome in outcomes if isinstance(outcome, Message)]
    assert [Message, Busy, Message, NotFound, Message] == [type(each) for each in outcomes]
    for answer in kept:
        assert (await storage.message("alice", answer.id)).status is Status.LIVE
    assert 1 == said.count("COMMIT")


@pytest.mark.gen_test
async def test_a_full_disk_takes_all_that_was_kept_together_and_each_is_told(
    storage: SQLiteStorage, shell: Shell
) -> None:
    writing = storage._file._connections[0]
    (pages,) = writing.execute("PRAGMA page_count").fetchone()
    writing.execute(f"PRAGMA max_page_count = {pages + 1}")
    shell.hold()
    commands = [asked(storage) for _ in range(40)]
    await queued(*commands)
    shell.let_go()
    outcomes = await asyncio.gather(*commands, return_exceptions=True)

    refused = [each for each in outcomes if isinstance(each, StorageError)]
    kept = {each.conversation_id for each in outcomes if isinstance(each, Message)}
    listed = (await storage.conversations("alice", limit=99, after=None)).data
    assert {Reason.FULL} == {each.reason for each in refused}
    assert 1 < len(refused)  # and not the one alone for which there was no room
    assert kept == {each.id for each in listed}  # of those after it some had room
    assert len(commands) == len(refused) + len(kept)
    writing.execute(f"PRAGMA max_page_count = {pages + 1000}")
    await begun(storage)


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.gen_test
async def test_all_who_wait_for_another_program_are_told_together(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "headrace.db", "p")
    await storage.open()
    answer = await begun(storage)
    shell = Shell(storage.path)
    shell.hold()
    commands = [asked(storage) for _ in range(100)]
    async with asyncio.timeout(10):  # one after another they would take half a minute
        outcomes = await asyncio.gather(*commands, return_exceptions=True)
        with pytest.raises(StorageError) as failed:
            await storage.end_answer(answer.id, "p", ending(TextBlock("x")))

    assert {Reason.LOCKED} == {each.reason for each in outcomes if isinstance(each, StorageError)}
    assert len(commands) == sum(isinstance(each, StorageError) for each in outcomes)
    assert (Reason.LOCKED, False) == (failed.value.reason, failed.value.reason.lasts)
    shell.let_go()
    assert await storage.end_answer(answer.id, "p", ending(TextBlock("x")))
    await storage.close()
    shell.database.close()


@pytest.mark.gen_test
async def test_a_ping_says_soon_that_another_program_writes(
    storage: SQLiteStorage, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.lifecycle._PING_SECONDS", 0.1)
    shell.hold()
    with pytest.raises(StorageError) as failed:
        await storage.ping()
    assert Reason.LOCKED is failed.value.reason
    shell.let_go()
    await storage.ping()


@pytest.mark.gen_test
async def test_who_reads_waits_for_no_writer(storage: SQLiteStorage, shell: Shell) -> None:
    answer = await begun(storage)
    await storage.append_chunks(text_chunks(answer.id, "Hel", "lo"))
    shell.hold()
    asking = asked(storage)
    await queued(asking)
    of = answer.conversation_id

    assert (await storage.message("alice", answer.id)).blocks == (TextBlock("Hello"),)
    assert 2 == len((await storage.messages("alice", of, limit=9, before=None)).data)
    assert 2 == len((await storage.branch("alice", of, limit=9, last=None)).data)
    assert 1 == len((await storage.conversations("alice", limit=9, after=None)).data)
    assert answer.id == await storage.live_answer("alice", of)
    assert [] == await storage.api_keys(["nobody's"])
    assert not asking.done()
    shell.let_go()
    await asking


@pytest.mark.gen_test
async def test_nothing_is_kept_for_who_has_left(storage: SQLiteStorage, shell: Shell) -> None:
    shell.hold()
    leaving, staying = [asked(storage) for _ in range(20)], asked(storage)
    await queued(*leaving)
    for each in leaving:
        each.cancel()
    await asyncio.wait(leaving)
    shell.let_go()
    answer = await staying

    [kept] = (await storage.conversations("alice", limit=9, after=None)).data
    assert answer.conversation_id == kept.id


@pytest.mark.gen_test
async def test_endings_and_checkpoints_do_not_wait_behind_a_rush_of_questions(
    storage: SQLiteStorage, shell: Shell
) -> None:
    answers = [await begun(storage) for _ in range(2)]
    shell.hold()
    rush = [asked(storage) for _ in range(500)]
    chunks = asyncio.create_task(storage.append_chunks(text_chunks(answers[0].id, "x")))
    ended = asyncio.create_task(storage.end_answer(answers[1].id, "p", ending()))
    await queued(*rush, chunks, ended)
    order: list[object] = []
    for each in (*rush, chunks, ended):
        each.add_done_callback(order.append)
    shell.let_go()
    await asyncio.gather(*rush, chunks, ended)

    assert 100 > max(order.index(chunks), order.index(ended))


@pytest.mark.gen_test
async def test_more_than_may_wait_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(writer._QUEUES, "request", 3)
    storage = SQLiteStorage(tmp_path / "headrace.db", "p")
    await storage.open()
    shell = Shell(storage.path)
    shell.hold()
    commands = [asked(storage) for _ in range(5)]
    done, waiting = await asyncio.wait(commands, return_when=asyncio.FIRST_COMPLETED)
    refusals = [each.exception() for each in done]
    shell.let_go()
    await asyncio.gather(*waiting)

    assert [Reason.OVERLOADED] * 2 == [each.reason for each in refusals]  # type: ignore[union-attr]
    await storage.close()
    shell.database.close()


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.gen_test
async def test_closing_ends_although_another_program_writes(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "headrace.db", "p")
    await storage.open()
    shell = Shell(storage.path)
    shell.hold()
    asking = asked(storage)
    await queued(asking)

    await storage.close()

    with pytest.raises(StorageError):
        await asking
    shell.let_go()
    shell.database.close()
    with pytest.raises(StorageError):
        await begun(storage)


@pytest.mark.gen_test
async def test_the_event_loop_is_woken_once_for_what_threads_did_until_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queues = CommandQueues({"request": 9}, queue_timeout=5.0)
    commands = [asyncio.create_task(queues.run("request", list)) for _ in range(3)]
    await queued(*commands)
    woken: list[object] = []
    wake = asyncio.get_running_loop().call_soon_threadsafe

    def count(react: Callable[[], None]) -> object:
        woken.append(react)
        return wake(react)

    monkeypatch.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", count)
    for number in range(3):
        command = queues.next()
        assert command is not None
        queues.resolve([Outcome(command, number)])

    assert [0, 1, 2] == await asyncio.gather(*commands)
    assert 1 == len(woken)
    again = asyncio.create_task(queues.run("request", list))
    await queued(again)
    command = queues.next()
    assert command is not None
    queues.resolve([Outcome(command, "woken again")])
    assert "woken again" == await again


@pytest.mark.gen_test
async def test_the_callers_of_a_group_go_on_a_few_in_each_turn_of_the_loop() -> None:
    queues = CommandQueues({"request": 99}, queue_timeout=5.0)
    commands = [asyncio.create_task(queues.run("request", list)) for _ in range(50)]
    await queued(*commands)
    taken = [queues.next() for _ in range(50)]
    queues.resolve([Outcome(each, number) for number, each in enumerate(taken) if each])
    counts = [0]
    while counts[-1] < 50:
        await asyncio.sleep(0)
        counts.append(sum(command.done() for command in commands))

    assert 16 == max(after - before for before, after in pairwise(counts))
    assert list(range(50)) == await asyncio.gather(*commands)


class ClosedMeanwhile(dict[str, int]):
    """Queues that another thread closes while a caller checks one for room."""

    def __getitem__(self, queue: str) -> int:
        closing = threading.Thread(target=self.commands.close)
        closing.start()
        closing.join()
        return super().__getitem__(queue)

    commands: CommandQueues


@pytest.mark.gen_test
async def test_who_comes_in_the_moment_of_closing_is_refused_and_not_left_waiting() -> None:
    queues = ClosedMeanwhile(request=1)
    queues.commands = CommandQueues(queues, queue_timeout=5.0)

    with pytest.raises(StorageError, match="closed"):
        await queues.commands.run("request", list)
    assert queues.commands.is_over  # or its thread would have ended with something in it


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.gen_test
async def test_a_disk_that_hangs_is_told_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("command_queues", "writer"):
        monkeypatch.setattr(f"storage.sqlite.{module}.HUNG_SECONDS", 0.1)
    storage = SQLiteStorage(tmp_path / "headrace.db", "p")
    await storage.open()
    answer = await begun(storage)
    works_again = threading.Event()
    assert storage._writer is not None
    hanging = asyncio.create_task(storage._writer.run("request", works_again.wait))
    await queued(hanging)

    outcomes = await asyncio.gather(
        hanging, *(asked(storage) for _ in range(5)), storage.ping(), return_exceptions=True
    )

    assert {Reason.TIMEOUT} == {each.reason for each in outcomes if isinstance(each, StorageError)}
    assert 7 == len(outcomes)
    assert answer.id == (await storage.message("alice", answer.id)).id
    await storage.close()  # ends, and leaves the file to the process's end
    works_again.set()
