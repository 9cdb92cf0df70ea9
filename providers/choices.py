"""Which of several choices is the answer: no request asks for more than one.

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
        self._others: set[int] = set()  # indexes with text of their own
        self._reasoning: int | None = None
        self._calls: int | None = None
        self._marks: dict[int, Finish] = {}

    def accepts_text(self, index: int) -> bool:
        """Whether text of this choice is the answer's: that of the first choice with text is."""
        if self.text is None:
            self.text = index
            if (mark := self._marks.get(index)) is not None:
                self._out.finish(mark)  # ahead of its text, which reopens the answer at once
        elif index != self.text:
            self._others.add(index)
        return self._is(self.text, index)

    def accepts_reasoning(self, index: int) -> bool:
        """Whether reasoning of this choice is the answer's: that of the first with reasoning is."""
        if self._reasoning is None:
            self._reasoning = index
        return self._is(self._reasoning, index)

    def accepts_calls(self, index: int) -> bool:
        """Whether tool calls of this choice are the answer's: those of the first with calls are."""
        if self._calls is None:
            self._calls = index
        return self._is(self._calls, index)

    def finish(self, index: int, finish: Finish) -> None:
        """Note the finish mark of a choice.

        The answer's mark is that of the choice with its text, else of that with its calls, else of
        that with its reasoning.
        """
        self._marks[index] = finish
        found = (each for each in (self.text, self._calls, self._reasoning) if each is not None)
        if next(found, index) == index:
            self._out.finish(finish)

    def end(self) -> None:
        """Nothing follows: without its own mark, the answer has that of a choice without text."""
        if self._out.finish_mark is None:
            marks = (mark for index, mark in self._marks.items() if index not in self._others)
            if (mark := next(marks, None)) is not None:
                self._out.finish(mark)

    def _is(self, chosen: int, index: int) -> bool:
        if chosen != index:
            self._out.note_quirk("other_choice")
        return chosen == index
