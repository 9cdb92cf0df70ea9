"""What is held for readers is counted, shared, and given back."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from relay import unsent_budget as module
from relay.errors import Overloaded, TooMuchUnread
from relay.unsent_budget import FREE_BYTES, UnsentBudget

MB = 1_000_000


def test_what_is_short_is_free_however_much_is_held() -> None:
    unsent = UnsentBudget(MB)
    unsent.take("alice", 2 * MB)

    assert 0 == unsent.take("alice", FREE_BYTES)
    assert 0 == unsent.take("bob", FREE_BYTES)


def test_one_thing_alone_is_let_through_however_long_it_is() -> None:
    unsent = UnsentBudget(MB)

    with unsent.holding("alice", 100 * MB):
        assert 100 * MB - FREE_BYTES == unsent.held

    assert 0 == unsent.held


def test_a_user_has_a_part_and_all_of_them_have_no_more_than_there_is() -> None:
    unsent = UnsentBudget(8 * MB)
    taken = {user: unsent.take(user, MB) for user in map(str, range(8))}

    with pytest.raises(TooMuchUnread) as too_much:
        unsent.take("0", MB)
    unsent.take("8", MB // 2)
    with pytest.raises(Overloaded) as overloaded:
        unsent.take("9", MB)

    assert 2 == too_much.value.retry_after == overloaded.value.retry_after
    unsent.give("0", taken["0"])
    assert taken["0"] == unsent.take("0", MB)


@pytest.mark.gen_test
async def test_few_are_loaded_at_a_time_and_a_user_who_wants_many_waits_for_their_own() -> None:
    unsent, done, loading, most = UnsentBudget(MB), asyncio.Event(), 0, 0

    async def load(user: str) -> None:
        nonlocal loading, most
        async with unsent.loading(user):
            loading += 1
            most = max(most, loading)
            try:
                await done.wait()
            finally:
                loading -= 1

    alices = [asyncio.create_task(load("alice")) for _ in range(100)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert module._USERS_LOADS == loading
    others = [asyncio.create_task(load(str(number))) for number in range(100)]
    async with unsent.loading("bob"):
        pass
    while loading < module._LOADS:  # noqa: ASYNC110
        await asyncio.sleep(0)

    alices[0].cancel()  # one that loads, and one that waits
    alices[50].cancel()
    done.set()
    await asyncio.wait(alices + others)

    assert (0, module._LOADS) == (loading, most)
    async with AsyncExitStack() as stack:
        for number in range(module._LOADS):
            await stack.enter_async_context(unsent.loading(str(number)))


@pytest.mark.gen_test
async def test_who_waits_too_long_to_load_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LOADING_SECONDS", 0.05)
    unsent = UnsentBudget(MB)

    async with AsyncExitStack() as stack:
        for _ in range(module._USERS_LOADS):
            await stack.enter_async_context(unsent.loading("alice"))
        with pytest.raises(Overloaded):
            await stack.enter_async_context(unsent.loading("alice"))
        async with unsent.loading("bob"):
            pass

    async with unsent.loading("alice"):
        pass
