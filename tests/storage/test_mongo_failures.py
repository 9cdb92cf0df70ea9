"""MongoDB alone: lost replies, lost connections, and servers that die."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from model.blocks import TextBlock
from model.messages import Message, Status, now
from storage.contract import Storage
from storage.errors import NotFound, StorageError
from storage.mongo import queries
from storage.mongo.store import MongoStorage
from storage.values import Changes
from tests.mongod import ReplicaSet, replica_set
from tests.storage.conftest import Place
from tests.storage.samples import (
    UNKNOWN,
    ask,
    begun,
    conversation,
    count,
    ending,
    exchange,
    text_chunks,
)


@pytest.fixture
def own_set(tmp_path: Path) -> Iterator[ReplicaSet]:
    """A replica set of this test's own, to kill."""
    with replica_set(tmp_path) as started:
        yield started


# Lost replies and lost connections


@pytest.mark.slow
@pytest.mark.parametrize("how", [UNKNOWN, {"closeConnection": True}])
@pytest.mark.gen_test
async def test_a_question_whose_commit_goes_unanswered_is_kept_once(
    mongod: ReplicaSet, local: Place, how: dict[str, Any]
) -> None:
    storage = await local.open()
    new = conversation()
    question, answer = exchange(new, owner=storage.process)
    with mongod.failing("commitTransaction", times=5, **how):
        await storage.ask(question, answer, title="t", new=new)
    page = await storage.messages("alice", new.id, limit=9, before=None)
    assert [message.id for message in page.data] == [question.id, answer.id]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["findAndModify", "insert", "commitTransaction"])
@pytest.mark.parametrize(
    "how",
    [
        {"closeConnection": True},
        {"errorCode": 112, "errorLabels": ["TransientTransactionError"]},  # met another one
        {"errorCode": 251, "errorLabels": ["TransientTransactionError"]},  # lost in an election
    ],
)
@pytest.mark.gen_test
async def test_a_question_survives_a_command_that_fails(
    mongod: ReplicaSet, local: Place, command: str, how: dict[str, Any]
) -> None:
    storage = await local.open()
    new = conversation()
    question, answer = exchange(new, owner=storage.process)
    with mongod.failing(command, times=1, **how):
        await storage.ask(question, answer, title="t", new=new)
    page = await storage.messages("alice", new.id, limit=9, before=None)
    assert [0, 1] == [message.ordinal for message in page.data]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_deletion_whose_commit_goes_unanswered_is_done(
    mongod: ReplicaSet, local: Place
) -> None:
    storage = await local.open()
    answer = await begun(storage)
    with mongod.failing("commitTransaction", times=5, **UNKNOWN):
        await storage.delete_conversation("alice", answer.conversation_id)
    with pytest.raises(NotFound):
        await storage.conversation("alice", answer.conversation_id)


@pytest.mark.gen_test
async def test_growth_that_no_majority_acknowledged_is_not_taken_for_kept(
    mongod: ReplicaSet, local: Place
) -> None:
    storage = await local.open()
    answer = await begun(storage)
    chunks = text_chunks(answer.id, "a", "b")
    with mongod.failing("insert", times=2, **UNKNOWN):
        with pytest.raises(StorageError):
            await storage.append_chunks(chunks[:1])
        with pytest.raises(StorageError):  # a duplicate, and still no majority
            await storage.append_chunks(chunks)
    await storage.append_chunks(chunks)
    assert (await storage.message("alice", answer.id)).blocks == (TextBlock("ab"),)


@pytest.mark.gen_test
async def test_an_ending_whose_reply_was_lost_is_ours_when_it_is_tried_again(
    mongod: ReplicaSet, local: Place
) -> None:
    storage = await local.open()
    answer = await begun(storage)
    end = ending(TextBlock("whole"))
    with mongod.failing("update", times=1, **UNKNOWN):
        with pytest.raises(StorageError):
            await storage.end_answer(answer.id, storage.process, end)
        assert await storage.end_answer(answer.id, storage.process, end)


