"""Answers out of the store: one load and one record for all who read one, and for nobody else."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from model.blocks import TextBlock
from relay import unsent_budget
from relay.ended_answers import EndedAnswers
from relay.remote_answers import RemoteAnswers
from relay.unsent_budget import FREE_BYTES, UnsentBudget
from storage.errors import NotFound, StorageError
from storage.sqlite.store import SQLiteStorage
from tests.faults import FaultyStorage
from tests.storage.samples import begun, ending

LONG = "x" * 999_999 + "😀"  # four bytes a character in memory, for the sake of one


class Shelf:
    """Ended answers of a real store, which says what was asked of it."""

    def __init__(self, storage: SQLiteStorage) -> None:
        self.real = storage
        self.store = FaultyStorage()
        self.store.wrapped = storage
        self.unsent = UnsentBudget(100_000_000)
        remote = RemoteAnswers(self.store, lease_seconds=30)  # type: ignore[arg-type]
        self.answers = EndedAnswers(self.store, self.unsent, remote)  # type: ignore[arg-type]

    async def ended(self, text: str = LONG) -> str:
        """The id of an answer of alice's."""
        answer = await begun(self.real)
        await self.real.end_answer(answer.id, self.real.process, ending(TextBlock(text)))
        return answer.id

    @property
    def loads(self) -> int:
        return self.store.calls.count("message")

    @property
    def checks(self) -> int:
        return self.store.calls.count("answer_status")


@asynccontextmanager
async def shelves(folder: Path) -> AsyncIterator[Shelf]:
    storage = SQLiteStorage(folder / "records.db", secrets.token_hex(16))
    await storage.open()
    shelf = Shelf(storage)
    try:
        yield shelf
    finally:
        shelf.store.heal()
        await shelf.answers.close()
        await storage.close()


@pytest.mark.gen_test
async def test_a_thousand_who_come_at_once_cost_one_load(tmp_path: Path) -> None:
    async with shelves(tmp_path) as shelf:
        answer_id = await shelf.ended()
        gate = shelf.store.hold("message")
        coming = [asyncio.create_task(shelf.answers.answer("alice", answer_id)) for _ in range(999)]
        await gate.reached.wait()
        coming.append(asyncio.create_task(shelf.answers.answer("alice", answer_id)))
        await shelf.store.called("answer_status", 999)
        gate.open.set()

        first, *others = await asyncio.gather(*coming)

        assert all(each is first for each in others)
        assert (1, 999) == (shelf.loads, shelf.checks)
        assert LONG == first.beyond(0)[0].text


@pytest.mark.gen_test
async def test_of_many_different_ones_a_few_are_loaded_at_a_time(tmp_path: Path) -> None:
    async with shelves(tmp_path) as shelf:
        answer_ids = [await shelf.ended("x") for _ in range(20)]
        gates = [shelf.store.hold("message") for _ in answer_ids]
        coming = [asyncio.create_task(shelf.answers.answer("alice", each)) for each in answer_ids]
        await shelf.store.called("message", unsent_budget._USERS_LOADS)
        for _ in range(10):
            await asyncio.sleep(0)
        assert unsent_budget._USERS_LOADS == shelf.loads

        for gate in gates:
            gate.open.set()

        assert answer_ids == [each.id for each in await asyncio.gather(*coming)]


@pytest.mark.gen_test
async def test_who_comes_later_shares_it_and_it_goes_with_its_last_reader(tmp_path: Path) -> None:
    async with shelves(tmp_path) as shelf:
        answer_id = await shelf.ended()
        first = await shelf.answers.answer("alice", answer_id)
        assert first is await shelf.answers.answer("alice", answer_id)
        assert 4_000_000 - FREE_BYTES < shelf.unsent.held < 4_001_000

        del first

        assert 0 == shelf.unsent.held  # by its count of references: no collector was there
        again = await shelf.answers.answer("alice", answer_id)
        assert (2, 1) == (shelf.loads, shelf.checks)
        assert answer_id == again.id


@pytest.mark.gen_test
async def test_another_user_shares_neither_a_record_nor_a_load(tmp_path: Path) -> None:
    async with shelves(tmp_path) as shelf:
        answer_id = await shelf.ended()
        gate = shelf.store.hold("message")
        loading = asyncio.create_task(shelf.answers.answer("alice", answer_id))
        await gate.reached.wait()
        with pytest.raises(NotFound):
            await shelf.answers.answer("bob", answer_id)
        gate.open.set()
        record = await loading

        with pytest.raises(NotFound):
            await shelf.answers.answer("bob", answer_id)

        assert answer_id == record.id


@pytest.mark.parametrize("there", [True, False], ids=["loaded", "loading"])
@pytest.mark.gen_test
async def test_what_was_deleted_is_there_for_nobody_who_comes_behind(
    tmp_path: Path, there: bool
) -> None:
    async with shelves(tmp_path) as shelf:
        answer_id = await shelf.ended()
        gate = shelf.store.hold("message", done=True)
        loading = asyncio.create_task(shelf.answers.answer("alice", answer_id))
        await gate.reached.wait()
        if there:
            gate.open.set()
            await asyncio.wait([loading])

        await shelf.real.delete_conversation("alice", answer_id.partition("-")[0])

        with pytest.raises(NotFound):
            await shelf.answers.answer("alice", answer_id)
        gate.open.set()
        assert LONG == (await loading).beyond(0)[0].text  # who came ahead of it reads on


@pytest.mark.gen_test
async def test_who_began_a_load_and_leaves_takes_it_from_nobody(tmp_path: Path) -> None:
    async with shelves(tmp_path) as shelf:
        answer_id = await shelf.ended()
        gate = shelf.store.hold("message")
        first = asyncio.create_task(shelf.answers.answer("alice", answer_id))
        await gate.reached.wait()
        second = asyncio.create_task(shelf.answers.answer("alice", answer_id))
        await shelf.store.called("answer_status")

        first.cancel()
        await asyncio.wait([first])
        gate.open.set()

        assert answer_id == (await second).id
        assert 1 == shelf.loads


@pytest.mark.gen_test
async def test_a_load_that_fails_is_tried_again_by_who_comes_next(tmp_path: Path) -> None:
    async with shelves(tmp_path) as shelf:
        answer_id = await shelf.ended()
        gate = shelf.store.hold("message")
        shelf.store.fail("message", times=1)
        coming = [asyncio.create_task(shelf.answers.answer("alice", answer_id)) for _ in range(3)]
        await gate.reached.wait()
        await shelf.store.called("answer_status", 2)
        gate.open.set()

        failed = await asyncio.gather(*coming, return_exceptions=True)

        assert [StorageError] * 3 == [type(each) for each in failed]
        assert 0 == shelf.unsent.held
        assert answer_id == (await shelf.answers.answer("alice", answer_id)).id


@pytest.mark.gen_test
async def test_a_question_is_no_answer(tmp_path: Path) -> None:
    async with shelves(tmp_path) as shelf:
        answer = await begun(shelf.real)
        with pytest.raises(NotFound):
            await shelf.answers.answer("alice", answer.parent_id or "")
