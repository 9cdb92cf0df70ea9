"""Idempotency keys: kept with the question they came with, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pymongo.database import Database

from model.messages import Conversation, Message
from storage.contract import Storage
from storage.errors import Busy, KeyTaken, NotFound
from storage.mongo.schema import INDEXES
from storage.mongo.store import MongoStorage
from storage.values import KEY_SECONDS
from tests.mongod import ReplicaSet
from tests.storage.conftest import Place
from tests.storage.samples import UNKNOWN, ask, begun, conversation, ending, exchange, key


async def asked(
    storage: Storage, of: Conversation | None = None, *, replaces: str | None = None, **fields: Any
) -> Message:
    """Have a question asked with a key, in `of` or a new conversation; returns its live answer."""
    new = conversation() if of is None else None
    question, answer = exchange(of or new or conversation(), owner=storage.process)
    kept = key(answer, **fields)
    await storage.ask(question, answer, title="t", new=new, key=kept, replaces=replaces)
    return answer


async def stands_for(storage: Storage, user: str = "alice") -> str | None:
    """The answer that the user's key stands for."""
    sample = key(exchange(conversation(user), owner="p")[1])
    kept = await storage.idempotency_key(user, sample.id)
    return None if kept is None else kept.answer_id


async def conversations(storage: Storage, user: str = "alice") -> list[str]:
    """The ids of all conversations."""
    page = await storage.conversations(user, limit=99, after=None)
    return [each.id for each in page.data]


async def messages(storage: Storage, of: str) -> list[str]:
    """The ids of all messages of a conversation."""
    page = await storage.messages("alice", of, limit=99, before=None)
    return [message.id for message in page.data]


# What both stores promise


@pytest.mark.gen_test
async def test_a_key_comes_back_as_it_was_kept_and_to_its_user_only(storage: Storage) -> None:
    new = conversation()
    question, answer = exchange(new, owner=storage.process)
    kept = key(answer, fingerprint="$gt")
    assert await storage.idempotency_key("alice", kept.id) is None

    await storage.ask(question, answer, title="t", new=new, key=kept)

    assert await storage.idempotency_key("alice", kept.id) == kept
    assert await storage.idempotency_key("bob", kept.id) is None
    assert await storage.idempotency_key("alice", "another") is None


@pytest.mark.gen_test
async def test_of_a_question_whose_key_is_taken_nothing_is_kept(storage: Storage) -> None:
    first = await asked(storage)
    await storage.end_answer(first.id, storage.process, ending())
    untitled = conversation()
    await storage.create_conversation(untitled)

    for of in (None, untitled, await storage.conversation("alice", first.conversation_id)):
        with pytest.raises(KeyTaken):
            await asked(storage, of)

    assert await stands_for(storage) == first.id
    assert set(await conversations(storage)) == {first.conversation_id, untitled.id}
    assert await storage.conversation("alice", untitled.id) == untitled
    assert [] == await messages(storage, untitled.id)
    assert await messages(storage, first.conversation_id) == [first.parent_id, first.id]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_same_question_with_its_key_again_changes_nothing(storage: Storage) -> None:
    new = conversation()
    question, answer = exchange(new, owner=storage.process)

    async def retry() -> None:
        await storage.ask(question, answer, title="t", new=new, key=key(answer))

    await asyncio.gather(*(retry() for _ in range(20)))
    await storage.end_answer(answer.id, storage.process, ending())
    second = await ask(storage, new)
    await retry()

    assert await stands_for(storage) == answer.id
    assert (await messages(storage, new.id))[:2] == [question.id, answer.id]
    assert await storage.live_answer("alice", new.id) == second.id


@pytest.mark.gen_test
async def test_that_the_key_is_taken_is_told_ahead_of_not_found_and_busy(storage: Storage) -> None:
    busy = await storage.conversation("alice", (await begun(storage)).conversation_id)
    await asked(storage)
    for of in (busy, conversation()):
        with pytest.raises(KeyTaken):
            await asked(storage, of)


@pytest.mark.gen_test
async def test_a_question_that_is_refused_leaves_its_key_free(storage: Storage) -> None:
    live = await begun(storage)
    busy = await storage.conversation("alice", live.conversation_id)
    with pytest.raises(NotFound):
        await asked(storage, conversation())
    with pytest.raises(Busy) as refused:
        await asked(storage, busy)
    assert refused.value.answer_id == live.id
    assert await stands_for(storage) is None

    answer = await asked(storage)
    assert await stands_for(storage) == answer.id


