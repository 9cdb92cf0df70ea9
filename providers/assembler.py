"""Putting together what one response adds to an answer.

Halves of characters are joined, cumulative texts cut to what is new, and tool calls put in order.
Text after a finish mark takes the mark back: some servers put a mark on every event.
"""

from collections.abc import Callable
from typing import Final

from model.blocks import ProviderData
from model.messages import FinishReason
from model.usage import Usage
from providers.errors import BadResponse
from providers.finish import is_known
from providers.quirks import QuirkLog
from providers.sink import Finish, Kind, Sink
from providers.text_pieces import common_prefix, is_torn, join_surrogates
from providers.tool_calls import CallPiece, ToolCalls, says_nothing

# Text that waits behind an unfinished tool call is nowhere else counted.
MAX_WAITING_CHARS: Final = 1_000_000


class Assembler:
    """What one response adds to an answer. Interpreters call it, and it calls the sink."""

    def __init__(self, sink: Sink, quirks: QuirkLog) -> None:
        self.content_count = 0  # pieces of an answer that came, those held back too
        self.metadata_count = 0  # finish marks and usage figures that came
        self.finish_mark: Finish | None = None  # unless it was taken back
        self.reopened = False  # a mark was taken back: this provider's marks mean little
        self.counted: Usage | None = None  # the provider's figures so far
        self._sink = sink
        self._quirks = quirks
        self._writers: dict[Kind, Callable[[str], None]] = {
            "text": sink.text,
            "refusal": sink.refusal,
            "reasoning": sink.reasoning,
        }
        # Nothing is held back and there is no mark: whole texts pass at once.
        self._is_passthrough = True
        self._mark_before: Finish | None = None  # the mark that was taken back
        self._halves: dict[Kind, str] = {}
        self._cumulative: dict[Kind, str] = {}
        self._calls: ToolCalls | None = None
        self._waiting: list[tuple[Kind, str]] = []  # until the open tool call is whole
        self._waiting_chars = 0

    @property
    def finished(self) -> bool:
        """Whether the provider said that the answer is over, and not that it failed."""
        return self.finish_mark is not None and self.finish_mark.reason is not FinishReason.ERROR

    @property
    def only_thought(self) -> bool:
        """Whether reasoning came and nothing else."""
        if self._calls is not None or self.written("text") or self.written("refusal"):
            return False
        return bool(self.written("reasoning"))

    def written(self, kind: Kind) -> str:
        """All text of a kind so far, also what is held back."""
        waiting = "".join(text for each, text in self._waiting if each == kind)
        return self._sink.written(kind) + waiting

    def text(self, text: str) -> None:
        """More of the answer."""
        # The hot path: a whole text, nothing held back. `_write` would do the same.
        if self._is_passthrough and (text.isascii() or not is_torn(text)):
            if text:
                self.content_count += 1
                self._sink.text(text)
        else:
            self._write("text", text)

    def reasoning(self, text: str) -> None:
        """More of the model's reasoning."""
        if self._is_passthrough and not is_torn(text):
            if text:
                self.content_count += 1
                self._sink.reasoning(text)
        else:
            self._write("reasoning", text)

    def write(self, kind: Kind, text: str) -> None:
        """More text of any kind."""
        if kind == "text":
            self.text(text)
        elif kind == "reasoning":
            self.reasoning(text)
        else:
            self._write(kind, text)

    def cumulative_text(self, kind: Kind, text: str) -> None:
        """The text from its beginning, in a mode that repeats it with every event.

        A character that is cut at its end comes again, whole. A text that was rewritten cannot be
        taken back: what follows the common beginning is appended.
        """
        if is_torn(text):
            text, _ = join_surrogates(text)
        known = self._cumulative.get(kind, "")
        if known.startswith(text):  # nothing, or for once less than before
            return
        self._cumulative[kind] = text
        self.write(kind, text[common_prefix(known, text) :])

    def whole_text(self, kind: Kind, text: str) -> None:
        """The whole text once more, behind or beside its deltas: what they lacked is added.

        If it is another text, it was shown otherwise already, and stays as it was shown.
        """
        text, _ = join_surrogates(text)
        lacked = _missing_from(self.written(kind), text)
        if lacked is None:
            self.note_quirk("repeated_otherwise")
        elif lacked:
            self._halves.pop(kind, None)  # it stands in what is added
            self.write(kind, lacked)

    def tool_call(self, piece: CallPiece, place: int, *, cumulative: bool = False) -> None:
        """A piece of a tool call, the `place`-th of its list. Empty pieces are skipped."""
        if says_nothing(piece):
            return
        self._more()
        self._opened_calls().add(piece, place, cumulative=cumulative)
        self._no_longer_waiting()

    def whole_call(self, piece: CallPiece, place: int) -> None:
        """A whole tool call once more, behind or beside its pieces."""
        if self._calls is None:
            self.tool_call(piece, place)
        else:
            self._calls.add_whole(piece, place)
            self._no_longer_waiting()

    def data(self, data: ProviderData) -> None:
        """Data that the provider wants back with the reasoning or tool call that came last."""
        self._more()
        if self._calls is not None:
            self._calls.close_open_call()
        self._sink.data(data)

    def usage(self, usage: Usage) -> None:
        """Tokens so far, unless the numbers cannot be counts of tokens."""
        self.metadata_count += 1
        if (meant := usage.meant()) is not None:
            self.counted = meant
            self._sink.usage(meant)

    def finish(self, finish: Finish) -> None:
        """The provider's finish mark."""
        self.metadata_count += 1
        if not is_known(finish):
            self.note_quirk("finish_reason", finish.word)
        self._set_finish(finish)

    def confirm(self) -> None:
        """The provider says that nothing follows: a mark that was taken back counts after all."""
        if self.finish_mark is None and self._mark_before is not None:
            self._set_finish(self._mark_before)

    def release(self) -> None:
        """Pass on all that is held back: nothing will come that could complete it."""
        if self._calls is not None:
            self._calls.close()
            self._no_longer_waiting()
        for kind in self._halves:
            self._writers[kind]("\ufffd")
        self._halves = {}
        self._set_finish(self.finish_mark)

    def note_quirk(self, what: str, word: str | None = None) -> None:
        """Log a quirk of the provider, which was skipped or read as what it must mean."""
        self._quirks.note(what, word)

    def _write(self, kind: Kind, text: str) -> None:
        text = self._halves.pop(kind, "") + text
        if is_torn(text):
            text, half = join_surrogates(text)
            if half:
                self._halves[kind] = half
        if text or self._halves:
            self._more()
        self._is_passthrough = self._calls is None and not self._halves and self.finish_mark is None
        if not text:
            return
        if self._calls is not None and self._calls.busy:
            self._waiting.append((kind, text))
            self._waiting_chars += len(text)
            if self._waiting_chars > MAX_WAITING_CHARS:
                raise BadResponse(reason="tool_calls_too_long")
            return
        if self._calls is not None:
            self._calls.close_open_call()
        self._writers[kind](text)

    def _more(self) -> None:
        """Something of an answer comes: if there was a mark, it is taken back."""
        self.content_count += 1
        if self.finish_mark is not None:
            self._mark_before = self.finish_mark
            self.reopened = True
            self._set_finish(None)

    def _set_finish(self, finish: Finish | None) -> None:
        self.finish_mark = finish
        self._is_passthrough = finish is None and self._calls is None and not self._halves
        # Not before all was passed on: whoever stops at the mark then has the whole answer.
        if finish is None or not (
            self._halves or (self._calls is not None and self._calls.holds_back)
        ):
            self._sink.finish(finish)

    def _opened_calls(self) -> ToolCalls:
        if self._calls is None:
            self._calls = ToolCalls(self._sink, self.note_quirk)
            self._is_passthrough = False
        return self._calls

    def _no_longer_waiting(self) -> None:
        if self._waiting and self._calls is not None and not self._calls.busy:
            self._calls.close_open_call()
            waiting, self._waiting = self._waiting, []
            self._waiting_chars = 0
            for kind, text in waiting:
                self._writers[kind](text)


def _missing_from(known: str, text: str) -> str | None:
    """What `text`, which says everything again, has beyond `known`; None if it is another text.

    White space around it does not count: some servers trim the whole text, and not its deltas.
    """
    words = known.strip()
    begin = text.find(words)
    if text[:begin].strip() or begin < 0:
        return None if text.strip() else ""
    rest = text[begin + len(words) :]
    return rest if rest.strip() else ""
