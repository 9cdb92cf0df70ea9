"""Tokens are held while the process is busy, by clocks that the test sets."""

import asyncio

import pytest

from model.messages import Ending, Status, now
from relay.answer import Answer
from relay.pacing import Pacer
from relay.reader import Reader
from tests.steps import until

MANY = range(100)  # live answers


class _Clocks:
    """The time, and how much of it the event loop has computed."""

    def __init__(self) -> None:
        self.time = 0.0
        self.busy = 0.0

    def pass_by(self, seconds: float, *, busy: float) -> None:
        """Let time pass, of which this share was busy."""
        self.time += seconds
        self.busy += seconds * busy

    def pacer(self, live: range = MANY, max_seconds: float = 0.02) -> Pacer:
        return Pacer(max_seconds, live, clock=lambda: self.time, busy_clock=lambda: self.busy)


class _Read:
    """An answer whose reader takes what is delivered, at once."""

    def __init__(self, pacer: Pacer) -> None:
        self.answer = Answer("c-a", "c", "c-q", "openai/m")
        self.events: list[str] = []
        self.over = False
        self._pacer = pacer
        self._reader = Reader(self.answer)
        self._reader.push = self._push
        self.answer.attach(self._reader)
        self._task = asyncio.create_task(self._read())

    async def begin(self) -> None:
        """Deliver the first token, which is never held."""
        await asyncio.sleep(0)  # until the reader waits
        self.say("0")
        assert ["0"] == self.events
        self.events.clear()

    def say(self, text: str) -> None:
        self.answer.append_text(text)
        self._pacer.deliver(self.answer)

    async def end(self) -> None:
        self.answer.end(Ending(status=Status.COMPLETE, blocks=(), ended_at=now()))
        await self._task

    def _push(self) -> bool:
        self.events += ["".join(piece.text for piece in self._reader.take())]
        return self._reader.is_level

    async def _read(self) -> None:
        assert await self._reader.growth() is None
        self.over = True


@pytest.mark.gen_test
async def test_nothing_is_held_while_the_process_has_time() -> None:
    clocks = _Clocks()
    read = _Read(pacer := clocks.pacer())
    await read.begin()

    for letter in "abc":
        clocks.pass_by(0.1, busy=0.5)
        read.say(letter)

    assert ["a", "b", "c"] == read.events
    assert 0 == pacer.window
    await read.end()


@pytest.mark.parametrize(
    ("busy", "window"), [(0.4, 0), (0.5, 0), (0.6, 0.005), (0.7, 0.01), (0.9, 0.02), (1, 0.02)]
)
@pytest.mark.gen_test
async def test_the_window_grows_with_the_busy_share_up_to_what_is_set(
    busy: float, window: float
) -> None:
    clocks = _Clocks()
    pacer = clocks.pacer()

    clocks.pass_by(0.1, busy=busy)

    assert window == pytest.approx(pacer.window)


@pytest.mark.gen_test
async def test_tokens_within_a_window_are_one_event_at_its_end() -> None:
    clocks = _Clocks()
    first, second = (_Read(pacer) for pacer in [clocks.pacer()] * 2)
    await first.begin()
    await second.begin()
    clocks.pass_by(0.1, busy=1)

    for letter in "abc":
        first.say(letter)
        second.say(letter.upper())
    held = first.events + second.events
    await until(lambda: bool(second.events))

    assert [] == held
    assert (["abc"], ["ABC"]) == (first.events, second.events)
    await first.end()
    await second.end()


@pytest.mark.gen_test
async def test_a_first_token_and_one_that_opens_a_block_are_not_held() -> None:
    clocks = _Clocks()
    read = _Read(pacer := clocks.pacer())
    clocks.pass_by(0.1, busy=1)
    assert pacer.window

    await read.begin()
    read.answer.append_reasoning("hm")
    pacer.deliver(read.answer)

    assert ["hm"] == read.events
    await read.end()


@pytest.mark.gen_test
async def test_an_end_is_not_held_and_takes_along_what_was() -> None:
    clocks = _Clocks()
    read = _Read(clocks.pacer(max_seconds=1000))
    await read.begin()
    clocks.pass_by(0.1, busy=1)
    read.say("a")
    assert [] == read.events

    await read.end()

    assert ["a"] == read.events
    assert read.over


@pytest.mark.gen_test
async def test_nothing_is_held_while_there_are_few_answers_however_much_they_say() -> None:
    clocks = _Clocks()
    read = _Read(clocks.pacer(live=range(15)))
    await read.begin()

    for _token in range(1000):
        clocks.pass_by(0.001, busy=1)
        read.say("x")

    assert ["x"] * 1000 == read.events
    await read.end()


@pytest.mark.gen_test
async def test_a_burst_is_forgotten_with_the_next_measurement() -> None:
    clocks = _Clocks()
    read = _Read(pacer := clocks.pacer())
    await read.begin()
    clocks.pass_by(10, busy=1)
    assert pacer.window

    clocks.pass_by(0.05, busy=0.1)
    read.say("a")

    assert ["a"] == read.events
    await read.end()


@pytest.mark.gen_test
async def test_with_no_window_nothing_is_ever_held() -> None:
    clocks = _Clocks()
    read = _Read(clocks.pacer(max_seconds=0))
    await read.begin()

    clocks.pass_by(10, busy=1)
    read.say("a")

    assert ["a"] == read.events
    await read.end()


@pytest.mark.gen_test
async def test_many_answers_are_written_some_in_each_turn_of_the_loop() -> None:
    clocks = _Clocks()
    pacer = clocks.pacer()
    reads = [_Read(pacer) for _ in range(80)]
    for read in reads:
        await read.begin()
    clocks.pass_by(0.1, busy=1)
    for read in reads:
        read.say("a")

    written = []
    async with asyncio.timeout(1):
        while sum(written) < 80:
            before = sum(bool(read.events) for read in reads)
            await asyncio.sleep(0)
            written.append(sum(bool(read.events) for read in reads) - before)

    assert [32, 32, 16] == [count for count in written if count]
    for read in reads:
        await read.end()