@pytest.mark.gen_test
async def test_a_key_is_handed_from_the_answer_it_stands_for_to_one_other(
    storage: Storage,
) -> None:
    first = await asked(storage)
    new = conversation()
    question, second = exchange(new, owner=storage.process)
    kept = key(second, fingerprint="asked anew")

    for _ in range(2):  # a retry is fine
        await storage.ask(question, second, title="t", new=new, key=kept, replaces=first.id)
    with pytest.raises(KeyTaken):
        await asked(storage, replaces=first.id)

    assert await storage.idempotency_key("alice", kept.id) == kept
    assert set(await conversations(storage)) == {first.conversation_id, new.id}
    third = await asked(storage, replaces=second.id)
    assert await stands_for(storage) == third.id


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_refused_question_does_not_get_the_key_handed(storage: Storage) -> None:
    first = await asked(storage)
    of = await storage.conversation("alice", first.conversation_id)
    with pytest.raises(Busy):
        await asked(storage, of, replaces=first.id)
    with pytest.raises(NotFound):
        await asked(storage, conversation(), replaces=first.id)
    assert await stands_for(storage) == first.id


@pytest.mark.gen_test
async def test_a_key_that_stands_for_nothing_any_more_need_not_be_handed_over(
    storage: Storage,
) -> None:
    answer = await asked(storage, replaces="an answer whose key has expired")
    assert await stands_for(storage) == answer.id


@pytest.mark.gen_test
async def test_a_key_outlives_the_answer_it_stands_for(storage: Storage) -> None:
    answer = await asked(storage)
    await storage.delete_conversation("alice", answer.conversation_id)
    assert await stands_for(storage) == answer.id
    with pytest.raises(KeyTaken):
        await asked(storage)


@pytest.mark.slow
@pytest.mark.parametrize("in_one_conversation", [True, False])
@pytest.mark.gen_test
async def test_of_twenty_questions_that_race_to_hand_a_key_over_one_is_kept(
    storage: Storage, in_one_conversation: bool
) -> None:
    first = await asked(storage)
    of = conversation() if in_one_conversation else None
    if of is not None:
        await storage.create_conversation(of)

    racing = (asked(storage, of, replaces=first.id) for _ in range(20))
    outcomes = await asyncio.gather(*racing, return_exceptions=True)

    [winner] = [each for each in outcomes if isinstance(each, Message)]
    assert 19 == sum(isinstance(each, KeyTaken) for each in outcomes)
    assert await stands_for(storage) == winner.id
    assert set(await conversations(storage)) == {first.conversation_id, winner.conversation_id}


# Many processes


@pytest.mark.slow
@pytest.mark.parametrize("in_one_conversation", [True, False])
@pytest.mark.gen_test
async def test_of_twenty_racing_questions_with_one_key_one_is_kept(
    mongo: Place, in_one_conversation: bool
) -> None:
    one, other = await mongo.open(), await mongo.open()
    of = conversation() if in_one_conversation else None
    if of is not None:
        await one.create_conversation(of)

    racing = (asked(storage, of) for storage in (one, other) * 10)
    outcomes = await asyncio.gather(*racing, return_exceptions=True)

    [winner] = [each for each in outcomes if isinstance(each, Message)]
    assert 19 == sum(isinstance(each, KeyTaken) for each in outcomes)
    assert await stands_for(one) == winner.id
    assert await conversations(one) == [winner.conversation_id]
    kept = [winner.parent_id, winner.id]
    assert await messages(one, winner.conversation_id) == kept


@pytest.mark.slow
@pytest.mark.gen_test
async def test_racing_questions_are_taken_with_the_winners_key_and_busy_without(
    mongo: Place,
) -> None:
    one, other = await mongo.open(), await mongo.open()
    of = conversation()
    await one.create_conversation(of)

    keyed = [asked(storage, of) for storage in (one, other) * 10]
    plain = [ask(storage, of) for storage in (one, other) * 10]
    outcomes = await asyncio.gather(*keyed, *plain, return_exceptions=True)

    [winner] = [each for each in outcomes if isinstance(each, Message)]
    holder = await stands_for(one)
    assert holder in (winner.id, None)
    refused = [type(each) for each in outcomes if each is not winner]
    assert refused.count(KeyTaken) == (0 if holder is None else 19)
    assert refused.count(Busy) == (39 if holder is None else 20)


