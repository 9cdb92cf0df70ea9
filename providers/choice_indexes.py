"""Finds out whether `index` numbers the choices or, as with some servers, the chunks (0, 1, 2,
...).

Of several choices each index occurs again and again, since each has many chunks; an index that
counts chunks grows by one each time. A few chunks are held back until that is known.
"""

from collections.abc import Sequence
from typing import Final, Generic, Protocol, TypeVar

from providers.finish import finish_of

# Chunks in a row, after which `index` counts them. No client is known to request as many answers.
_COUNTED: Final = 8
# With a finish mark fewer chunks suffice. Two are too few: they could be two answers of one chunk
# each.
_FEWEST: Final = 3


class IndexedChoice(Protocol):
    """The fields of a choice that are needed to find out what its index means."""

    index: int | None
    finish_reason: str | None


C = TypeVar("C", bound=IndexedChoice)


class ChoiceIndexes(Generic[C]):
    """The choices of one stream, chunk by chunk, from the first chunk with content."""

    def __init__(self) -> None:
        self.is_settled = False  # an index numbers the choice: no more checks are needed
        self._counts = False
        self._first = 0
        self._held: list[C] = []

    def begin(self, choices: Sequence[C]) -> None:
        """Note the first chunk with content, whose choices are read as they are."""
        self._first = choices[0].index or 0
        self.is_settled = len(choices) > 1 or finish_of(choices[0].finish_reason) is not None

    def known(self, choices: Sequence[C]) -> Sequence[C]:
        """Take the choices of one more chunk; return those that can be read by now, in order."""
        if not choices:
            return choices
        if self._counts:
            return self._as_one(choices)
        last = self._held[-1] if self._held else None
        follows = len(choices) == 1 and (choices[0].index or 0) == self._first + self._count
        if not follows or (last is not None and finish_of(last.finish_reason) is not None):
            self.is_settled = True
            return [*self.rest(), *choices]
        self._held += choices
        is_end = self._count >= _FEWEST and finish_of(choices[0].finish_reason) is not None
        if not is_end and self._count < _COUNTED:
            return ()
        self._counts = True
        return self._as_one(self.rest())

    def rest(self) -> Sequence[C]:
        """Return what is held back, since nothing more will come."""
        held, self._held = self._held, []
        return held

    @property
    def _count(self) -> int:
        """How many chunks came; if chunks are counted, the next index is as much higher than the
        first.
        """
        return len(self._held) + 1

    def _as_one(self, choices: Sequence[C]) -> Sequence[C]:
        for choice in choices:
            choice.index = self._first
        return choices
