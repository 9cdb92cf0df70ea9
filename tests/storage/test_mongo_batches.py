"""Questions that come at the same time share commands, and nobody pays for another."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pymongo import MongoClient

from model.messages import Conversation, Message
from storage.contract import Storage
from storage.errors import Busy, KeyTaken, NotFound, StorageError, TooLarge
from tests.mongod import ReplicaSet, replica_set
from tests.storage.conftest import Commands, Place
from tests.storage.samples import UNKNOWN, ask, begun, conversation, ending, exchange, key

COUNT = 40


async def begin(storage: Storage, new: Conversation, name: str | None = None) -> Message:
    """Have a conversation begun, with an idempotency key of this name."""
    question, answer = exchange(new, owner=storage.process)
    kept = None if name is None else key(answer, name)
    await storage.ask(question, answer, title="A title", new=new, key=kept)
    return answer


async def finished(storage: Storage, count: int) -> list[Conversation]:
    """Conversations whose first answer has ended."""
    new = [conversation() for _ in range(count)]
    answers = await asyncio.gather(*(begin(storage, each) for each in new))
    await asyncio.gather(
        *(storage.end_answer(answer.id, storage.process, ending()) for answer in answers)
    )
    return new


async def ordinals(storage: Storage, of: Conversation) -> list[int]:
    page = await storage.messages(of.user, of.id, limit=99, before=None)
    return [message.ordinal for message in page.data]


def sent(commands: Commands, name: str) -> int:
    return sum(name in command for command in commands.sent)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_burst_of_questions_shares_a_few_transactions(
    mongo: Place, commands: Commands
) -> None:
    storage = await mongo.open()
    kept = await finished(storage, COUNT // 2)
    new = [conversation() for _ in range(COUNT // 2)]
    commands.sent.clear()

    await asyncio.gather(
        *(begin(storage, each, f"key {each.id}") for each in new),
        *(ask(storage, each) for each in kept),
    )

    # Two that found nothing under way, and one or two for all that waited meanwhile.
    assert sent(commands, "commitTransaction") <= 4
    assert [[0, 1]] * len(new) == [await ordinals(storage, each) for each in new]
    assert [[0, 1, 2, 3]] * len(kept) == [await ordinals(storage, each) for each in kept]
    stored = [await storage.conversation(each.user, each.id) for each in (*new, *kept)]
    assert {"A title"} == {each.title for each in stored}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_batch_stores_what_one_question_would(mongo: Place) -> None:
    storage = await mongo.open()
    alone = conversation(title="own", metadata={"a": "b"})
    await begin(storage, alone)
    together = [
        msgspec.structs.replace(alone, id=conversation().id, user=f"user {number}")
        for number in range(COUNT)
    ]

    await asyncio.gather(*(begin(storage, each) for each in together))

    first = await storage.conversation("alice", alone.id)
    for each in together:
        stored = await storage.conversation(each.user, each.id)
        assert first == msgspec.structs.replace(
            stored, id=first.id, user="alice", updated_at=first.updated_at
        )
        assert await storage.stored_bytes("alice") == await storage.stored_bytes(each.user)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_title_that_is_there_stays_and_a_missing_one_is_set(mongo: Place) -> None:
    storage = await mongo.open()
    titled, untitled = conversation(title="own"), conversation()
    for each in (titled, untitled):
        await storage.create_conversation(each)
    others = [conversation() for _ in range(COUNT)]

    await asyncio.gather(
        *(begin(storage, each) for each in others), ask(storage, titled), ask(storage, untitled)
    )

    assert "own" == (await storage.conversation("alice", titled.id)).title
    assert "A title" == (await storage.conversation("alice", untitled.id)).title


@pytest.mark.slow
@pytest.mark.gen_test
async def test_whoever_cannot_be_stored_in_a_burst_is_told_and_costs_nobody_else_anything(
    mongo: Place, commands: Commands
) -> None:
    storage = await mongo.open()
    busy, taken = await begun(storage), conversation()
    await begin(storage, taken, "taken")
    bobs = await begun(storage, "bob")
    await storage.end_answer(bobs.id, storage.process, ending())
    new = [conversation() for _ in range(COUNT)]
    commands.sent.clear()

    outcomes = await asyncio.gather(
        *(begin(storage, each) for each in new[: COUNT // 2]),
        ask(storage, conversation(id=busy.conversation_id)),
        begin(storage, conversation(), "taken"),
        ask(storage, conversation()),
        ask(storage, conversation(id=bobs.conversation_id)),  # which is not alice's
        *(begin(storage, each) for each in new[COUNT // 2 :]),
        return_exceptions=True,
    )

    refused = outcomes[COUNT // 2 : -COUNT // 2]
    assert [Busy, KeyTaken, NotFound, NotFound] == [type(each) for each in refused]
    assert [[0, 1]] * COUNT == [await ordinals(storage, each) for each in new]
    # The two that were not found halve a batch a few times; one by one it would be forty.
    assert sent(commands, "commitTransaction") < COUNT // 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"system": "\ud800"}, UnicodeError),
        ({"metadata": {"a": 2**70}}, OverflowError),
        ({"system": "x" * 17_000_000}, TooLarge),
        ({"created_at": "today"}, StorageError),  # which the validator refuses
    ],
)
@pytest.mark.gen_test
async def test_what_cannot_be_stored_at_all_is_refused_alone(
    mongo: Place, fields: dict[str, Any], refused: type[Exception]
) -> None:
    storage = await mongo.open()
    new = [conversation() for _ in range(COUNT)]
    impossible = conversation(**fields)

    *outcomes, refusal = await asyncio.gather(
        *(begin(storage, each) for each in new), begin(storage, impossible), return_exceptions=True
    )

    assert isinstance(refusal, refused)
    assert {Message} == {type(each) for each in outcomes}
    with pytest.raises(NotFound):
        await storage.conversation("alice", impossible.id)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_batch_counts_the_fields_of_new_conversations(
    mongo: Place, commands: Commands
) -> None:
    storage = await mongo.open()
    large = [conversation(system="x" * 900_000) for _ in range(COUNT // 2)]

    await asyncio.gather(*(begin(storage, each) for each in large))

    together = [
        len(each["documents"]) for each in commands.sent if "conversations" == each.get("insert")
    ]
    assert max(together) <= 8


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, COUNT])
@pytest.mark.gen_test
async def test_questions_in_locked_conversations_keep_nobody_waiting(
    mongo: Place, count: int
) -> None:
    storage = await mongo.open()
    locked = await finished(storage, count)
    new = [conversation() for _ in range(COUNT)]
    with MongoClient[dict[str, Any]](mongo.url) as client, client.start_session() as session:
        conversations = client.get_default_database()["conversations"]
        with session.start_transaction():  # as of a process that died in the midst of it
            for each in locked:
                conversations.update_one({"_id": each.id}, {"$set": {"x": 1}}, session=session)
            waiting = [asyncio.create_task(ask(storage, each)) for each in locked]
            await asyncio.sleep(1)  # they are tried again and again, for 5 seconds

            async with asyncio.timeout(3):
                await asyncio.gather(*(begin(storage, each) for each in new))

            assert not any(each.done() for each in waiting)
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.gen_test
async def test_of_two_questions_in_one_conversation_a_burst_stores_one(mongo: Place) -> None:
    storage = await mongo.open()
    of, *others = await finished(storage, COUNT)

    outcomes = await asyncio.gather(
        *(ask(storage, each) for each in others),
        ask(storage, of),
        ask(storage, of),
        return_exceptions=True,
    )

    assert {Busy} == {type(each) for each in outcomes if isinstance(each, Exception)}
    assert 1 == sum(isinstance(each, Exception) for each in outcomes)
    assert [0, 1, 2, 3] == await ordinals(storage, of)


@pytest.mark.gen_test
async def test_a_question_that_was_stored_before_is_stored_once(mongo: Place) -> None:
    storage = await mongo.open()
    new = conversation()
    question, answer = exchange(new, owner=storage.process)
    others = [conversation() for _ in range(COUNT)]

    async def again() -> None:
        await storage.ask(question, answer, title="t", new=new, key=key(answer))

    await again()
    await asyncio.gather(*(begin(storage, each) for each in others), again(), again())

    assert [0, 1] == await ordinals(storage, new)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["update", "insert", "find", "commitTransaction"])
@pytest.mark.parametrize(
    "how",
    [
        {"closeConnection": True},
        {"errorCode": 112, "errorLabels": ["TransientTransactionError"]},  # met another one
        {"errorCode": 251, "errorLabels": ["TransientTransactionError"]},  # lost in an election
    ],
)
@pytest.mark.gen_test
async def test_a_burst_survives_a_command_that_fails(
    mongod: ReplicaSet, local: Place, command: str, how: dict[str, Any]
) -> None:
    storage = await local.open()
    kept = await finished(storage, COUNT // 2)
    new = [conversation() for _ in range(COUNT // 2)]

    with mongod.failing(command, times=2, **how):
        outcomes = await asyncio.gather(
            *(begin(storage, each) for each in new),
            *(ask(storage, each) for each in kept),
            return_exceptions=True,
        )

    await check_stored(storage, new, kept, outcomes)
    assert not [each for each in outcomes if isinstance(each, Exception)] or command == "find"


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_burst_whose_commit_goes_unanswered_is_stored_once(
    mongod: ReplicaSet, local: Place
) -> None:
    storage = await local.open()
    new = [conversation() for _ in range(COUNT)]

    with mongod.failing("commitTransaction", times=8, **UNKNOWN):
        outcomes = await asyncio.gather(*(begin(storage, each) for each in new))

    assert COUNT == len(outcomes)
    assert [[0, 1]] * COUNT == [await ordinals(storage, each) for each in new]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_burst_that_takes_too_long_is_in_doubt_and_can_be_asked_again(
    mongod: ReplicaSet, local: Place
) -> None:
    storage = await local.open()
    conversations = [conversation() for _ in range(COUNT)]
    asked = [(new, *exchange(new, owner=storage.process)) for new in conversations]

    async def ask_all() -> list[BaseException | None]:
        return await asyncio.gather(
            *(storage.ask(question, answer, title="t", new=new) for new, question, answer in asked),
            return_exceptions=True,
        )

    slow = {"blockConnection": True, "blockTimeMS": 6000}
    with mongod.failing("commitTransaction", times=3, **slow):  # two alone, and the rest together
        outcomes = await ask_all()
    assert [StorageError] * COUNT == [type(each) for each in outcomes]
    # The server would end the transactions that nobody asks for any more after a minute.
    with MongoClient[dict[str, Any]](local.url) as client:
        client.admin.command("killAllSessions", [])
    assert {None} == set(await ask_all())

    assert [[0, 1]] * COUNT == [await ordinals(storage, each) for each in conversations]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_burst_whose_time_is_over_is_not_tried_in_halves(
    mongod: ReplicaSet, local: Place, commands: Commands
) -> None:
    storage = await local.open()
    kept = await finished(storage, COUNT)
    commands.sent.clear()

    with mongod.failing("update", times=99, blockConnection=True, blockTimeMS=7000):
        outcomes = await asyncio.gather(
            *(ask(storage, each) for each in kept), return_exceptions=True
        )

    assert {Message, StorageError} == {type(each) for each in outcomes}
    assert 1 == sent(commands, "updates")  # the first two need none
    assert COUNT - 2 == len([each for each in outcomes if isinstance(each, StorageError)])


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.gen_test
async def test_what_a_burst_acknowledged_survives_kill_9_of_the_primary(tmp_path: Path) -> None:
    with replica_set(tmp_path) as own_set:
        place = Place(own_set.url("x"))
        storage = await place.open()
        await finished(storage, 2)  # connections, and collections that exist
        new = [conversation() for _ in range(5 * COUNT)]
        asking = [asyncio.create_task(begin(storage, each)) for each in new]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)

        own_set.nodes[0].kill()
        own_set.nodes[0].start()
        own_set.primary()
        outcomes = await asyncio.gather(*asking, return_exceptions=True)

        await check_stored(storage, new, [], outcomes)
        await place.close()


async def check_stored(
    storage: Storage,
    new: Sequence[Conversation],
    kept: Sequence[Conversation],
    outcomes: Sequence[object],
) -> None:
    """Each that was acknowledged is stored once, and each other one once or not at all."""
    for each, outcome in zip((*new, *kept), outcomes, strict=True):
        whole = [0, 1, 2, 3] if each in kept else [0, 1]
        if not isinstance(outcome, Exception):
            assert whole == await ordinals(storage, each)
            continue
        assert isinstance(outcome, StorageError)
        try:
            assert await ordinals(storage, each) in (whole, [0, 1])
        except NotFound:
            assert each in new


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_caller_that_leaves_takes_nobody_with_it(mongo: Place) -> None:
    storage = await mongo.open()
    new = [conversation() for _ in range(COUNT)]
    asking = [asyncio.create_task(begin(storage, each)) for each in new]
    await asyncio.sleep(0)  # the first are under way, the rest waits

    for leaving in asking[::2]:
        leaving.cancel()
    await asyncio.gather(*asking, return_exceptions=True)

    assert [[0, 1]] * (COUNT // 2) == [await ordinals(storage, each) for each in new[1::2]]
