"""Growth reaches all readers of an answer, and none of them costs the others anything."""

import asyncio

import pytest

from model.growth import Piece
from model.messages import Ending, Status, now
from relay.answer import Answer
from relay.fan_out import AT_ONCE, FanOut
from relay.reader import Reader


class _Counted:
    """A reader that counts how often it is woken."""

    def __init__(self) -> None:
        self.woken = 0
        self.gone = False

    def wake(self) -> None:
        self.woken += 1

    def disconnect(self) -> None:
        self.gone = True


def _answer(*texts: str) -> Answer:
    answer = Answer("c-a", "c", "c-q", "openai/m")
    for text in texts:
        answer.append_text(text)
    return answer


async def _waiting(answer: Answer) -> tuple[Reader, "asyncio.Task[list[Piece] | None]"]:
    """A reader of the answer that has read all of it and waits."""
    reader = Reader(answer, answer.position)
    answer.attach(reader)
    task = asyncio.create_task(reader.growth())
    await asyncio.sleep(0)
    return reader, task


@pytest.mark.gen_test
async def test_so_many_readers_are_woken_at_once_and_the_others_in_turns() -> None:
    fan_out, readers = FanOut(), [_Counted() for _ in range(3 * AT_ONCE)]
    for reader in readers:
        fan_out.add(reader)

    fan_out.wake()
    seen = [sum(reader.woken for reader in readers)]
    for _turn in range(3):
        await asyncio.sleep(0)
        seen.append(sum(reader.woken for reader in readers))

    assert [AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE, 3 * AT_ONCE] == seen
    assert {1} == {reader.woken for reader in readers}


@pytest.mark.gen_test
async def test_growth_in_every_turn_starves_no_reader() -> None:
    fan_out, readers = FanOut(), [_Counted() for _ in range(5 * AT_ONCE)]
    for reader in readers:
        fan_out.add(reader)

    for _turn in range(8):
        fan_out.wake()
        await asyncio.sleep(0)

    assert {2} == {reader.woken for reader in readers[AT_ONCE:]}


@pytest.mark.gen_test
async def test_a_reader_that_was_removed_is_not_woken_by_the_loop() -> None:
    fan_out, readers = FanOut(), [_Counted() for _ in range(AT_ONCE + 2)]
    for reader in readers:
        fan_out.add(reader)
    fan_out.wake()

    fan_out.remove(readers[-1])
    await asyncio.sleep(0)

    assert [1, 0] == [reader.woken for reader in readers[-2:]]


def test_all_readers_are_disconnected_at_once() -> None:
    fan_out, readers = FanOut(), [_Counted() for _ in range(2 * AT_ONCE)]
    for reader in readers:
        fan_out.add(reader)

    fan_out.disconnect()

    assert all(reader.gone for reader in readers)


@pytest.mark.gen_test
async def test_a_reader_that_waits_is_pushed_to_before_deliver_returns() -> None:
    answer = _answer()
    reader, task = await _waiting(answer)
    taken = []

    def push() -> bool:
        taken.append(reader.take())
        return True

    reader.push = push
    answer.append_text("a")
    answer.append_text("b")
    answer.deliver()

    assert [[Piece(0, "text", "ab")]] == taken
    await asyncio.sleep(0)
    assert not task.done()
    reader.disconnect()
    assert await task is None


@pytest.mark.gen_test
async def test_what_was_not_pushed_is_the_readers_task_to_take() -> None:
    answer = _answer()
    reader, task = await _waiting(answer)
    reader.push = lambda: False

    answer.append_text("a")
    answer.deliver()

    assert [Piece(0, "text", "a")] == await task


@pytest.mark.gen_test
async def test_a_reader_that_raises_fails_alone_and_growing_raises_nothing() -> None:
    answer = _answer()
    raising, failed = await _waiting(answer)
    other, unharmed = await _waiting(answer)

    def push() -> bool:
        raise StopIteration  # the one exception that a future would refuse

    raising.push = push
    answer.append_text("a")
    answer.deliver()

    assert [Piece(0, "text", "a")] == await unharmed
    with pytest.raises(RuntimeError, match="StopIteration"):
        await failed
    assert other.position == answer.position


@pytest.mark.gen_test
async def test_readers_are_woken_only_if_something_grew_or_ended() -> None:
    answer = _answer("a")
    reader, task = await _waiting(answer)
    pushes = []

    def push() -> bool:
        pushes.append(reader.is_level)
        reader.take()
        return reader.is_level

    reader.push = push
    answer.deliver()
    answer.deliver()
    answer.append_text("b")
    answer.deliver()
    answer.deliver()
    answer.end(Ending(status=Status.COMPLETE, blocks=answer.blocks(), ended_at=now()))

    assert [True, False, False] == pushes
    assert await task is None


@pytest.mark.gen_test
async def test_growth_that_comes_with_the_end_is_followed_by_the_end() -> None:
    answer = _answer()
    reader, task = await _waiting(answer)

    def push() -> bool:
        reader.take()
        return reader.is_level

    reader.push = push
    answer.append_text("all of it")  # and it is not delivered before the end
    answer.end(Ending(status=Status.COMPLETE, blocks=answer.blocks(), ended_at=now()))

    assert await task is None
    assert reader.position == answer.position
