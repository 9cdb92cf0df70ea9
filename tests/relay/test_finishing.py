"""What is left of an ended answer: what its readers get, what counts, what is shared."""

import asyncio
from types import SimpleNamespace

import pytest
from tornado.ioloop import IOLoop

from model.blocks import ProviderData, ReasoningBlock, TextBlock
from model.messages import Ending, Status
from model.usage import Usage
from relay import usage_counters
from relay.answer import Answer
from relay.ask_request import AskRequest
from relay.endings import orphaned
from relay.errors import AnswerTooLong, StorageUnavailable, TokenBudgetSpent, TooManyQuestions
from storage.errors import Busy, KeyTaken, NotFound, TooLarge
from tests.relay.relays import USER, RelayProcess, Starting
from tests.steps import until


async def _ended(process: RelayProcess, answer: Answer) -> Ending:
    """The ending that a reader receives of an answer that ends now."""
    with process.relay.reader(answer) as reader:
        process.source.end()
        async with asyncio.timeout(5):
            ending = await reader.ended()
    assert ending is not None
    return ending


@pytest.mark.gen_test
async def test_no_reader_is_waited_for_once_the_answer_has_ended(process: RelayProcess) -> None:
    answer = await process.ask(grace_seconds=60.0)
    generation = process.relay.live_answers.get(answer.id)
    assert generation is not None
    with process.relay.reader(answer):
        pass
    waits = generation.reader_timeout.is_running

    process.source.end()
    await process.relay.idle()

    assert (True, False) == (waits, generation.reader_timeout.is_running)


@pytest.mark.gen_test
async def test_what_no_checkpoint_has_saved_is_no_backlog_once_its_ending_is_stored(
    process: RelayProcess,
) -> None:
    process.store.fail("append_chunks")
    answer = await process.ask()
    process.source.say("hello")
    unsaved = process.relay.stats.unsaved_chars

    process.source.end()
    await process.relay.idle()

    assert (5, 0) == (unsaved, process.relay.stats.unsaved_chars)
    assert "hello" == process.stored(answer).text


@pytest.mark.gen_test
async def test_readers_get_the_end_that_another_process_has_stored(process: RelayProcess) -> None:
    answer = await process.ask()
    kept = process.stored(answer)
    await process.storage.end_answer(answer.id, process.storage.process, orphaned(kept))
    process.source.say("hello")

    ending = await _ended(process, answer)

    assert Status.INTERRUPTED is ending.status
    assert ("", 0) == (process.stored(answer).text, answer.position)


@pytest.mark.gen_test
async def test_an_answer_whose_conversation_was_deleted_is_stopped_for_its_readers(
    process: RelayProcess,
) -> None:
    answer = await process.ask()
    await process.storage.delete_conversation(USER, answer.conversation_id)

    ending = await _ended(process, answer)

    assert (Status.STOPPED, None) == (ending.status, ending.finish_reason)


def test_the_tokens_of_an_answer_whose_conversation_was_deleted_count(
    start_relay: Starting, io_loop: IOLoop
) -> None:
    process = start_relay(allowance={"tokens_per_day": 30})

    async def ask() -> None:
        answer = await process.ask()
        process.source.sinks[-1].usage(Usage(20, 10))
        await process.storage.delete_conversation(USER, answer.conversation_id)
        process.source.end()
        await process.relay.idle()

        with pytest.raises(TokenBudgetSpent):
            await process.relay.ask(AskRequest(user=USER, content="q"))

    io_loop.run_sync(ask)


def test_a_question_that_was_stored_counts_in_its_minute(
    start_relay: Starting, io_loop: IOLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_counters, "time", SimpleNamespace(time=lambda: 1_790_000_000.0))
    process = start_relay(allowance={"questions_per_minute": 1})

    async def ask() -> None:
        await process.answered()

        with pytest.raises(TooManyQuestions):
            await process.relay.ask(AskRequest(user=USER, content="q"))

    io_loop.run_sync(ask)


