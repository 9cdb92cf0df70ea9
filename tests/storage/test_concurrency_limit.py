"""Commands in flight are counted by what they take, not by who still waits for them."""

import asyncio
import gc

import pytest

from storage.errors import StorageError
from storage.mongo.concurrency_limit import ConcurrencyLimit


class Slow:
    """A command that runs until it is released."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()
        self.ended = False

    async def __call__(self) -> str:
        self.begun.set()
        await self.release.wait()
        self.ended = True
        return "done"


@pytest.mark.gen_test
async def test_a_cancelled_caller_leaves_and_the_command_keeps_its_room() -> None:
    limit = ConcurrencyLimit(1, timeout=5)
    first, second = Slow(), Slow()
    caller = asyncio.create_task(limit.run(first))
    await first.begun.wait()
    caller.cancel()
    await asyncio.wait([caller])
    waiting = asyncio.create_task(limit.run(second))
    await asyncio.sleep(0)
    assert caller.cancelled()
    assert not second.begun.is_set()

    first.release.set()
    second.release.set()

    assert "done" == await waiting
    assert first.ended


@pytest.mark.gen_test
async def test_a_caller_who_leaves_the_queue_begins_nothing() -> None:
    limit = ConcurrencyLimit(1, timeout=5)
    first, second = Slow(), Slow()
    running = asyncio.create_task(limit.run(first))
    await first.begun.wait()
    queued = asyncio.create_task(limit.run(second))
    await asyncio.sleep(0)
    queued.cancel()
    first.release.set()
    await running
    await asyncio.wait([queued])
    assert not second.begun.is_set()


@pytest.mark.gen_test
async def test_waiting_for_room_has_an_end() -> None:
    limit = ConcurrencyLimit(1, timeout=0.01)
    first = Slow()
    running = asyncio.create_task(limit.run(first))
    await first.begun.wait()
    with pytest.raises(StorageError, match="too many"):
        await limit.run(Slow())
    first.release.set()
    assert "done" == await running


@pytest.mark.gen_test
async def test_a_failure_that_nobody_waits_for_is_no_error_in_the_log() -> None:
    limit = ConcurrencyLimit(1, timeout=5)
    release = asyncio.Event()

    async def fail() -> None:
        await release.wait()
        raise StorageError("nobody hears this")

    caller = asyncio.create_task(limit.run(fail))
    await asyncio.sleep(0)
    caller.cancel()
    release.set()
    await limit.wait_until_idle()
    await asyncio.wait([caller])
    gc.collect()  # what asyncio would complain about, it complains about now