@pytest.mark.slow
@pytest.mark.parametrize("in_one_conversation", [True, False])
@pytest.mark.gen_test
async def test_whoever_meets_a_key_that_is_being_kept_waits_for_how_that_ends(
    mongod: ReplicaSet, local: Place, in_one_conversation: bool
) -> None:
    one, other = await local.open(), await local.open()
    of = conversation() if in_one_conversation else None
    if of is not None:
        await one.create_conversation(of)
    slow = {"blockConnection": True, "blockTimeMS": 500}

    with mongod.failing("commitTransaction", times=1, **slow):
        racing = (asked(one, of), asked(other, of))
        outcomes = await asyncio.gather(*racing, return_exceptions=True)

    assert ["KeyTaken", "Message"] == sorted(type(each).__name__ for each in outcomes)


@pytest.mark.gen_test
async def test_a_key_that_is_kept_while_a_refused_question_looks_around_is_taken_and_not_busy(
    mongod: ReplicaSet, local: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await local.open(), await local.open()
    of = conversation()
    await one.create_conversation(of)
    looks = 0

    def kept_behind_the_first(look: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
        async def looked(*args: Any) -> Any:
            nonlocal looks
            found = await look(*args)
            looks += 1
            if looks == 1:
                await asked(one, of)
            return found

        return looked

    for name in ("_live_answer_id", "_check_key_claim"):  # whichever comes first
        monkeypatch.setattr(MongoStorage, name, kept_behind_the_first(getattr(MongoStorage, name)))
    met_another = {"errorCode": 112, "errorLabels": ["TransientTransactionError"]}
    with mongod.failing("findAndModify", times=1, **met_another), pytest.raises(KeyTaken):
        await asked(other, of)
    assert await stands_for(one) == await one.live_answer("alice", of.id)


@pytest.mark.gen_test
async def test_a_key_that_shows_later_than_its_answer_is_taken_and_not_busy(
    mongo: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when they lie on two shards."""
    storage = await mongo.open()
    answer = await asked(storage)
    of = await storage.conversation("alice", answer.conversation_id)
    check, looks = MongoStorage._check_key_claim, 0

    async def not_yet(*args: Any) -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            await check(*args)

    monkeypatch.setattr(MongoStorage, "_check_key_claim", not_yet)
    with pytest.raises(KeyTaken):
        await asked(storage, of)
    assert 2 == looks


# Lost replies


@pytest.mark.slow
@pytest.mark.parametrize("how", [UNKNOWN, {"closeConnection": True}])
@pytest.mark.parametrize("handed", [True, False])
@pytest.mark.gen_test
async def test_a_question_with_a_key_whose_commit_goes_unanswered_is_kept_once(
    mongod: ReplicaSet, local: Place, how: dict[str, Any], handed: bool
) -> None:
    storage = await local.open()
    before = (await asked(storage)).id if handed else None
    with mongod.failing("commitTransaction", times=5, **how):
        answer = await asked(storage, replaces=before)
    assert await stands_for(storage) == answer.id
    assert await messages(storage, answer.conversation_id) == [answer.parent_id, answer.id]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["update", "findAndModify", "insert", "commitTransaction"])
@pytest.mark.parametrize(
    "how",
    [
        {"closeConnection": True},
        {"errorCode": 112, "errorLabels": ["TransientTransactionError"]},  # met another one
        {"errorCode": 251, "errorLabels": ["TransientTransactionError"]},  # lost in an election
    ],
)
@pytest.mark.gen_test
async def test_a_question_with_a_key_survives_a_command_that_fails(
    mongod: ReplicaSet, local: Place, command: str, how: dict[str, Any]
) -> None:
    storage = await local.open()
    with mongod.failing(command, times=1, **how):
        answer = await asked(storage)
    assert await stands_for(storage) == answer.id
    assert await messages(storage, answer.conversation_id) == [answer.parent_id, answer.id]


# Expiry


@pytest.mark.gen_test
async def test_mongodb_is_told_to_forget_keys_after_a_day(
    mongo: Place, database: Database[dict[str, Any]]
) -> None:
    storage = await mongo.open()
    await asked(storage)
    [lifetime] = INDEXES["idempotency_keys"]
    made = database["idempotency_keys"].index_information()[lifetime["name"]]
    assert (made["key"], made["expireAfterSeconds"]) == ([("created_at", 1)], KEY_SECONDS)

    database["idempotency_keys"].delete_many({})  # as it does

    assert await stands_for(storage) is None
    second = await asked(storage)
    assert await stands_for(storage) == second.id
