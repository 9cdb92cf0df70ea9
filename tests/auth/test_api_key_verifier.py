"""Looking keys up: all that are waited for together, so that made-up ones delay no real one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from auth import api_key_commands, api_keys
from auth import api_key_verifier as verifier_module
from auth.api_key_verifier import ApiKeyVerifier
from auth.errors import InvalidCredentials
from handlers.open_requests import OpenRequests
from storage.errors import Reason, StorageError
from storage.sqlite.store import SQLiteStorage
from tests.faults import FaultyStorage


@pytest.fixture
def store(io_loop: IOLoop, tmp_path: Path) -> Iterator[FaultyStorage]:
    faulty = FaultyStorage()
    faulty.wrapped = SQLiteStorage(tmp_path / "headrace.db", "server")
    io_loop.run_sync(faulty.wrapped.open)
    yield faulty
    faulty.heal()
    io_loop.run_sync(faulty.wrapped.close)


@pytest.fixture
def verifier(store: FaultyStorage) -> ApiKeyVerifier:
    return ApiKeyVerifier(
        store,  # type: ignore[arg-type]
        OpenRequests(),
        recheck_seconds=50,
    )


async def made(store: FaultyStorage) -> str:
    """A real key, which nobody has shown yet."""
    assert store.wrapped is not None
    said = await api_key_commands.create(
        store.wrapped, user="alice", admin=False, note="", days=None, models=None
    )
    return said.result


def flood(verifier: ApiKeyVerifier, count: int) -> list[asyncio.Task[object]]:
    """So many strangers at once, each with a key of their own making."""
    return [asyncio.create_task(verifier.verify(api_keys.make().text)) for _ in range(count)]


async def refused(strangers: list[asyncio.Task[object]]) -> set[type]:
    return {type(each) for each in await asyncio.gather(*strangers, return_exceptions=True)}


@pytest.mark.gen_test
async def test_a_real_key_waits_for_one_query_however_many_made_up_ones_came_first(
    verifier: ApiKeyVerifier, store: FaultyStorage
) -> None:
    real = await made(store)
    gate = store.hold("api_keys")
    strangers = flood(verifier, 1)
    await gate.reached.wait()
    strangers += flood(verifier, 900)
    authenticating = asyncio.create_task(verifier.verify(real))
    await asyncio.sleep(0)  # each has lookup by then

    gate.open.set()

    assert "alice" == (await authenticating).user
    assert 2 == store.calls.count("api_keys")
    assert {InvalidCredentials} == await refused(strangers)


@pytest.mark.gen_test
async def test_more_than_one_query_holds_are_looked_up_in_the_order_in_which_they_came(
    verifier: ApiKeyVerifier, store: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier_module, "_LOOKUP_BATCH", 10)
    real = await made(store)
    first, second, third = (store.hold("api_keys") for _ in range(3))
    before = flood(verifier, 15)
    authenticating = asyncio.create_task(verifier.verify(real))
    behind = flood(verifier, 100)

    first.open.set()
    second.open.set()

    assert "alice" == (await authenticating).user
    third.open.set()
    assert {InvalidCredentials} == await refused(before + behind)
    assert 12 == store.calls.count("api_keys")


@pytest.mark.gen_test
async def test_of_what_strangers_ask_nothing_is_kept(
    verifier: ApiKeyVerifier, store: FaultyStorage
) -> None:
    strangers = flood(verifier, 50)
    leaving = flood(verifier, 50)
    await asyncio.sleep(0)
    for each in leaving:
        each.cancel()

    await refused(strangers)
    await verifier.verify(await made(store))

    assert [1, 0, 0] == [len(verifier._cached), len(verifier._lookups), len(verifier._queue)]


@pytest.mark.gen_test
async def test_while_the_store_is_silent_so_many_may_wait_and_none_for_ever(
    verifier: ApiKeyVerifier, store: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier_module, "_MAX_LOOKUPS", 20)
    monkeypatch.setattr(verifier_module, "_LOOKUP_TIMEOUT_SECONDS", 0.05)
    real = await made(store)
    gate = store.hold("api_keys")

    waited = await asyncio.gather(*flood(verifier, 30), return_exceptions=True)

    assert [Reason.OVERLOADED] * 30 == [each.reason for each in waited]  # type: ignore[union-attr]
    assert 20 == len(verifier._lookups)
    gate.open.set()
    monkeypatch.setattr(verifier_module, "_LOOKUP_TIMEOUT_SECONDS", 5.0)
    while verifier._lookups:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert "alice" == (await verifier.verify(real)).user


@pytest.mark.gen_test
async def test_a_query_that_fails_fails_those_who_wait_for_it_and_nobody_behind(
    verifier: ApiKeyVerifier, store: FaultyStorage
) -> None:
    real = await made(store)
    gate = store.hold("api_keys")
    store.fail("api_keys", times=1)
    strangers = flood(verifier, 5)
    await gate.reached.wait()
    authenticating = asyncio.create_task(verifier.verify(real))
    await asyncio.sleep(0)

    gate.open.set()

    assert {StorageError} == await refused(strangers[:1])
    assert "alice" == (await authenticating).user
    await refused(strangers)
