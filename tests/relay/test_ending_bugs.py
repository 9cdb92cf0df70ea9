"""A bug in ending an answer: its readers get an end all the same, and nothing stays taken."""

import asyncio
from collections.abc import Callable
from unittest.mock import AsyncMock

import pytest

from app.composition import call_each
from model.messages import Ending, Status
from relay.answer import Answer
from relay.ending_writer import EndingWriter
from relay.endings import disconnected_before_sending
from relay.errors import InternalError
from storage.errors import TooLarge
from tests.relay.relays import LIMITS, RelayProcess
from tests.steps import until


def _bug(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a bug")


async def _ended(process: RelayProcess) -> tuple[Answer, Ending]:
    """An answer that ends now, and the ending that its reader receives."""
    answer = await process.ask()
    with process.relay.reader(answer) as reader:
        process.source.say("hello")
        process.source.end()
        async with asyncio.timeout(3):
            ending = await reader.ended()
    assert ending is not None
    return answer, ending


@pytest.mark.parametrize(
    "where",
    [
        "relay.endings.estimate",
        "relay.timeline.Timeline.timing",
        "relay.answer.Answer.blocks",
        "relay.endings.Ending",
    ],
)
@pytest.mark.gen_test
async def test_a_bug_in_building_an_ending_ends_it_as_an_internal_error(
    process: RelayProcess,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: Callable[[str, str], None],
    where: str,
) -> None:
    expect_log("headrace.relay", "ending not built")
    monkeypatch.setattr(where, _bug)

    _, ending = await _ended(process)

    assert ending.error is not None
    assert (Status.FAILED, InternalError.code) == (ending.status, ending.error.code)
    async with asyncio.timeout(3):
        await process.relay.idle()


@pytest.mark.gen_test
async def test_a_bug_in_building_an_ending_leaves_no_answer_live_in_the_store(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.relay", "ending not built")
    monkeypatch.setattr("relay.timeline.Timeline.timing", _bug)
    answer = await process.ask()

    process.source.say("hello")
    process.source.end()
    async with asyncio.timeout(3):
        await process.relay.idle()

    stored = process.stored(answer)
    assert (Status.FAILED, "hello") == (stored.status, stored.text)


@pytest.mark.gen_test
async def test_a_bug_in_storing_an_ending_ends_it_as_an_internal_error_here_and_in_the_store(
    process: RelayProcess, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.relay", "ending not stored")
    process.store.fail("end_answer", error=ZeroDivisionError("a bug"), times=1)

    answer, ending = await _ended(process)

    assert ending.error is not None
    assert (Status.FAILED, InternalError.code) == (ending.status, ending.error.code)
    async with asyncio.timeout(3):
        await until(lambda: process.stored(answer).status is Status.FAILED)


@pytest.mark.gen_test
async def test_a_bug_in_counting_what_it_cost_takes_the_ending_from_no_reader(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.relay", "answer not ended properly")
    with monkeypatch.context() as broken:
        broken.setattr("relay.admission.Admission.charge", _bug)

        _, ending = await _ended(process)
        async with asyncio.timeout(3):
            await process.relay.idle()

    assert Status.COMPLETE is ending.status


@pytest.mark.gen_test
async def test_a_bug_in_whoever_is_told_of_an_answer_keeps_nobody_waiting(
    process: RelayProcess, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.relay", "answer not recorded")
    process.on_finished = _bug

    _, ending = await _ended(process)

    assert Status.COMPLETE is ending.status
    async with asyncio.timeout(3):
        await process.relay.idle()


@pytest.mark.gen_test
async def test_the_place_of_an_answer_that_met_a_bug_is_free_again(
    process: RelayProcess,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: Callable[[str, str], None],
) -> None:
    expect_log("headrace.relay", "ending not built")
    with monkeypatch.context() as broken:
        broken.setattr("relay.timeline.Timeline.timing", _bug)
        for _ in range(LIMITS.allowance.answers):
            await process.answered()

    answer = await process.answered()

    assert Status.COMPLETE is process.stored(answer).status


@pytest.mark.gen_test
async def test_an_orphan_that_meets_a_bug_keeps_no_other_one_live(
    process: RelayProcess, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.relay", "orphan not ended")
    spoiled, other = await process.ask(), await process.ask()
    process.storage.memory.hand_over("dead", spoiled.id, other.id)
    process.store.fail(
        "end_answer",
        error=ZeroDivisionError("a bug"),
        when=lambda answer_id, *_: answer_id == spoiled.id,
    )

    await process.relay.open()

    assert (Status.LIVE, Status.INTERRUPTED) == (
        process.stored(spoiled).status,
        process.stored(other).status,
    )


@pytest.mark.gen_test
async def test_a_bug_in_noting_the_end_of_a_call_keeps_nobody_waiting(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("asyncio", "Exception in callback")
    monkeypatch.setattr("relay.timeline.Timeline.note_closed", _bug)

    _, ending = await _ended(process)

    assert ending.status in (Status.COMPLETE, Status.FAILED)
    async with asyncio.timeout(3):
        await process.relay.idle()


@pytest.mark.gen_test
async def test_a_bug_in_noting_a_cancellation_leaves_no_call_going_on(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.timeline.Timeline.note_cancelled", _bug)
    answer = await process.ask()

    with pytest.raises(ZeroDivisionError):
        await process.relay.stop("alice", answer.id)

    async with asyncio.timeout(3):
        await process.relay.idle()
    assert Status.STOPPED is process.stored(answer).status


@pytest.mark.gen_test
async def test_a_bug_in_the_writer_of_endings_leaves_no_answer_live_in_the_store(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.relay", "answer not ended properly")
    monkeypatch.setattr("relay.ending_writer.EndingWriter.write", _bug)

    answer, ending = await _ended(process)

    assert Status.FAILED is ending.status
    await until(lambda: process.stored(answer).status is Status.FAILED)


@pytest.mark.gen_test
async def test_a_bug_in_shortening_a_late_ending_does_not_prevent_the_next_one(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.relay", "ending not stored, retries given up")
    monkeypatch.setattr("relay.ending_writer.too_long", _bug)
    end_answer = AsyncMock(side_effect=[TooLarge("too large"), True])
    monkeypatch.setattr(process.storage, "end_answer", end_answer)
    writer = EndingWriter(process.storage, lease_seconds=1.0)

    writer.write_if_stored("first", disconnected_before_sending())
    writer.write_if_stored("second", disconnected_before_sending())

    await until(lambda: writer.late == 0)
    assert 2 == end_answer.await_count
    await writer.close()


@pytest.mark.gen_test
async def test_a_listener_that_raises_costs_no_other_the_record(
    process: RelayProcess, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace", "answer not recorded")
    process.on_finished = call_each(_bug, process.records.append)

    answer, _ = await _ended(process)

    await until(lambda: [answer.id] == [record.answer_id for record in process.records])


@pytest.mark.gen_test
async def test_a_bug_in_ending_an_answer_for_its_readers_leaves_nothing_live(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.relay", "answer not ended properly")
    expect_log("headrace.relay", "readers not informed of the end")
    monkeypatch.setattr("relay.answer.Answer.end", _bug)
    answer = await process.ask()

    process.source.end()

    async with asyncio.timeout(3):
        await process.relay.idle()
        await until(lambda: process.stored(answer).status is not Status.LIVE)
    assert [answer.id] == [record.answer_id for record in process.records]


@pytest.mark.gen_test
async def test_a_bug_in_cancelling_one_answer_leaves_no_other_going_on_at_a_shutdown(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.relay", "answer not cancelled properly")
    monkeypatch.setattr("relay.timeline.Timeline.note_cancelled", _bug)
    answers = [await process.ask(), await process.ask()]

    async with asyncio.timeout(3):
        await process.relay.close()

    assert [Status.INTERRUPTED] * 2 == [process.stored(each).status for each in answers]


@pytest.mark.gen_test
async def test_a_bug_in_abandoning_one_answer_leaves_no_other_going_on_without_readers(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str, str], None]
) -> None:
    expect_log("headrace.relay", "answer not abandoned properly")
    monkeypatch.setattr("relay.timeline.Timeline.note_cancelled", _bug)
    answers = [await process.ask(grace_seconds=0.01), await process.ask(grace_seconds=0.01)]

    with process.relay.reader(answers[0]), process.relay.reader(answers[1]):
        pass  # both times begin, and are over in the same turn

    async with asyncio.timeout(3):
        await process.relay.idle()
    assert [Status.ABANDONED] * 2 == [process.stored(each).status for each in answers]
