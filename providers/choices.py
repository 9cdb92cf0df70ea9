"""Which of several choices is the answer: we never ask for more than one.

Some servers number what is one answer as two: its reasoning as choice 0, its text as choice 1. So
text follows the first index that sends text, reasoning the first that sends reasoning, and the
finish mark is that of the text's index.
"""

from providers.assembler import Assembler
from providers.sink import Finish


class Choices:
    """The choices of one response, as they come."""

    def __init__(self, out: Assembler) -> None:
        self._out = out
        self.text: int | None = None  # whose text is the answer's, once there is any
        self._reasoning: int | None = None
        self._calls: int | None = None
        self._marks: dict[int, Finish] = {}

    def has_text(self, index: int) -> bool:
        """Whether text of this choice is the answer's."""
        if self.text is None:
            self.text = index
            if (mark := self._marks.get(index)) is not None:
                self._out.finish(mark)  # ahead of its text, which reopens the answer at once
        return self._is(self.text, index)

    def has_reasoning(self, index: int) -> bool:
        """Whether reasoning of this choice is the answer's."""
        if self._reasoning is None:
            self._reasoning = index
        return self._is(self._reasoning, index)

    def has_calls(self, index: int) -> bool:
        """Whether tool calls of this choice are the answer's."""
        if self._calls is None:
            self._calls = index
        return self._is(self._calls, index)

    def finish(self, index: int, finish: Finish) -> None:
        """A finish mark of a choice: it counts if the answer's text, or what there is, is there."""
        self._marks[index] = finish
        found = (each for each in (self.text, self._calls, self._reasoning) if each is not None)
        if next(found, index) == index:
            self._out.finish(finish)

    def end(self) -> None:
        """The provider said that nothing follows: then any mark there was is the answer's."""
        if self._out.finish_mark is None and self._marks:
            self._out.finish(next(iter(self._marks.values())))

    def _is(self, chosen: int, index: int) -> bool:
        if chosen != index:
            self._out.odd("other_choice")
        return chosen == index
