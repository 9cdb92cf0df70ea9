"""Answers of one process that are read, and stopped, at another one."""

import asyncio

import pytest

from model.messages import Status
from relay.answer import Answer
from relay.reader import Reader
from tests.relay.relays import USER, RelayProcess, Starting
from tests.steps import until

# Seconds. What is waited for here takes a few ticks of 0.05 or 0.2.
_SOON = 5.0


@pytest.fixture
def two(start_relay: Starting) -> tuple[RelayProcess, RelayProcess]:
    """The owner of an answer, and another process."""
    limits = {"default_grace_seconds": 0.0, "checkpoint_seconds": 0.05}
    return start_relay(**limits), start_relay(**limits)


async def _text(reader: Reader, text: str) -> None:
    """Read on until this has come."""
    while text:
        pieces = await reader.growth()
        assert pieces is not None
        text = text.removeprefix("".join(piece.text for piece in pieces))


async def _followed(owner: RelayProcess, answer: Answer) -> None:
    generation = owner.relay.live_answers.get(answer.id)
    assert generation is not None
    await until(lambda: generation.reader_timeout.is_followed)


@pytest.mark.gen_test
async def test_an_answer_grows_and_ends_for_a_reader_at_another_process(
    two: tuple[RelayProcess, RelayProcess],
) -> None:
    owner, other = two
    answer = await owner.ask()
    owner.source.say("a")

    async with asyncio.timeout(_SOON):
        remote = await other.relay.answer(USER, answer.id)
        with other.relay.reader(remote) as reader:
            await _text(reader, "a")
            owner.source.say("b")
            await _text(reader, "b")
            owner.source.end()
            ending = await reader.ended()

    assert remote is not answer
    assert ending is not None
    assert Status.COMPLETE is ending.status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_reader_elsewhere_keeps_an_answer_going_and_takes_it_with_them(
    two: tuple[RelayProcess, RelayProcess],
) -> None:
    owner, other = two
    answer = await owner.ask()
    async with asyncio.timeout(_SOON):
        remote = await other.relay.answer(USER, answer.id)
        with other.relay.reader(remote):
            with owner.relay.reader(answer):
                await _followed(owner, answer)
            goes_on = answer.ending is None

        await owner.relay.idle()

    assert goes_on
    assert Status.ABANDONED is owner.stored(answer).status


@pytest.mark.gen_test
async def test_a_stop_reaches_the_process_that_writes_the_answer(
    two: tuple[RelayProcess, RelayProcess],
) -> None:
    owner, other = two
    answer = await owner.ask()

    stopped = await other.relay.stop(USER, answer.id)

    async with asyncio.timeout(_SOON):
        await owner.relay.idle()
        await until(lambda: stopped.ending is not None)
    assert Status.STOPPED is owner.stored(answer).status


@pytest.mark.gen_test
async def test_a_process_that_goes_away_sends_its_readers_to_another_one_before_the_end(
    two: tuple[RelayProcess, RelayProcess],
) -> None:
    owner, other = two
    answer = await owner.ask()
    remote = await other.relay.answer(USER, answer.id)
    with other.relay.reader(remote) as reader:
        await _followed(owner, answer)

        await other.relay.close()

        assert None is await reader.ended()
    assert answer.ending is None


@pytest.mark.gen_test
async def test_answers_of_a_process_that_died_end_where_they_are_read(
    two: tuple[RelayProcess, RelayProcess],
) -> None:
    owner, other = two
    answer = await owner.ask()
    remote = await other.relay.answer(USER, answer.id)
    with other.relay.reader(remote) as reader:
        other.storage.memory.hand_over("dead", answer.id)

        await other.relay.open()

        async with asyncio.timeout(_SOON):
            ending = await reader.ended()
    assert ending is not None
    assert Status.INTERRUPTED is ending.status
