"""Conversations are deleted with what is live in them, and answers are stopped, in one process."""

import asyncio

import pytest
from tornado.ioloop import IOLoop

from model.messages import Status
from relay.answer import Answer
from relay.ask_request import AskRequest
from relay.errors import StorageQuotaExceeded
from storage.errors import NotFound
from tests.relay.relays import USER, RelayProcess, Starting
from tests.storage.samples import conversation


@pytest.fixture
def other(start_relay: Starting) -> RelayProcess:
    """A second process, on the same store."""
    return start_relay()


async def _deleted(process: RelayProcess, answer: Answer) -> None:
    async with asyncio.timeout(3):
        await process.relay.conversations.delete(USER, answer.conversation_id)


@pytest.mark.gen_test
async def test_a_live_answer_is_stopped_before_its_conversation_is_deleted(
    process: RelayProcess,
) -> None:
    answer = await process.ask()

    await _deleted(process, answer)

    assert answer.ending is not None
    assert Status.STOPPED is answer.ending.status
    calls = process.store.calls
    assert calls.index("end_answer") < calls.index("delete_conversation")


@pytest.mark.gen_test
async def test_a_deleted_conversation_is_gone_with_its_messages(process: RelayProcess) -> None:
    answer = await process.answered()
    memory = process.storage.memory
    assert answer.id in memory.messages

    await _deleted(process, answer)

    assert ({}, {}) == (memory.conversations, memory.messages)


@pytest.mark.gen_test
async def test_nobody_elses_conversation_is_deleted_or_stopped(process: RelayProcess) -> None:
    answer = await process.ask()

    with pytest.raises(NotFound):
        await process.relay.conversations.delete("mallory", answer.conversation_id)

    assert Status.LIVE is process.stored(answer).status
    assert answer.ending is None


@pytest.mark.gen_test
async def test_an_answer_that_begins_while_its_conversation_is_deleted_is_stopped(
    process: RelayProcess,
) -> None:
    first = await process.answered()
    gate = process.store.hold("delete_conversation")
    deleting = asyncio.create_task(_deleted(process, first))
    await gate.reached.wait()
    late = await process.ask(conversation_id=first.conversation_id)

    gate.open.set()
    await deleting
    async with asyncio.timeout(5):  # a look at what the store has as live would come after ten
        await process.relay.idle()

    assert late.ending is not None
    assert process.source.left.is_set()


def test_what_a_deleted_conversation_leaves_is_purged_without_waiting_for_a_sweep(
    start_relay: Starting, io_loop: IOLoop
) -> None:
    process = start_relay(lease_seconds=1000.0)

    async def delete() -> None:
        answer = await process.answered()
        await process.store.called("next_deletion")  # the sweep of the start is over
        process.store.calls.clear()

        await _deleted(process, answer)

        async with asyncio.timeout(5):
            await process.store.called("next_deletion")

    io_loop.run_sync(delete)


def test_who_deletes_a_conversation_may_ask_again_at_once(
    start_relay: Starting, io_loop: IOLoop
) -> None:
    process = start_relay(allowance={"stored_bytes": 100_000})

    async def delete() -> None:
        deleted = conversation()
        await process.storage.create_conversation(deleted)
        process.storage.memory.stored_bytes = 100_000
        with pytest.raises(StorageQuotaExceeded):
            await process.relay.ask(AskRequest(user=USER, content="q"))
        process.storage.memory.stored_bytes = 0

        await process.relay.conversations.delete(USER, deleted.id)

        await process.ask()

    io_loop.run_sync(delete)


@pytest.mark.gen_test
async def test_the_orphan_of_a_deleted_conversation_is_ended_and_not_waited_for(
    process: RelayProcess, other: RelayProcess
) -> None:
    orphan = await other.ask()
    process.storage.memory.hand_over("dead", orphan.id)

    await _deleted(process, orphan)

    assert orphan.id not in process.storage.memory.messages
    assert "end_answer" in process.store.calls


@pytest.mark.gen_test
async def test_a_stop_returns_the_answer_as_it_is_stored(process: RelayProcess) -> None:
    answer = await process.ask()
    process.source.say("hello")

    stopped = await process.relay.stop(USER, answer.id)

    assert stopped is answer
    assert (Status.STOPPED, "hello") == (
        process.stored(answer).status,
        process.stored(answer).text,
    )
    assert process.source.left.is_set()


@pytest.mark.gen_test
async def test_a_stop_of_an_ended_answer_changes_nothing(process: RelayProcess) -> None:
    answer = await process.answered()

    stopped = await process.relay.stop(USER, answer.id)

    assert stopped.ending is not None
    assert Status.COMPLETE is stopped.ending.status


@pytest.mark.gen_test
async def test_nobody_else_stops_an_answer(process: RelayProcess) -> None:
    answer = await process.ask()

    with pytest.raises(NotFound):
        await process.relay.stop("mallory", answer.id)

    assert answer.ending is None


@pytest.mark.gen_test
async def test_a_stop_does_not_wait_for_a_store_that_hangs(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.stopping.STOP_TIMEOUT", 0.05)
    answer = await process.ask()
    gate = process.store.hold("end_answer")

    async with asyncio.timeout(3):
        stopped = await process.relay.stop(USER, answer.id)

    assert stopped.ending is None
    gate.open.set()
    await process.relay.idle()
    assert Status.STOPPED is process.stored(answer).status
