"""Endings with deliveries are transactions in MongoDB: all or nothing, once, whatever fails."""

import asyncio
from typing import Any

import pytest
from pymongo import MongoClient

from model.blocks import TextBlock
from model.messages import Ending, Message, Status
from model.usage import Usage
from storage.contract import Storage
from storage.errors import StorageError
from tests.mongod import ReplicaSet
from tests.storage.conftest import Commands, Place
from tests.storage.samples import UNKNOWN, begun, delivery, ending

pytestmark = pytest.mark.slow

COUNT = 40
HOOK = "a" * 32


async def all_begun(storage: Storage) -> list[Message]:
    """Live answers, each in a conversation of its own."""
    return await asyncio.gather(*(begun(storage) for _ in range(COUNT)))


async def end(storage: Storage, answer: Message, how: Ending) -> bool:
    return await storage.end_answer(answer.id, storage.process, how, [delivery(answer, HOOK)])


async def waiting(storage: Storage) -> list[str]:
    """The answers that have a delivery, once for each."""
    claimed = await storage.claim_deliveries(HOOK, limit=1000, seconds=60)
    return sorted(each.answer_id for each in claimed)


@pytest.mark.gen_test
async def test_endings_that_come_together_share_a_transaction(
    mongo: Place, commands: Commands
) -> None:
    storage = await mongo.open()
    answers = await all_begun(storage)
    commands.sent.clear()

    written = await asyncio.gather(*(end(storage, answer, ending()) for answer in answers))

    assert [True] * COUNT == written
    assert sum("commitTransaction" in command for command in commands.sent) <= 4
    assert sorted(answer.id for answer in answers) == await waiting(storage)


@pytest.mark.gen_test(timeout=60)
async def test_an_ending_that_cannot_be_stored_or_is_not_the_owners_has_no_delivery(
    mongo: Place,
) -> None:
    storage = await mongo.open()
    impossible, lost, *answers = await all_begun(storage)
    assert await storage.end_answer(lost.id, storage.process, ending(status=Status.STOPPED))

    refusal, refused, *written = await asyncio.gather(
        end(storage, impossible, ending(usage=Usage(2**70, 0))),
        end(storage, lost, ending(TextBlock("a"))),
        *(end(storage, answer, ending()) for answer in answers),
        return_exceptions=True,
    )

    assert isinstance(refusal, OverflowError)
    assert not refused
    assert [True] * (COUNT - 2) == written
    assert sorted(answer.id for answer in answers) == await waiting(storage)
    assert Status.LIVE == (await storage.message("alice", impossible.id)).status


@pytest.mark.gen_test(timeout=60)
async def test_an_answer_that_is_locked_keeps_no_other_from_ending(mongo: Place) -> None:
    storage = await mongo.open()
    answers = await all_begun(storage)
    with MongoClient[dict[str, Any]](mongo.url) as client, client.start_session() as session:
        messages = client.get_default_database()["messages"]
        session.start_transaction()  # as of a process that died while it deleted it
        messages.delete_one({"_id": answers[COUNT // 2].id}, session=session)

        ends = [asyncio.create_task(end(storage, answer, ending())) for answer in answers]
        done, left = await asyncio.wait(ends, timeout=4)

        assert (COUNT - 1, 1) == (len(done), len(left))
        session.abort_transaction()
        assert [True] * COUNT == await asyncio.gather(*ends)
    assert sorted(answer.id for answer in answers) == await waiting(storage)


@pytest.mark.parametrize("command", ["update", "commitTransaction"])
@pytest.mark.parametrize("how", [UNKNOWN, {"closeConnection": True}])
@pytest.mark.gen_test(timeout=60)
async def test_endings_whose_reply_was_lost_have_one_delivery_each_when_they_are_tried_again(
    mongod: ReplicaSet, local: Place, command: str, how: dict[str, Any]
) -> None:
    storage = await local.open()
    answers = await all_begun(storage)
    last = ending(TextBlock("a"))

    async def end_all() -> list[BaseException | bool]:
        return await asyncio.gather(
            *(end(storage, answer, last) for answer in answers), return_exceptions=True
        )

    with mongod.failing(command, times=3, **how):
        outcomes = await end_all()
    assert {True, StorageError} >= {each is True or type(each) for each in outcomes}

    assert {True} == set(await end_all())
    assert sorted(answer.id for answer in answers) == await waiting(storage)
