"""Assembles an answer from the pieces of one response.

Characters that were cut in two are joined, texts that repeat all that came before are reduced to
what is new, and tool calls are put in order. Text after a finish mark withdraws the mark, because
some servers put a mark on every event.
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

# Characters of text that waits until a tool call is complete; no other limit counts them.
MAX_WAITING_CHARS: Final = 1_000_000


class Assembler:
    """Assembles the answer of one response. Interpreters call it, and it calls the sink."""

    def __init__(self, sink: Sink, quirks: QuirkLog) -> None:
        self.content_count = 0  # pieces of an answer that came, those held back too
        self.metadata_count = 0  # finish marks and usage figures that came
        self.finish_mark: Finish | None = None  # None also after it was withdrawn
        self.reopened = False  # a mark was withdrawn, so that the next may not be the last
        self.counted: Usage | None = None  # the last usage figures
        self._sink = sink
        self._quirks = quirks
        self._writers: dict[Kind, Callable[[str], None]] = {
            "text": sink.text,
            "refusal": sink.refusal,
            "reasoning": sink.reasoning,
        }
        # Nothing is held back and there is no mark: texts pass unchanged.
        self.is_passthrough = True
        self._mark_before: Finish | None = None  # the mark that was withdrawn last
        self._halves: dict[Kind, str] = {}
        self._cumulative: dict[Kind, str] = {}
        self._calls: ToolCalls | None = None
        self._waiting: list[
            tuple[Kind, str]
        ] = []  # texts that wait until the open tool call is complete
        self._waiting_chars = 0

    @property
    def finished(self) -> bool:
        """Whether the provider has ended the answer with a mark of success."""
        return self.finish_mark is not None and self.finish_mark.reason is not FinishReason.ERROR

    @property
    def only_thought(self) -> bool:
        """Whether there is reasoning, but no text, refusal or tool call."""
        if self._calls is not None or self.written("text") or self.written("refusal"):
            return False
        return bool(self.written("reasoning"))

    def written(self, kind: Kind) -> str:
        """Return all text of a kind so far, with what is held back."""
        waiting = "".join(text for each, text in self._waiting if each == kind)
        return self._sink.written(kind) + waiting

    def text(self, text: str) -> None:
        """Add a piece of text."""
        # The hot path: nothing is held back and no character is cut. `_write` would do the same.
        if self.is_passthrough and (text.isascii() or not is_torn(text)):
            if text:
                self.content_count += 1
                self._sink.text(text)
        else:
            self._write("text", text)

    def reasoning(self, text: str) -> None:
        """Add a piece of the model's reasoning."""
        if self.is_passthrough and not is_torn(text):
            if text:
                self.content_count += 1
                self._sink.reasoning(text)
        else:
            self._write("reasoning", text)

    def write(self, kind: Kind, text: str) -> None:
        """Add a piece of text of any kind."""
        if kind == "text":
            self.text(text)
        elif kind == "reasoning":
            self.reasoning(text)
        else:
            self._write(kind, text)

    def cumulative_text(self, kind: Kind, text: str) -> None:
        """Add what is new in a text that a provider repeats from its beginning with every event.

        A character that is cut at the end of `text` is left out: the next event repeats it whole.
        Nothing that was passed on can be withdrawn: if the provider rewrote the text, what follows
        the common beginning is appended.
        """
        if is_torn(text):
            text, _ = join_surrogates(text)
        known = self._cumulative.get(kind, "")
        if known.startswith(text):  # the text did not grow, or is shorter than before
            return
        self._cumulative[kind] = text
        self.write(kind, text[common_prefix(known, text) :])

    def whole_text(self, kind: Kind, text: str) -> None:
        """Add what the deltas lacked of a text that the provider sends once more as a whole.

        If that text differs from the deltas, these have been shown already and are kept.
        """
        text, _ = join_surrogates(text)
        lacked = _missing_from(self.written(kind), text)
        if lacked is None:
            self.note_quirk("repeated_otherwise")
        elif lacked:
            self._halves.pop(kind, None)  # the added text contains it
            self.write(kind, lacked)

    def tool_call(self, piece: CallPiece, place: int, *, cumulative: bool = False) -> None:
        """Add a piece of a tool call, at index `place` of its list. Empty pieces are skipped."""
        if says_nothing(piece):
            return
        self._more()
        self._opened_calls().add(piece, place, cumulative=cumulative)
        self._no_longer_waiting()

    def whole_call(self, piece: CallPiece, place: int) -> None:
        """Add what the pieces lacked of a tool call that the provider sends once more as a
        whole.
        """
        if self._calls is None:
            self.tool_call(piece, place)
        else:
            self._calls.add_whole(piece, place)
            self._no_longer_waiting()

    def data(self, data: ProviderData) -> None:
        """Add data that the provider has to receive back with the last reasoning or tool call."""
        self._more()
        if self._calls is not None:
            self._calls.close_open_call()
        self._sink.data(data)

    def usage(self, usage: Usage) -> None:
        """Pass on the tokens so far, unless the figures cannot be counts of tokens."""
        self.metadata_count += 1
        if (plausible := usage.plausible()) is not None:
            self.counted = plausible
            self._sink.usage(plausible)

    def finish(self, finish: Finish) -> None:
        """Note the provider's finish mark."""
        self.metadata_count += 1
        if not is_known(finish):
            self.note_quirk("finish_reason", finish.word)
        self._set_finish(finish)

    def confirm(self) -> None:
        """Nothing follows, as the provider says: a mark that was withdrawn is valid after all."""
        if self.finish_mark is None and self._mark_before is not None:
            self._set_finish(self._mark_before)

    def release(self) -> None:
        """Pass on all that is held back, since nothing will come that could complete it."""
        if self._calls is not None:
            self._calls.close()
            self._no_longer_waiting()
        for kind in self._halves:
            self._writers[kind]("\ufffd")
        self._halves = {}
        self._set_finish(self.finish_mark)

    def note_quirk(self, what: str, word: str | None = None) -> None:
        """Log a quirk of the provider: a piece that was skipped, or read by its likely meaning."""
        self._quirks.note(what, word)

    def _write(self, kind: Kind, text: str) -> None:
        text = self._halves.pop(kind, "") + text
        if is_torn(text):
            text, half = join_surrogates(text)
            if half:
                self._halves[kind] = half
        if text or self._halves:
            self._more()
        self.is_passthrough = self._calls is None and not self._halves and self.finish_mark is None
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
        """Note that a piece of the answer came; it withdraws the mark if there was one."""
        self.content_count += 1
        if self.finish_mark is not None:
            self._mark_before = self.finish_mark
            self.reopened = True
            self._set_finish(None)

    def _set_finish(self, finish: Finish | None) -> None:
        self.finish_mark = finish
        self.is_passthrough = finish is None and self._calls is None and not self._halves
        # Only when all has been passed on, so that a sink which stops at the mark has the whole
        # answer.
        if finish is None or not (
            self._halves or (self._calls is not None and self._calls.holds_back)
        ):
            self._sink.finish(finish)

    def _opened_calls(self) -> ToolCalls:
        if self._calls is None:
            self._calls = ToolCalls(self._sink, self.note_quirk)
            self.is_passthrough = False
        return self._calls

    def _no_longer_waiting(self) -> None:
        if self._waiting and self._calls is not None and not self._calls.busy:
            self._calls.close_open_call()
            waiting, self._waiting = self._waiting, []
            self._waiting_chars = 0
            for kind, text in waiting:
                self._writers[kind](text)


def _missing_from(known: str, text: str) -> str | None:
    """Return what the whole `text` has after `known`; None if it is a different text.

    White space around it does not count: some servers trim the whole text but not its deltas.
    """
    if text.startswith(known):
        return text[len(known) :]
    words = known.strip()
    begin = text.find(words)
    if text[:begin].strip() or begin < 0:
        return None if text.strip() else ""
    rest = text[begin + len(words) :]
    return rest if rest.strip() else ""
