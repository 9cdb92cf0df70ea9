"""Which of several choices is the answer: we never ask for more than one.

Some servers number what is one answer as two: its reasoning as choice 0, its text as choice 1. So
text follows the first index that sends text, reasoning the first that sends reasoning, and the
finish mark is that of the text's index.

Others count their chunks there: 0, 1, 2. Text of an index that is one more than the last is held
until a second one follows it, and then all of it is the answer's.
"""

from typing import Final

from providers.assembler import Assembler
from providers.sink import Finish

# As many texts in a row, each with an index of its own and one more than the last, are counted
# chunks: two could be two answers, of which each has said one word.
_COUNTED: Final = 3


class Choices:
    """The choices of one response, as they come."""

    def __init__(self, out: Assembler) -> None:
        self._out = out
        self.text: int | None = None  # whose text is the answer's, once there is any
        self._begun_at = 0  # how much there was of the answer before that
        self._held: list[str] = []  # texts of the indexes that followed it one by one
        self._counts = False  # chunks have numbers: all text is the answer's
        self._others: set[int] = set()  # indexes with text of their own
        self._reasoning: int | None = None
        self._calls: int | None = None
        self._marks: dict[int, Finish] = {}

    def text_now(self, index: int, text: str) -> str:
        """What of the answer's text comes with `text` of a choice: all, nothing, or more."""
        if self.text is None:
            self.text = index
            if (mark := self._marks.get(index)) is not None:
                self._out.finish(mark)  # ahead of its text, which reopens the answer at once
            self._begun_at = self._out.growths
        elif not self._counts and index != self.text:
            return self._counted(index, text)
        return text

    def takes_reasoning(self, index: int) -> bool:
        """Whether reasoning of this choice is the answer's: the first to have some is the one."""
        if self._reasoning is None:
            self._reasoning = index
        return self._is(self._reasoning, index)

    def takes_calls(self, index: int) -> bool:
        """Whether tool calls of this choice are the answer's: likewise."""
        if self._calls is None:
            self._calls = index
        return self._is(self._calls, index)

    def finish(self, index: int, finish: Finish) -> None:
        """Note the mark of a choice. The answer's is that of its text, or of what else there is."""
        if self._held and self._is_next(index):  # chunks have numbers, and there were few of them
            self._out.text("".join(self._held))
            self._counts, self._held = True, []
        self._marks[index] = finish
        found = (each for each in (self.text, self._calls, self._reasoning) if each is not None)
        if self._counts or next(found, index) == index:
            self._out.finish(finish)

    def end(self) -> None:
        """The provider said that nothing follows: then a mark of no other answer is this one's."""
        if self._out.finish_mark is None:
            marks = (mark for index, mark in self._marks.items() if index not in self._others)
            if (mark := next(marks, None)) is not None:
                self._out.finish(mark)

    def _counted(self, index: int, text: str) -> str:
        """The text that is known to be the answer's now, as its chunks are counted; or nothing."""
        if not self._is_next(index):
            return self._leave(index)
        self._others.add(index)
        self._held.append(text)
        if len(self._held) + 1 < _COUNTED:
            return ""
        self._counts, held, self._held = True, self._held, []
        return "".join(held)

    def _is_next(self, index: int) -> bool:
        """Whether an index is the one behind those that came, each with one text so far."""
        assert self.text is not None
        is_behind = index == self.text + len(self._held) + 1
        return is_behind and self._out.growths == self._begun_at + 1

    def _leave(self, index: int) -> str:
        """It is another answer's, and so is what was held."""
        self._others.add(index)
        self._held = []
        self._out.odd("other_choice")
        return ""

    def _is(self, chosen: int, index: int) -> bool:
        if chosen != index:
            self._out.odd("other_choice")
        return chosen == index
