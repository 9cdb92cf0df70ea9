"""What `open` makes and leaves, and what `migrate` changes and says, with both stores."""

from itertools import product
from pathlib import Path

import pytest
from pymongo import MongoClient

from model.messages import Message
from storage.contract import Storage
from storage.values import Order
from tests.storage.conftest import Place
from tests.storage.migrating import Plain, due, kept_attempts, migrate


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_new_store_is_of_this_version(place: Place) -> None:
    storage = await place.open()
    assert 1 == len(await kept_attempts(storage))
    await storage.close()

    assert () == await due(place.url)
    assert [] == await migrate(place.url)


@pytest.mark.gen_test
async def test_where_nothing_is_nothing_is_made(place: Place) -> None:
    assert () == await due(place.url)
    assert [] == await migrate(place.url)

    if place.url.startswith("sqlite"):
        assert not Path(place.url.partition(":///")[2]).parent.exists()
    else:
        with MongoClient[Plain](place.url) as client:
            assert [] == client.get_default_database().list_collection_names()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_first_stages_store_is_migrated_once_and_reads_as_before(first: Place) -> None:
    storage = await first.open()
    before = await everything(storage)
    await storage.close()
    wanted = await due(first.url)

    said = await migrate(first.url)

    assert [f"changed: {each}" for each in wanted] == [
        line for line in said if not line.startswith("saved: ")
    ]
    assert wanted
    assert () == await due(first.url)
    assert [] == await migrate(first.url)
    storage = await first.open()
    assert before == await everything(storage)
    assert 1 == len(await kept_attempts(storage))


async def everything(storage: Storage) -> list[Message]:
    """All messages of both users, by each list of their conversations."""
    found: list[Message] = []
    for user, order in product(("alice", "bob"), Order):
        conversations = await storage.conversations(user, limit=99, after=None, order=order)
        for each in conversations.data:
            page = await storage.messages(user, each.id, limit=99, before=None)
            found += page.data
    return found
