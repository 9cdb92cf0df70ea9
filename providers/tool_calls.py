"""Puts tool calls in order, since an answer grows only at its end but providers interleave calls.

A provider sends calls in pieces and may send two calls at once. The first call that is not complete
is the open one: its pieces are passed on at once, and those of the others are held back until it is
complete. Providers do not say when a call is complete: it is when its arguments are a complete JSON
object, or when the answer has ended.

An index, an id, or neither says which call a piece belongs to, and none of them is reliable: some
servers make up a new id for every piece, some give all calls the index 0.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from providers.buffered_call import BufferedCall
from providers.content_parts import argument_text
from providers.errors import BadResponse
from providers.lenient_json import Content
from providers.sink import Sink
from providers.text_pieces import is_torn, join_surrogates

# Characters. As many as a whole answer may have by default (relay.max_answer_chars), which does not
# count what is held back here.
MAX_ARGUMENT_CHARS: Final = 1_000_000

# Calls of one answer. A model makes a handful at once, but each one costs memory even without
# arguments.
MAX_CALLS: Final = 1_000

# Values that some servers send where a call has no id.
_NO_IDS: Final = ("null", "none", "undefined")


class CallFunction(msgspec.Struct, gc=False):
    """The function that a piece of a tool call names."""

    name: str | None = None
    arguments: Content = None  # JSON in a string; some servers send the object itself


class CallPiece(msgspec.Struct, gc=False):
    """A piece of a tool call, in OpenAI's format, which other providers have adopted."""

    index: int | None = None
    id: str | None = None
    function: CallFunction | None = None


def says_nothing(piece: CallPiece) -> bool:
    """Whether a piece is empty, as some servers add one to every delta."""
    return not any(_said_by(piece))


class ToolCalls:
    """The tool calls of one answer: takes the provider's pieces and passes on one call after
    another.

    A call opens with its id and name, if the provider sends them. Pieces for a complete call are
    skipped, and `note_quirk` is called, because some servers send all arguments twice.
    """

    def __init__(self, sink: Sink, note_quirk: Callable[[str], None]) -> None:
        self._sink = sink
        self._note_quirk = note_quirk
        self._calls: list[BufferedCall] = []
        self._latest: dict[int, BufferedCall] = {}  # by index, which some reuse
        self._open = 0  # index of the open call: those before it are closed
        self._chars = 0

    @property
    def busy(self) -> bool:
        """Whether a call is open and not complete, so that nothing else may be appended."""
        return self._open < len(self._calls) and not self._calls[self._open].is_whole()

    def add(self, piece: CallPiece, place: int, *, cumulative: bool = False) -> None:
        """Add the piece at index `place` of its list, and pass on what can be.

        With `cumulative` the piece repeats its call from its beginning. Raises BadResponse past a
        limit.
        """
        call_id, name, arguments = _said_by(piece)
        if not (call_id or name or self.busy) and arguments.strip() == "{}":
            return  # it belongs to no call
        call = self._call_of(piece.index, place, call_id, name, arguments)
        self._take(call, call_id, name, arguments, cumulative=cumulative)

    def add_whole(self, piece: CallPiece, place: int) -> None:
        """Add what was missing of a whole call; if it was not streamed before, it is a new one."""
        streamed = self._by_id(_id_of(piece))
        if streamed is None and place < len(self._calls):
            streamed = self._calls[place]
        if streamed is None:
            self.add(piece, place)
        elif not streamed.is_whole():
            self._take(streamed, *_said_by(piece), cumulative=True)

    @property
    def holds_back(self) -> bool:
        """Whether a part of the open call has not been passed on or has not come yet."""
        return self._open < len(self._calls) and (self.busy or self._calls[self._open].is_held_back)

    def close_open_call(self) -> None:
        """Close the open call, which is complete, because something else follows it."""
        if self._open < len(self._calls):
            self._calls[self._open].pass_on(self._sink, closing=True)
            self._open += 1

    def close(self) -> None:
        """The answer has ended: pass on everything that is held back, complete or not."""
        for call in self._calls[self._open :]:
            call.pass_on(self._sink, closing=True)
        self._open = len(self._calls)

    def _take(
        self, call: "BufferedCall", call_id: str, name: str, arguments: str, *, cumulative: bool
    ) -> None:
        call.id = call.id or call_id
        call.name = call.name or name
        if call.is_spoiled_by(arguments):
            if not (cumulative and call.has(arguments)):
                self._note_quirk("arguments_after_a_call")
            arguments = ""
        self._chars += call.append(arguments, cumulative=cumulative) + len(call_id) + len(name)
        if self._chars > MAX_ARGUMENT_CHARS or len(self._calls) > MAX_CALLS:
            raise BadResponse(reason="tool_calls_too_long")
        self._pass_on()

    def _pass_on(self) -> None:
        while self._open < len(self._calls):
            call = self._calls[self._open]
            call.pass_on(self._sink)
            if self._open == len(self._calls) - 1 or not call.is_whole():
                break
            call.pass_on(self._sink, closing=True)
            self._open += 1

    def _call_of(
        self, index: int | None, place: int, call_id: str, name: str, arguments: str
    ) -> "BufferedCall":
        """Return the call that a piece continues, or a new one."""
        at = place if index is None else index
        latest = self._latest.get(at)
        # Two calls with the same id differ by their index.
        is_latest = latest is not None and call_id != "" and latest.id == call_id
        known = latest if is_latest else self._by_id(call_id)
        is_another = known is not None and known.is_whole() and name not in ("", known.name)
        if known is not None and not is_another and (is_latest or index is None or not name):
            return known  # only the id decides: there is no index, or another call has it now
        if latest is not None and not latest.is_followed_by(call_id, name, arguments):
            return latest
        opened = BufferedCall()
        if latest is not None:
            opened.id, opened.name = latest.announced
        self._calls.append(opened)
        self._latest[at] = opened
        return opened

    def _by_id(self, call_id: str | None) -> "BufferedCall | None":
        if not call_id:
            return None
        return next((call for call in reversed(self._calls) if call.id == call_id), None)


def _said_by(piece: CallPiece) -> tuple[str, str, str]:
    """Return id, name and arguments of a piece, each empty if it has none."""
    function = piece.function or CallFunction()
    return _id_of(piece), _mended(function.name or ""), argument_text(function.arguments)


def _id_of(piece: CallPiece) -> str:
    call_id = _mended(piece.id or "")
    return "" if call_id.lower() in _NO_IDS else call_id


def _mended(name: str) -> str:
    """Return an id or a name that can be encoded; these come whole, so half a character is lost."""
    if is_torn(name):
        name, half = join_surrogates(name)
        return f"{name}\ufffd" if half else name
    return name
