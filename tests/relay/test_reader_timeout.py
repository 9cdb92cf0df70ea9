"""How long an answer goes on while nobody reads it, here or at another process."""

import asyncio
from collections.abc import Callable

import pytest

from model.messages import Status
from relay.generation import Generation
from relay.reader import Reader
from storage.errors import StorageError
from tests.relay.generations import generation_of, over
from tests.relay.scripted_source import ScriptedSource


class Peers:
    """Other processes: what comes of asking them who reads there is for the test to say."""

    def __init__(self) -> None:
        self.polled = asyncio.Event()
        self.answers = asyncio.Event()
        self.error: Exception | None = None

    async def poll(self) -> None:
        self.polled.set()
        if self.error is not None:
            raise self.error
        await self.answers.wait()


async def turns(count: int) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


def _connect(generation: Generation) -> Reader:
    reader = Reader(generation.answer)
    generation.answer.attach(reader)
    generation.reader_connected()
    return reader


def _disconnect(generation: Generation, reader: Reader) -> None:
    generation.answer.detach(reader)
    generation.reader_timeout.reader_disconnected()


async def _begun(**options: object) -> Generation:
    source = ScriptedSource()
    generation = generation_of(source, **options)  # type: ignore[arg-type]
    await source.asked.wait()
    return generation


@pytest.mark.gen_test
async def test_without_grace_the_last_reader_takes_the_answer_with_them() -> None:
    generation = await _begun(grace_seconds=0.0)
    one, other = _connect(generation), _connect(generation)
    _disconnect(generation, one)
    goes_on = generation.upstream.cancelled_as is None

    _disconnect(generation, other)

    assert goes_on
    assert Status.ABANDONED is (await over(generation)).upstream.cancelled_as


@pytest.mark.gen_test
async def test_without_an_end_to_its_grace_an_answer_waits_for_nobody() -> None:
    generation = await _begun(grace_seconds=None)

    _disconnect(generation, _connect(generation))

    assert not generation.reader_timeout.is_running
    generation.upstream.drop()


@pytest.mark.gen_test
async def test_whoever_comes_back_within_the_grace_ends_the_wait() -> None:
    generation = await _begun(grace_seconds=60.0)
    _disconnect(generation, _connect(generation))
    waits = generation.reader_timeout.is_running

    _connect(generation)

    assert waits
    assert not generation.reader_timeout.is_running
    generation.upstream.drop()


@pytest.mark.gen_test
async def test_a_reader_at_another_process_is_a_reader() -> None:
    generation = await _begun(grace_seconds=0.0)
    reader = _connect(generation)
    generation.reader_timeout.follow(True)
    _disconnect(generation, reader)
    goes_on = generation.upstream.cancelled_as is None

    generation.reader_timeout.follow(False)

    assert goes_on
    assert Status.ABANDONED is (await over(generation)).upstream.cancelled_as


@pytest.mark.gen_test
async def test_a_reader_who_is_expected_has_longer_than_the_grace() -> None:
    generation = await _begun(grace_seconds=0.0)

    generation.reader_timeout.expect_reader(60.0)

    assert generation.reader_timeout.is_running
    assert generation.upstream.cancelled_as is None
    generation.reader_timeout.stop()
    generation.upstream.drop()


@pytest.mark.gen_test
async def test_the_peers_are_asked_once_more_before_an_answer_is_abandoned() -> None:
    peers = Peers()
    generation = await _begun(grace_seconds=0.01, peers=peers)
    _disconnect(generation, _connect(generation))
    await peers.polled.wait()

    generation.reader_timeout.follow(True)
    peers.answers.set()
    await turns(3)

    assert generation.upstream.cancelled_as is None
    generation.upstream.drop()


@pytest.mark.gen_test
async def test_an_outage_leaves_no_answer_going_on_for_nobody() -> None:
    peers = Peers()
    peers.error = StorageError("the test says so")
    generation = await _begun(grace_seconds=0.01, peers=peers)

    _disconnect(generation, _connect(generation))

    async with asyncio.timeout(3):
        assert Status.ABANDONED is (await over(generation)).upstream.cancelled_as


@pytest.mark.gen_test
async def test_nor_does_a_bug_in_asking_the_peers(expect_log: Callable[[str, str], None]) -> None:
    expect_log("headrace.relay", "peer requests not read")
    peers = Peers()
    peers.error = ZeroDivisionError("a bug")
    generation = await _begun(grace_seconds=0.01, peers=peers)

    _disconnect(generation, _connect(generation))

    async with asyncio.timeout(3):
        assert Status.ABANDONED is (await over(generation)).upstream.cancelled_as
