"""Numbers of events: every stream of an answer has the same, and none twice, however it is cut.

The checks are also held against numberings that are wrong, and have to find each of them.
"""

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.wires.event_numbers import LAST_NUMBER, EventNumbers, EventStructure, Structure
from model.blocks import ImageBlock, ProviderData
from relay.answer import Answer

STRUCTURE = EventStructure(
    2, {"text": Structure(2, 3), "reasoning": Structure(1, 0), "tool_call": Structure(1, 2)},
    Structure(1, 1),
)  # fmt: skip

_kinds = st.sampled_from(["text", "reasoning", "tool_call", "data", "image"])
_answers = st.lists(st.tuples(_kinds, st.integers(1, 5)), max_size=8)
Numbering = Callable[[Answer, EventStructure], EventNumbers]


class Event(NamedTuple):
    """An event of a stream: what it is, and up to where the answer is known with it."""

    number: int
    what: str
    position: int


def grown(growths: list[tuple[str, int]]) -> Answer:
    answer = Answer("c-a", "c", "c-q", "openai/m")
    for kind, chars in growths:
        match kind:
            case "text":
                answer.append_text("好" * chars)
            case "reasoning":
                answer.append_reasoning("r" * chars)
            case "tool_call":
                answer.open_tool_call("call", "f")
                answer.append_arguments("a" * (chars - 1))
            case "data":
                answer.append_data(ProviderData("anthropic", "m", 1))
            case "image":
                answer.append_whole(ImageBlock(url="https://localhost/i.png"))
    return answer


def stream(
    answer: Answer, numbers: EventNumbers, most: Callable[[], int], *, after: int = -1
) -> Iterator[Event]:
    """All events beyond `after`, as a wire sends them that knows nothing but this."""
    events = [Event(number, f"begin {number}", 0) for number in range(STRUCTURE.beginning)]
    position = numbers.position_after(after)
    while pieces := answer.beyond(position, most()):
        for piece in pieces:
            if position == answer.start_of(piece.block):
                if piece.block:
                    events += closing(answer, numbers, piece.block - 1, position)
                opened = STRUCTURE.of_type(piece.type).opening
                first = numbers.opening(piece.block)
                events += [
                    Event(first + k, f"open {piece.block}.{k}", position) for k in range(opened)
                ]
            position += piece.length
            end = position - (piece.data is not None)
            if piece.text:
                number = numbers.delta(piece.block, end)
                events.append(Event(number, f"delta {piece.block} to {end}", end))
    if answer.block_count:
        events += closing(answer, numbers, answer.block_count - 1, position)
    return iter([event for event in events if event.number > after])


def closing(answer: Answer, numbers: EventNumbers, block: int, position: int) -> list[Event]:
    closed = STRUCTURE.of_type(answer.type_of(block)).closing
    first = numbers.closing(block)
    return [Event(first + k, f"close {block}.{k}", position) for k in range(closed)]


def check(numbering: Numbering, growths: list[tuple[str, int]], chance: random.Random) -> None:
    """Raise AssertionError unless any streams of the answer agree, and go on from any event."""
    answer = grown(growths)

    def numbers() -> EventNumbers:
        return numbering(answer, STRUCTURE)

    finest = list(stream(answer, numbers(), lambda: 1))
    counted = [event.number for event in finest]
    assert counted == sorted(set(counted)), "numbers grow"
    assert all(number < LAST_NUMBER for number in counted)
    known = {event.what: event.number for event in finest}
    merged = list(stream(answer, numbers(), lambda: chance.randint(1, 4)))
    assert all(known[event.what] == event.number for event in merged), "wherever it was cut"
    for seen in merged:
        more = list(stream(answer, numbers(), lambda: chance.randint(1, 4), after=seen.number))
        structural = [each.what for each in finest if "delta" not in each.what]
        assert [each.what for each in more if "delta" not in each.what] == [
            what for what in structural if known[what] > seen.number
        ], "each structural event comes once"
        deltas = [each for each in finest if "delta" in each.what]
        expected = [each.position for each in deltas if each.number > seen.number]
        assert numbers().position_after(seen.number) >= seen.position
        begun = numbers().position_after(seen.number)
        assert [each.position for each in deltas if each.position > begun] == expected, (
            "a delta comes whole or not at all"
        )


@pytest.mark.slow
@given(_answers, st.randoms(use_true_random=False))
def test_streams_agree_wherever_they_are_cut_and_resumed(growths, chance) -> None:
    check(EventNumbers, growths, chance)


class DeltasByTheirEnd(EventNumbers):
    """A delta and the event behind it have the same number."""

    def delta(self, block: int, end: int) -> int:
        return super().delta(block, end) + 1


class ClosedTooEarly(EventNumbers):
    def closing(self, block: int) -> int:
        return super().closing(block) - 1


class OpenedTooLate(EventNumbers):
    def opening(self, block: int) -> int:
        return super().opening(block) + 1


class ByPositionAlone(EventNumbers):
    def delta(self, block: int, end: int) -> int:
        return end


class ResumedTooFar(EventNumbers):
    def position_after(self, number: int) -> int:
        return super().position_after(number) + 1


class ResumedTooEarly(EventNumbers):
    def position_after(self, number: int) -> int:
        return max(super().position_after(number) - 1, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        DeltasByTheirEnd,
        ClosedTooEarly,
        OpenedTooLate,
        ByPositionAlone,
        ResumedTooFar,
        ResumedTooEarly,
    ],
)
def test_a_wrong_numbering_is_found(wrong: type[EventNumbers]) -> None:
    growths = [("reasoning", 3), ("text", 4), ("tool_call", 3), ("data", 1), ("text", 2)]

    with pytest.raises(AssertionError):
        check(wrong, growths, random.Random(1))


def test_numbers_count_from_0_without_a_gap_where_all_positions_are_text() -> None:
    answer = grown([("reasoning", 2), ("text", 3)])

    events = list(stream(answer, EventNumbers(answer, STRUCTURE), lambda: 1))

    assert [event.number for event in events] == list(range(len(events)))


def test_a_number_beyond_the_answer_is_read_from_its_end() -> None:
    answer = grown([("text", 3), ("tool_call", 2)])

    position = EventNumbers(answer, STRUCTURE).position_after(LAST_NUMBER - 1)

    assert position == answer.position
