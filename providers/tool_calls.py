"""Putting tool calls in order: an answer grows at its end only, providers may interleave.

A provider sends calls in pieces that share an index, and may send two calls at once. The first
call that is not whole is the open one: its pieces pass at once, the others' are held back until it
is. Whether a call is whole, no provider says: either its arguments are a complete JSON object, or
the answer is over.
"""

import json
from collections.abc import Iterator
from typing import Final

from providers.dialect import ToolCall, ToolCallSoFar
from providers.errors import BadResponse
from providers.payload import common_prefix, is_torn, mend

# As much as a whole answer may hold by default (relay.max_answer_chars), which cannot watch what
# is held back here.
MAX_ARGUMENT_CHARS: Final = 1_000_000
# A model calls a handful at once. Each call costs, even without arguments.
MAX_CALLS: Final = 1_000


class ToolCalls:
    """The tool calls of one answer: the provider's pieces in, ours out, one call after the other.

    Ours are numbered 0, 1, 2 in the order in which the calls appeared. The first piece of a number
    is its opening, and the only one with id and name, as far as the provider gave them.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._latest: dict[int, _Call] = {}  # by the provider's index, which some reuse
        self._open = 0  # the calls before this one are closed
        self._chars = 0

    @property
    def busy(self) -> bool:
        """Whether a call is open and not whole: nothing else may be appended then."""
        return self._open < len(self._calls) and not self._calls[self._open].is_whole()

    def add(self, piece: ToolCall) -> Iterator[ToolCall]:
        """Take a piece; what may be passed on now."""
        call = self._call_of(piece)
        call.id = call.id or _mended(piece.id)
        call.name = call.name or _mended(piece.name)
        self._chars += call.append(piece) + len(piece.id) + len(piece.name)
        if self._chars > MAX_ARGUMENT_CHARS or len(self._calls) > MAX_CALLS:
            raise BadResponse(provider_code="tool_calls_too_long")
        while self._open < len(self._calls):
            call = self._calls[self._open]
            yield from call.growth()
            if self._open == len(self._calls) - 1 or not call.is_whole():
                break
            self._open += 1

    def give_way(self) -> None:
        """Something else is being appended: the open call, whole by now, gets nothing more."""
        if self._open < len(self._calls):
            self._open += 1

    def close(self) -> Iterator[ToolCall]:
        """The answer is over: everything held back, whole or not."""
        for call in self._calls[self._open :]:
            yield from call.growth(closing=True)
        self._open = len(self._calls)

    def _call_of(self, piece: ToolCall) -> "_Call":
        """The call that `piece` continues or opens: indexes repeat, ids and names may lack."""
        call = self._latest.get(piece.index)
        if call is None or (piece.id and piece.id != call.id and (call.id or call.name)):
            call = _Call(len(self._calls))
            self._calls.append(call)
            self._latest[piece.index] = call
        return call


class _Call:
    """One tool call: what came of it, and how much of that was passed on."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.id = ""
        self.name = ""
        self._opened = False
        self._pieces: list[str] = []  # of the arguments
        self._passed = 0  # how many of the pieces
        self._half = ""  # of a surrogate pair, at the end of the last piece

    def append(self, piece: ToolCall) -> int:
        """Take more arguments; by how many characters they grew."""
        arguments = self._half + piece.arguments
        self._half = ""
        if is_torn(arguments):
            arguments, self._half = mend(arguments)
        if type(piece) is ToolCallSoFar:
            self._half = ""  # it comes again, with all the rest
            arguments = arguments[common_prefix("".join(self._pieces), arguments) :]
        if arguments:
            self._pieces.append(arguments)
        return len(arguments)

    def growth(self, *, closing: bool = False) -> Iterator[ToolCall]:
        """What was not passed on yet. The opening waits for the name, unless none will come."""
        if closing and self._half:
            self._pieces.append("\ufffd")
            self._half = ""
        if not (self._opened or self.name or closing):
            return
        arguments = "".join(self._pieces[self._passed :])
        self._passed = len(self._pieces)
        if not self._opened:
            self._opened = True
            yield ToolCall(self.number, self.id, self.name, arguments)
        elif arguments:
            yield ToolCall(self.number, "", "", arguments)

    def is_whole(self) -> bool:
        """Whether the arguments are a complete JSON object: more could only spoil it."""
        if not (self._opened and self._pieces and self._pieces[-1].rstrip().endswith("}")):
            return False
        try:
            return isinstance(json.loads("".join(self._pieces)), dict)
        except (ValueError, RecursionError):
            return False


def _mended(name: str) -> str:
    """An id or a name, which comes whole: half a character in it stays half."""
    if is_torn(name):
        name, half = mend(name)
        return f"{name}\ufffd" if half else name
    return name
