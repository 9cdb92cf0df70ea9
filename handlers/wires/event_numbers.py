"""Numbers for the events of protocols whose clients resume after a number.

A stream has two kinds of events: deltas, each of which is growth of one block, and structural
events, of which every block has some before its first delta and some after its last one. If every
code point came as a delta of its own, counting all events from 0 would number them. These are the
numbers, and a longer delta has the one of its last code point: the answer's position before that
code point, and the structural events before it. So no two events have the same number, and what
lies beyond a number is the same wherever the deltas were cut.

What moves the position without being text, such as the opening of a tool call, takes a number that
no event has.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from relay.answer import Answer

# The number of the last event of every stream, which tells how the answer ended. It is the largest
# that clients with 32 bits can hold: also one whose number is beyond what a crash left of the
# answer learns of the end.
LAST_NUMBER: Final = 2**31 - 1


class Structure(NamedTuple):
    """The number of structural events that a block has before its deltas, and after them."""

    opening: int
    closing: int


class EventStructure(NamedTuple):
    """The structural events of a protocol: before the first block, and of blocks by their type."""

    beginning: int
    of_types: Mapping[str, Structure]
    of_other_types: Structure

    def of_type(self, block_type: str) -> Structure:
        """The structural events of a block."""
        return self.of_types.get(block_type, self.of_other_types)


class EventNumbers:
    """The numbers of the events of one answer. The events of its beginning count from 0."""

    def __init__(self, answer: Answer, structure: EventStructure) -> None:
        self._answer = answer
        self._structure = structure
        # How many structural events there are before each block's first delta. Blocks keep their
        # types, so a count that was made stays true.
        self._before_deltas: list[int] = []
        self._next_opening = structure.beginning

    def opening(self, block: int) -> int:
        """The number of the first event that opens a block; the others follow on it."""
        opened = self._structure.of_type(self._answer.type_of(block)).opening
        return self._answer.start_of(block) + self._structure_before(block) - opened

    def delta(self, block: int, end: int) -> int:
        """The number of a delta whose last code point is the one before the position `end`."""
        return end - 1 + self._structure_before(block)

    def closing(self, block: int) -> int:
        """The number of the first event that closes a complete block; the others follow on it."""
        return self._end_of(block) + self._structure_before(block)

    def position_after(self, number: int) -> int:
        """The position from which a client reads on that has all events up to `number`.

        It has everything before the position, and of the events that come with the growth from
        there those up to `number`.
        """
        for block in range(self._answer.block_count):
            # All numbers up to `number` that are not those of structural events.
            position = number + 1 - self._structure_before(block)
            if position < self._end_of(block):
                return max(position, self._answer.start_of(block))
        return self._answer.position

    def _structure_before(self, block: int) -> int:
        """How many structural events there are before the first delta of a block."""
        counts = self._before_deltas
        while len(counts) <= block:
            opening, closing = self._structure.of_type(self._answer.type_of(len(counts)))
            counts.append(self._next_opening + opening)
            self._next_opening += opening + closing
        return counts[block]

    def _end_of(self, block: int) -> int:
        following = block + 1
        is_last = following == self._answer.block_count
        return self._answer.position if is_last else self._answer.start_of(following)
