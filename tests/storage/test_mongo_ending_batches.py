"""Endings that come at the same time share a command, and none of them pays for another."""

import asyncio
from typing import Any

import pytest
from pymongo import MongoClient

from model.blocks import ImageBlock, TextBlock
from model.messages import Ending, Message, Status
from model.usage import Usage
from storage.contract import Storage
from storage.errors import StorageError, TooLarge
from tests.mongod import ReplicaSet
from tests.storage.conftest import Commands, Place
from tests.storage.samples import UNKNOWN, begun, ending

COUNT = 40


async def all_begun(storage: Storage) -> list[Message]:
    """Live answers, each in a conversation of its own."""
    return await asyncio.gather(*(begun(storage) for _ in range(COUNT)))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_endings_that_come_together_share_a_command(mongo: Place, commands: Commands) -> None:
    storage = await mongo.open()
    answers = await all_begun(storage)
    commands.sent.clear()

    written = await asyncio.gather(
        *(
            storage.end_answer(answer.id, storage.process, ending(TextBlock(answer.id)))
            for answer in answers
        )
    )

    assert [True] * COUNT == written
    assert sum("update" in command for command in commands.sent) <= 4
    for answer in answers:
        stored = await storage.message("alice", answer.id)
        assert (Status.COMPLETE, (TextBlock(answer.id),)) == (stored.status, stored.blocks)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_ending_that_is_not_the_owners_any_more_is_told_and_no_other(
    mongo: Place, commands: Commands
) -> None:
    storage = await mongo.open()
    answers = await all_begun(storage)
    end, lost = ending(TextBlock("a")), answers[-1]
    assert await storage.end_answer(lost.id, storage.process, ending(status=Status.STOPPED))
    commands.sent.clear()

    written = await asyncio.gather(
        *(storage.end_answer(answer.id, storage.process, end) for answer in answers)
    )
    again = await asyncio.gather(
        *(storage.end_answer(answer.id, storage.process, end) for answer in answers)
    )

    assert [True] * (COUNT - 1) + [False] == written == again
    assert len(commands.sent) < COUNT
    assert Status.STOPPED == (await storage.message("alice", lost.id)).status


@pytest.mark.slow
@pytest.mark.parametrize(
    ("impossible", "refused"),
    [
        (ending(TextBlock("\udfff")), UnicodeError),
        (ending(usage=Usage(2**70, 0)), OverflowError),
        (ending(ImageBlock(url="x" * 17_000_000)), TooLarge),
    ],
)
@pytest.mark.gen_test
async def test_an_ending_that_cannot_be_stored_is_refused_alone(
    mongo: Place, impossible: Ending, refused: type[Exception]
) -> None:
    storage = await mongo.open()
    answers = await all_begun(storage)
    ends = [ending(TextBlock("a"))] * (COUNT - 1) + [impossible]

    *written, refusal = await asyncio.gather(
        *(
            storage.end_answer(answer.id, storage.process, end)
            for answer, end in zip(answers, ends, strict=True)
        ),
        return_exceptions=True,
    )

    assert isinstance(refusal, refused)
    assert [True] * (COUNT - 1) == written
    assert Status.LIVE == (await storage.message("alice", answers[-1].id)).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_answer_that_is_locked_keeps_no_other_from_ending(mongo: Place) -> None:
    storage = await mongo.open()
    answers = await all_begun(storage)
    with MongoClient[dict[str, Any]](mongo.url) as client, client.start_session() as session:
        messages = client.get_default_database()["messages"]
        session.start_transaction()  # as of a process that died while it deleted it
        messages.delete_one({"_id": answers[COUNT // 2].id}, session=session)

        ends = [
            asyncio.create_task(storage.end_answer(answer.id, storage.process, ending()))
            for answer in answers
        ]
        done, waiting = await asyncio.wait(ends, timeout=4)

        assert (COUNT - 1, 1) == (len(done), len(waiting))
        session.abort_transaction()
        assert [True] * COUNT == await asyncio.gather(*ends)


@pytest.mark.slow
@pytest.mark.parametrize("how", [UNKNOWN, {"closeConnection": True}])
@pytest.mark.gen_test
async def test_endings_whose_reply_was_lost_are_written_when_they_are_tried_again(
    mongod: ReplicaSet, local: Place, how: dict[str, Any]
) -> None:
    storage = await local.open()
    answers = await all_begun(storage)
    end = ending(TextBlock("a"))

    async def end_all() -> list[BaseException | bool]:
        return await asyncio.gather(
            *(storage.end_answer(answer.id, storage.process, end) for answer in answers),
            return_exceptions=True,
        )

    with mongod.failing("update", times=3, **how):
        outcomes = await end_all()
    assert {True, StorageError} >= {each is True or type(each) for each in outcomes}

    assert {True} == set(await end_all())
