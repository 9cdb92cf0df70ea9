"""Decides which of several choices is the answer; no request asks for more than one.

Some servers number one answer as two choices: its reasoning as choice 0, its text as choice 1. So
text is taken from the first choice that has text and reasoning from the first that has reasoning,
and the finish mark is that of the choice with the text.
"""

from providers.assembler import Assembler
from providers.sink import Finish


class Choices:
    """Selects among the choices of one response as they arrive."""

    def __init__(self, out: Assembler) -> None:
        self._out = out
        self.text: int | None = (
            None  # index of the choice whose text is the answer's; None before any text
        )
        self._others: set[int] = set()  # indexes of other choices with text
        self._reasoning: int | None = None
        self._calls: int | None = None
        self._marks: dict[int, Finish] = {}

    def accepts_text(self, index: int) -> bool:
        """Whether text of this choice belongs to the answer, as that of the first one with text
        does.
        """
        if self.text is None:
            self.text = index
            if (mark := self._marks.get(index)) is not None:
                self._out.finish(mark)  # before its text, which withdraws the mark at once
        elif index != self.text:
            self._others.add(index)
        return self._is(self.text, index)

    def accepts_reasoning(self, index: int) -> bool:
        """Whether reasoning of this choice belongs to the answer: only that of the first with
        reasoning does.
        """
        if self._reasoning is None:
            self._reasoning = index
        return self._is(self._reasoning, index)

    def accepts_calls(self, index: int) -> bool:
        """Whether tool calls of this choice belong to the answer: only those of the first with
        calls do.
        """
        if self._calls is None:
            self._calls = index
        return self._is(self._calls, index)

    def finish(self, index: int, finish: Finish) -> None:
        """Note the finish mark of a choice.

        The answer's mark is that of the choice with its text; without text that of the choice with
        its tool calls, and without these that of the choice with its reasoning.
        """
        self._marks[index] = finish
        found = (each for each in (self.text, self._calls, self._reasoning) if each is not None)
        if next(found, index) == index:
            self._out.finish(finish)

    def end(self) -> None:
        """Nothing follows: an answer without a mark takes that of a choice that has no text of
        its own.
        """
        if self._out.finish_mark is None:
            marks = (mark for index, mark in self._marks.items() if index not in self._others)
            if (mark := next(marks, None)) is not None:
                self._out.finish(mark)

    def _is(self, chosen: int, index: int) -> bool:
        if chosen != index:
            self._out.note_quirk("other_choice")
        return chosen == index
