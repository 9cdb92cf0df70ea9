"""What users did in a span of time: every writer counts for itself, and all of them agree."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from model.messages import now
from storage.contract import Storage
from storage.values import UsageCount
from tests.storage.conftest import Place
from tests.storage.samples import count


async def shared(storage: Storage, *counts: UsageCount) -> list[int]:
    """What all have together, in the order of `counts`."""
    together = await storage.share_counts(counts)
    return [together[each.span] for each in counts]


@pytest.mark.gen_test
async def test_what_writers_counted_adds_up(storage: Storage) -> None:
    assert [0] == await shared(storage, count(amount=0))
    assert [2] == await shared(storage, count(amount=2, writer="a" * 16))
    assert [5] == await shared(storage, count(amount=3, writer="b" * 16))
    assert [7] == await shared(storage, count(amount=4, writer="a" * 16))
    assert [7] == await shared(storage, count(amount=0, writer="c" * 16))


@pytest.mark.gen_test
async def test_sharing_twice_changes_nothing_and_less_takes_nothing_back(storage: Storage) -> None:
    for amount in (3, 3, 1, 0):
        assert [3] == await shared(storage, count(amount=amount))


@pytest.mark.slow
@pytest.mark.parametrize("user", ["bob", "$gt", "a.b", "alice ", "", '{"$gt": ""}', "Alice"])
@pytest.mark.gen_test
async def test_users_spans_and_kinds_are_counted_apart(storage: Storage, user: str) -> None:
    minute = count().span.begins_at
    others = [
        count(user, amount=10),
        count(what="tokens", amount=20),
        count(begins_at=minute + timedelta(minutes=1), amount=30),
    ]

    assert [1, 10, 20, 30] == await shared(storage, count(), *others)
    assert [1] == await shared(storage, count(amount=0))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_nothing_to_share_is_no_error(storage: Storage) -> None:
    assert {} == await storage.share_counts([])


@pytest.mark.slow
@pytest.mark.gen_test
async def test_counts_outlast_their_writer(place: Place) -> None:
    before = await place.open()
    await shared(before, count(amount=4))
    await before.close()

    assert [5] == await shared(await place.open(), count(writer="f" * 16))


@pytest.mark.gen_test
async def test_racing_writers_of_a_new_span_lose_nothing(storage: Storage, place: Place) -> None:
    stores = [storage]
    if place.url.startswith("mongodb"):
        stores += [await place.open() for _ in range(3)]
    writers = [f"{number:016x}" for number in range(20)]

    await asyncio.gather(
        *(
            stores[number % len(stores)].share_counts([count(writer=writer)])
            for number, writer in enumerate(writers)
        )
    )

    assert [20] == await shared(storage, count(amount=0))


@pytest.mark.gen_test
async def test_as_many_as_a_tick_may_bring_are_shared_at_once(storage: Storage) -> None:
    users = [f"user {number}" for number in range(1000)]

    assert [1] * 1000 == await shared(storage, *(count(user) for user in users))


@pytest.mark.gen_test
async def test_sqlite_forgets_what_is_over(io_loop: Any, tmp_path: Any) -> None:
    place = Place(f"sqlite:///{tmp_path}/headrace.db")
    storage = await place.open()
    past = count(begins_at=datetime(2000, 1, 1, tzinfo=UTC), ends_at=now() - timedelta(seconds=1))
    await storage.share_counts([past])

    assert [0] == await shared(storage, count(begins_at=past.span.begins_at, amount=0))
    await place.close()


@pytest.mark.gen_test
async def test_mongodb_forgets_what_is_over(mongo: Place, database: Database[Any]) -> None:
    await shared(await mongo.open(), count())

    [kept] = database["counts"].find()
    assert count().span.ends_at == kept["ends_at"].replace(tzinfo=UTC)
    assert 0 == database["counts"].index_information()["lifetime"]["expireAfterSeconds"]
