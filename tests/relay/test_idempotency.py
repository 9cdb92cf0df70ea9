"""Asking again under one key: one question, one call, one answer."""

import asyncio

import pytest
from tornado.ioloop import IOLoop

from model.messages import Status
from providers.errors import RateLimited
from relay.ask_request import AskRequest, AskResult
from relay.errors import KeyReused
from storage.errors import StorageError
from tests.relay.relays import USER, RelayProcess, Starting

KEYED = AskRequest(user=USER, content="q", idempotency_key="k")


@pytest.mark.gen_test
async def test_asking_again_is_given_the_answer_that_there_is(process: RelayProcess) -> None:
    first, is_first_new = await process.relay.ask(KEYED)

    again, is_again_new = await process.relay.ask(KEYED)

    assert first is again
    assert (True, False) == (is_first_new, is_again_new)


@pytest.mark.gen_test
async def test_tries_of_the_same_moment_share_one_call(process: RelayProcess) -> None:
    results = await asyncio.gather(*(process.relay.ask(KEYED) for _ in range(20)))
    await process.source.asked.wait()

    assert 1 == len({result.answer.id for result in results})
    assert 1 == len(process.source.prompts)


@pytest.mark.gen_test
async def test_one_key_stands_for_one_question(process: RelayProcess) -> None:
    await process.relay.ask(KEYED)

    with pytest.raises(KeyReused):
        await process.relay.ask(AskRequest(user=USER, content="other", idempotency_key="k"))

    _, is_new = await process.relay.ask(
        AskRequest(user="bob", content="other", idempotency_key="k")
    )
    assert is_new


@pytest.mark.gen_test
async def test_whoever_is_refused_may_ask_again_under_the_same_key(process: RelayProcess) -> None:
    process.store.fail("ask", times=1)
    with pytest.raises(StorageError):
        await process.relay.ask(KEYED)

    answer, is_new = await process.relay.ask(KEYED)

    assert is_new
    assert Status.LIVE is process.stored(answer).status


@pytest.mark.gen_test
async def test_a_question_that_was_stored_and_never_sent_is_asked_again_beside_its_answer(
    process: RelayProcess,
) -> None:
    process.store.fail("ask", kept=True, times=1)
    with pytest.raises(StorageError):
        await process.relay.ask(KEYED)

    answer, is_new = await process.relay.ask(KEYED)
    await process.source.asked.wait()

    assert is_new
    assert 3 == len(process.storage.memory.messages)  # the question, and two answers to it
    assert {answer.id} == {key.answer_id for key in process.storage.memory.keys.values()}
    assert 1 == len(process.source.prompts)


def test_another_process_finds_the_answer_too(start_relay: Starting, io_loop: IOLoop) -> None:
    owner, other = start_relay(), start_relay()

    async def ask_both() -> None:
        first, _ = await owner.relay.ask(KEYED)
        again, is_new = await other.relay.ask(KEYED)
        assert (first.id, False) == (again.id, is_new)

    io_loop.run_sync(ask_both)
    assert not other.source.connected.is_set()


@pytest.mark.gen_test
async def test_whoever_leaves_takes_the_question_from_no_other_that_shares_it(
    process: RelayProcess,
) -> None:
    gate = process.store.hold("ask")
    leaving = asyncio.create_task(process.relay.ask(KEYED))
    staying = asyncio.create_task(process.relay.ask(KEYED))
    await gate.reached.wait()

    leaving.cancel()
    await asyncio.wait([leaving])
    gate.open.set()

    answer, _ = await staying
    assert Status.LIVE is process.stored(answer).status
    assert 1 == process.store.calls.count("ask")


@pytest.mark.gen_test
async def test_two_questions_at_once_under_one_key_are_not_taken_for_one(
    process: RelayProcess,
) -> None:
    other = AskRequest(user=USER, content="other", idempotency_key="k")

    asked = await asyncio.gather(
        process.relay.ask(KEYED), process.relay.ask(other), return_exceptions=True
    )

    assert [True, False] == [isinstance(each, AskResult) for each in asked]
    assert isinstance(asked[1], KeyReused)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_question_whose_storing_is_in_doubt_is_not_taken_for_asked(
    process: RelayProcess,
) -> None:
    process.store.fail("ask", kept=True, times=1)
    process.store.fail("end_answer", times=2)  # so that its answer is live in the store for longer
    with pytest.raises(StorageError):
        await process.relay.ask(KEYED)

    answer, is_new = await process.relay.ask(KEYED)

    assert is_new
    assert Status.LIVE is process.stored(answer).status


@pytest.mark.gen_test
async def test_a_question_whose_answer_failed_is_not_asked_again(process: RelayProcess) -> None:
    process.source.error = RateLimited()
    first, _ = await process.relay.ask(KEYED)
    await process.source.asked.wait()
    process.source.end()
    await process.relay.idle()

    again, is_new = await process.relay.ask(KEYED)

    assert (first.id, False) == (again.id, is_new)
    assert again.ending is not None
    assert Status.FAILED is again.ending.status