@pytest.mark.alone
@pytest.mark.gen_test
async def test_an_ending_that_lands_while_the_answer_is_read_is_what_is_told(
    mongod: ReplicaSet, local: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as live, it ends, and its first chunks are cleared away before they are read."""
    storage = await local.open()
    answer = await begun(storage)
    end = ending(TextBlock("abc"))
    await storage.append_chunks(text_chunks(answer.id, "a", "b", "c")[1:])
    chunks_of_answer = queries.chunks_of_answer

    def end_first(answer_id: str) -> dict[str, Any]:
        with MongoClient[dict[str, Any]](local.url) as client:
            fields = {"status": "complete", "blocks": [{"type": "text", "text": "abc"}]}
            messages = client.get_default_database()["messages"]
            messages.update_one({"_id": answer_id}, {"$set": fields | {"ended_at": end.ended_at}})
        return chunks_of_answer(answer_id)

    monkeypatch.setattr(queries, "chunks_of_answer", end_first)
    kept = await storage.message("alice", answer.id)
    assert (kept.status, kept.blocks) == (Status.COMPLETE, end.blocks)


# Servers that die


@contextlib.asynccontextmanager
async def loop_watched(still: float = 1.5) -> Any:
    """Fails if the event loop did not run for `still` seconds, because a call blocked its
    thread.
    """
    longest, running = 0.0, True

    async def tick() -> None:
        nonlocal longest
        while running:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)

    ticking = asyncio.create_task(tick())
    yield
    running = False
    await ticking
    assert longest < still


def connections(database: Database[dict[str, Any]]) -> int:
    """How many the server has from our stores, idle ones too."""
    asked = [{"$currentOp": {"idleConnections": True}}, {"$match": {"appName": "headrace"}}]
    return len(list(database.client.admin.aggregate(asked)))


@pytest.mark.slow
@pytest.mark.parametrize("doing", ["opening", "closing"])
@pytest.mark.gen_test
async def test_whoever_leaves_while_it_opens_or_closes_leaves_no_connection(
    mongod: ReplicaSet, local: Place, doing: str
) -> None:
    storage = MongoStorage(local.url, "p", 30)
    slow = {"blockConnection": True, "blockTimeMS": 300}
    with MongoClient[dict[str, Any]](local.url) as client:
        database = client.get_default_database()
        if doing == "opening":
            with mongod.failing("hello", "listCollections", times=1, **slow):
                leaving = asyncio.create_task(storage.open())
                while not connections(database):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                leaving.cancel()
                await asyncio.wait([leaving])
        else:
            await storage.open()
            with mongod.failing("find", times=1, **slow):
                asking = asyncio.create_task(storage.live_answer("alice", "c"))
                await asyncio.sleep(0)
                leaving = asyncio.create_task(storage.close())
                await asyncio.sleep(0)
                leaving.cancel()
                await asyncio.wait([leaving, asking])
                assert asking.exception() is not None

        assert leaving.cancelled()
        async with asyncio.timeout(4):
            while connections(database):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_transaction_that_is_slow_to_end_does_not_hold_up_the_loop(
    mongod: ReplicaSet, local: Place
) -> None:
    storage = await local.open()
    slow = {"blockConnection": True, "blockTimeMS": 900}
    with mongod.failing("abortTransaction", times=1, **slow):
        async with loop_watched(still=0.8):
            with pytest.raises(NotFound):
                await ask(storage, conversation())


def every_operation(storage: Storage, answer: Message) -> list[Awaitable[object]]:
    of, user = answer.conversation_id, "alice"
    return [
        storage.ping(),
        storage.create_conversation(conversation()),
        storage.conversation(user, of),
        storage.conversations(user, limit=1, after=None),
        storage.change_conversation(user, of, Changes(title="t"), now()),
        storage.delete_conversation(user, of),
        begun(storage),
        storage.message(user, answer.id),
        storage.messages(user, of, limit=1, before=None),
        storage.branch(user, of, limit=1, last=None),
        storage.live_answer(user, of),
        storage.idempotency_key(user, "k"),
        storage.append_chunks(text_chunks(answer.id, "x")),
        storage.end_answer(answer.id, storage.process, ending()),
        storage.renew_lease({}),
        storage.unreadable({"image"}),
        storage.peer_requests(),
        storage.answer_updates({answer.id: 0}),
        storage.share_counts([count()]),
        storage.own_live_answers(),
        storage.orphans(),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "freeze"])
@pytest.mark.gen_test
async def test_without_a_server_everything_fails_in_time_and_works_when_it_is_back(
    own_set: ReplicaSet, fault: str
) -> None:
    [server] = own_set.nodes
    storage = MongoStorage(own_set.url("x"), "p", 30)
    await storage.open()
    answer = await begun(storage)
    server.kill() if fault == "kill" else server.freeze()

    async with loop_watched():
        began = time.monotonic()
        outcomes = await asyncio.gather(*every_operation(storage, answer), return_exceptions=True)
        assert time.monotonic() - began < 10
    assert [type(outcome) for outcome in outcomes] == [StorageError] * len(outcomes)

    server.start() if fault == "kill" else server.thaw()
    own_set.primary()
    of = (await begun(storage)).conversation_id
    assert (await storage.conversation("alice", of)).id == of
    await storage.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_closing_without_a_server_takes_no_longer_than_a_moment(
    own_set: ReplicaSet,
) -> None:
    storage = MongoStorage(own_set.url("x"), "p", 30)
    await storage.open()
    own_set.nodes[0].freeze()
    async with loop_watched(), asyncio.timeout(10):
        await storage.close()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_was_acknowledged_survives_kill_9_of_the_server(own_set: ReplicaSet) -> None:
    storage = MongoStorage(own_set.url("x"), "p", 30)
    await storage.open()
    live, ended = await begun(storage), await begun(storage)
    await storage.append_chunks(text_chunks(live.id, "Hel", "lo"))
    await storage.end_answer(ended.id, "p", ending(TextBlock("whole")))

    own_set.nodes[0].kill()
    own_set.nodes[0].start()
    own_set.primary()

    assert (await storage.message("alice", live.id)).blocks == (TextBlock("Hello"),)
    assert (await storage.message("alice", ended.id)).status is Status.COMPLETE
    await storage.close()