@pytest.mark.gen_test
async def test_who_comes_while_an_ended_answer_is_still_read_shares_it(
    process: RelayProcess,
) -> None:
    answer = await process.ask()
    with process.relay.reader(answer) as reader:
        process.source.end()
        await reader.ended()
        await asyncio.sleep(0)  # until those who waited for the end alone have left
        process.store.calls.clear()

        shared = await process.relay.answer(USER, answer.id)

    assert shared is answer
    assert "message" not in process.store.calls


def test_an_answer_whose_end_is_not_stored_is_shared_with_nobody(
    start_relay: Starting, io_loop: IOLoop
) -> None:
    process = start_relay(lease_seconds=0.2)

    async def ask() -> None:
        process.store.fail("end_answer")
        answer = await process.ask()
        with process.relay.reader(answer) as reader:
            process.source.end()
            ending = await reader.ended()
            await asyncio.sleep(0)  # until it would be shared

            found = await process.relay.answer(USER, answer.id)

        assert ending is not None
        assert ending.error is not None
        assert StorageUnavailable.code == ending.error.code
        assert found is not answer

    io_loop.run_sync(ask)


def test_an_ending_that_the_store_did_not_take_is_stored_when_it_works_again(
    start_relay: Starting, io_loop: IOLoop
) -> None:
    process = start_relay(lease_seconds=0.2)

    async def ask() -> None:
        process.store.fail("end_answer")
        answer = await process.ask()
        told = await _ended(process, answer)
        is_live = process.stored(answer).status is Status.LIVE

        process.store.heal()

        async with asyncio.timeout(5):
            await until(lambda: process.stored(answer).status is not Status.LIVE)
        assert is_live
        assert Status.INTERRUPTED is told.status
        assert (told.status, told.error) == (
            process.stored(answer).status,
            process.stored(answer).error,
        )

    io_loop.run_sync(ask)


@pytest.mark.gen_test
async def test_an_ending_that_is_too_large_for_the_store_is_stored_as_its_text(
    process: RelayProcess,
) -> None:
    process.store.fail("end_answer", error=TooLarge("the test says so"), times=1)
    answer = await process.ask()
    process.source.sinks[-1].reasoning("hm")
    process.source.say("hello")

    ending = await _ended(process, answer)

    assert ending.error is not None
    assert (Status.FAILED, AnswerTooLong.code) == (ending.status, ending.error.code)
    assert (TextBlock("hello"),) == process.stored(answer).blocks


@pytest.mark.gen_test
async def test_the_frames_of_an_error_are_let_go_of_with_its_answer(process: RelayProcess) -> None:
    answer = await process.ask()
    generation = process.relay.live_answers.get(answer.id)
    assert generation is not None
    process.source.error = StorageUnavailable()

    process.source.end()
    await process.relay.idle()

    assert process.source.error is generation.upstream.error
    assert process.source.error.__traceback__ is None


@pytest.mark.parametrize("error", [NotFound(), Busy("a"), KeyTaken()], ids=repr)
@pytest.mark.gen_test
async def test_a_question_that_the_store_refuses_has_no_ending_to_be_written(
    process: RelayProcess, error: Exception
) -> None:
    process.store.fail("ask", error=error)

    with pytest.raises(type(error)):
        await process.relay.ask(AskRequest(user=USER, content="q"))

    assert 0 == process.relay.stats.late_endings


@pytest.mark.gen_test
async def test_a_providers_data_that_a_peer_could_not_read_is_not_stored(
    process: RelayProcess,
) -> None:
    process.storage.memory.unreadable = frozenset({"data"})
    answer = await process.ask()

    process.source.sinks[-1].reasoning("hm")
    process.source.sinks[-1].data(ProviderData("scripted", "m", {"signature": "x"}))
    process.source.end()
    await process.relay.idle()

    assert (ReasoningBlock("hm"),) == process.stored(answer).blocks
