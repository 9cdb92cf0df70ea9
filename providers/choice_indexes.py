"""What an index of a choice numbers: the choice, or with some servers the chunk (0, 1, 2, ...).

Of several choices each index comes again, since each has many chunks; an index that counts chunks
is one higher each time. Until it is known which, a few chunks are held back.
"""

from collections.abc import Sequence
from typing import Final, Generic, Protocol, TypeVar

from providers.finish import finish_of

# Nobody is known to be asked for as many answers at once: so many chunks in a row are counted.
_COUNTED: Final = 8
# A finish mark tells earlier. Two chunks could be the only ones of two answers, though.
_FEWEST: Final = 3


class IndexedChoice(Protocol):
    """A choice, as far as its number goes."""

    index: int | None
    finish_reason: str | None


C = TypeVar("C", bound=IndexedChoice)


class ChoiceIndexes(Generic[C]):
    """The choices of one stream, a chunk at a time, from the first chunk that says something."""

    def __init__(self) -> None:
        self.is_settled = False  # an index means its choice: nobody need ask any more
        self._counts = False
        self._first = 0
        self._held: list[C] = []

    def begin(self, choices: Sequence[C]) -> None:
        """The first chunk that says something. It is read as it is."""
        self._first = choices[0].index or 0
        self.is_settled = len(choices) > 1 or finish_of(choices[0].finish_reason) is not None

    def known(self, choices: Sequence[C]) -> Sequence[C]:
        """The choices that can be read now that those of one more chunk came, in their order."""
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
        """What is held back: nothing more will come."""
        held, self._held = self._held, []
        return held

    @property
    def _count(self) -> int:
        """How many chunks came, the first with them; the next has as much more than the first."""
        return len(self._held) + 1

    def _as_one(self, choices: Sequence[C]) -> Sequence[C]:
        for choice in choices:
            choice.index = self._first
        return choices
