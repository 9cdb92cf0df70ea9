"""What deleted conversations leave is purged in the background, whatever one of them meets."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from model.messages import now
from relay.deletion_sweep import DeletionSweep
from storage.errors import StorageError
from storage.values import UNASKED_FILE_SECONDS, Deletion
from tests.steps import until


class _Deletions:
    """A store of deletions, each of two batches; those of `errors` raise what is said there."""

    def __init__(self, *conversation_ids: str) -> None:
        self.batches = dict.fromkeys(conversation_ids, 2)
        self.errors: dict[str, Exception] = {}
        self.failed: list[str] = []
        self.purged_before: list[datetime] = []

    async def delete_conversation(self, user: str, conversation_id: str) -> None:
        """Leave it to be purged."""
        self.batches[conversation_id] = 2

    async def next_deletion(self) -> Deletion | None:
        """Any of them, as the contract says."""
        return Deletion(random.choice(list(self.batches)), "alice") if self.batches else None

    async def purge(self, deletion: Deletion) -> bool:
        """As the contract says."""
        if (error := self.errors.get(deletion.conversation_id)) is not None:
            self.failed.append(deletion.conversation_id)
            raise error
        self.batches[deletion.conversation_id] -= 1
        if self.batches[deletion.conversation_id]:
            return True
        del self.batches[deletion.conversation_id]
        return False

    async def purge_unasked_files(self, before: datetime) -> bool:
        """As the contract says, of files in two batches."""
        self.purged_before.append(before)
        return len(self.purged_before) == 1


@contextmanager
def _sweeping(store: _Deletions, lease_seconds: float = 0.02) -> Iterator[DeletionSweep]:
    sweep = DeletionSweep(store, lease_seconds=lease_seconds)
    task = asyncio.create_task(sweep.run())
    yield sweep
    assert not task.done()
    task.cancel()


@pytest.mark.gen_test
async def test_earlier_deletions_are_purged_at_once_in_all_their_batches() -> None:
    store = _Deletions("a", "b")

    with _sweeping(store, lease_seconds=1000):
        async with asyncio.timeout(3):
            await until(lambda: not store.batches)


@pytest.mark.gen_test
async def test_a_deletion_here_is_purged_without_waiting_for_the_next_sweep() -> None:
    store = _Deletions("a")
    with _sweeping(store, lease_seconds=1000) as sweep:
        await until(lambda: not store.batches)
        await store.delete_conversation("alice", "b")

        sweep.begin()

        async with asyncio.timeout(3):
            await until(lambda: not store.batches)


@pytest.mark.gen_test
async def test_deletions_are_purged_once_the_store_works_again() -> None:
    store = _Deletions("a")
    store.errors["a"] = StorageError("gone")
    with _sweeping(store):
        await until(lambda: len(store.failed) > 1)

        store.errors.clear()

        async with asyncio.timeout(3):
            await until(lambda: not store.batches)


@pytest.mark.gen_test
async def test_a_deletion_that_always_meets_a_bug_holds_up_no_other_one(
    expect_log: Callable[[str, str], None],
) -> None:
    expect_log("headrace.deletion_sweep", "deletion not cleared")
    store = _Deletions("spoiled", *"abc")
    store.errors["spoiled"] = ZeroDivisionError("a bug")

    with _sweeping(store):
        async with asyncio.timeout(5):
            await until(lambda: store.failed and {"spoiled"} == store.batches.keys())


@pytest.mark.gen_test
async def test_files_without_a_question_are_purged_once_they_are_old() -> None:
    store = _Deletions()

    with _sweeping(store, lease_seconds=1000):
        async with asyncio.timeout(3):
            await until(lambda: len(store.purged_before) == 2)

    age = now() - store.purged_before[0]
    assert timedelta(0) <= age - timedelta(seconds=UNASKED_FILE_SECONDS) < timedelta(seconds=60)
