"""Putting tool calls in order: an answer grows at its end only, providers may interleave.

A provider sends calls in pieces and may send two calls at once. The first call that is not whole is
the open one: its pieces pass at once, the others' are held back until it is. Whether a call is
whole, no provider says: either its arguments are a complete JSON object, or the answer is over.

Which call a piece belongs to is said by an index, an id, or neither, and none of them is reliable:
some servers make up a new id for every piece, some give all calls the index 0.
"""

import json
import re
from collections.abc import Callable
from typing import Final

import msgspec

from providers.content_parts import argument_text
from providers.errors import BadResponse
from providers.lenient_json import Content
from providers.sink import Sink
from providers.text_pieces import common_prefix, is_torn, mend

# As much as a whole answer may hold by default (relay.max_answer_chars), which cannot watch what
# is held back here.
MAX_ARGUMENT_CHARS: Final = 1_000_000
# A model calls a handful at once. Each call costs, even without arguments.
MAX_CALLS: Final = 1_000

_NOTHING: Final = ("", "")

# What some servers write where a call has no id.
_NO_IDS: Final = ("null", "none", "undefined")

# What tells in a text of JSON where an object ends. A backslash takes the next character with it.
_STRUCTURE: Final = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)


class CallFunction(msgspec.Struct, gc=False):
    """What a piece of a tool call calls."""

    name: str | None = None
    arguments: Content = None  # a text of JSON; some servers send the object itself


class CallPiece(msgspec.Struct, gc=False):
    """A piece of a tool call, in the shape that OpenAI gave it and others took over."""

    index: int | None = None
    id: str | None = None
    function: CallFunction | None = None


def says_nothing(piece: CallPiece) -> bool:
    """Whether a piece is empty, as some servers add one to every delta."""
    return not any(_said_by(piece))


class ToolCalls:
    """The tool calls of one answer: the provider's pieces in, ours out, one call after the other.

    The opening of a call brings id and name, as far as the provider gave them. What comes for a
    call that is whole is read over, and `note_quirk` is called: some say all arguments again.
    """

    def __init__(self, sink: Sink, note_quirk: Callable[[str], None]) -> None:
        self._sink = sink
        self._note_quirk = note_quirk
        self._calls: list[_BufferedCall] = []
        self._latest: dict[int, _BufferedCall] = {}  # by the provider's index, which some reuse
        self._open = 0  # the calls before this one are closed
        self._chars = 0

    @property
    def busy(self) -> bool:
        """Whether a call is open and not whole: nothing else may be appended then."""
        return self._open < len(self._calls) and not self._calls[self._open].is_whole()

    def add(self, piece: CallPiece, place: int, *, so_far: bool = False) -> None:
        """Take a piece, the `place`-th of its list, and pass on what may be.

        `so_far`: the piece repeats its call from its beginning. Raises BadResponse past the bounds.
        """
        call_id, name, arguments = _said_by(piece)
        if not (call_id or name or self.busy) and arguments.strip() == "{}":
            return  # of no call
        call = self._call_of(piece.index, place, call_id, name, arguments)
        self._take(call, call_id, name, arguments, so_far=so_far)

    def repeat(self, piece: CallPiece, place: int) -> None:
        """Take a whole call that was streamed before, or was not: then it is one more."""
        streamed = self._by_id(_id_of(piece))
        if streamed is None and place < len(self._calls):
            streamed = self._calls[place]
        if streamed is None:
            self.add(piece, place)
        elif not streamed.is_whole():
            self._take(streamed, *_said_by(piece), so_far=True)

    @property
    def holds_back(self) -> bool:
        """Whether anything of the open call is still to be passed on, or to come."""
        return self._open < len(self._calls) and (self.busy or self._calls[self._open].is_held_back)

    def give_way(self) -> None:
        """Something else is being appended: the open call, whole by now, gets nothing more."""
        if self._open < len(self._calls):
            self._calls[self._open].pass_on(self._sink, closing=True)
            self._open += 1

    def close(self) -> None:
        """The answer is over: everything held back, whole or not."""
        for call in self._calls[self._open :]:
            call.pass_on(self._sink, closing=True)
        self._open = len(self._calls)

    def _take(
        self, call: "_BufferedCall", call_id: str, name: str, arguments: str, *, so_far: bool
    ) -> None:
        call.id = call.id or call_id
        call.name = call.name or name
        if call.is_spoiled_by(arguments):
            if not (so_far and call.has(arguments)):
                self._note_quirk("arguments_behind_a_call")
            arguments = ""
        self._chars += call.append(arguments, so_far=so_far) + len(call_id) + len(name)
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
    ) -> "_BufferedCall":
        """The call that a piece continues, or a new one."""
        at = place if index is None else index
        latest = self._latest.get(at)
        # Two calls of one id are told apart by their index.
        is_latest = latest is not None and call_id != "" and latest.id == call_id
        known = latest if is_latest else self._by_id(call_id)
        is_another = known is not None and known.is_whole() and name not in ("", known.name)
        if known is not None and not is_another and (is_latest or index is None or not name):
            return known  # by its id alone: there is no index, or it has moved on
        if latest is not None and not latest.is_followed_by(call_id, name, arguments):
            return latest
        opened = _BufferedCall()
        if latest is not None:
            opened.id, opened.name = latest.announced
        self._calls.append(opened)
        self._latest[at] = opened
        return opened

    def _by_id(self, call_id: str | None) -> "_BufferedCall | None":
        if not call_id:
            return None
        return next((call for call in reversed(self._calls) if call.id == call_id), None)


class _BufferedCall:
    """One tool call: what came of it, and how much of that was passed on."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self._opened = False
        self._pieces: list[str] = []  # of the arguments
        self._passed = 0  # how many of the pieces
        self._depth = 0  # of the objects and lists that are open at the end of the pieces
        self._in_string = False
        self._is_escaped = False  # the next character is: a backslash stands at the end
        self._is_whole: bool | None = None  # once an end of all objects was seen
        self._is_empty = False  # it is `{}`
        self._half = ""  # of a surrogate pair, at the end of the last piece
        self.announced = _NOTHING  # id and name of a call behind it, of which nothing came yet

    def append(self, arguments: str, *, so_far: bool) -> int:
        """Take more arguments; by how many characters they grew."""
        arguments = self._half + arguments
        self._half = ""
        if is_torn(arguments):
            arguments, self._half = mend(arguments)
        if self.is_held_back and arguments.strip() not in ("", "{}"):  # it gives way
            self._pieces, self._is_whole, self._is_empty = [], None, False
        if so_far:
            self._half = ""  # it comes again, with all the rest
            arguments = arguments[common_prefix("".join(self._pieces), arguments) :]
        if arguments:
            self._pieces.append(arguments)
            self._follow(arguments)
        return len(arguments)

    def is_spoiled_by(self, arguments: str) -> bool:
        """Whether the arguments are whole already, so that more would be too much.

        `{}` may still give way to arguments that follow it: some servers open each call with it.
        """
        if not arguments or self._is_whole is not True:
            return False
        is_real = arguments.lstrip().startswith("{") and arguments.strip() != "{}"
        return not (self.is_held_back and is_real)

    def has(self, arguments: str) -> bool:
        """Whether these are its arguments."""
        return arguments == "".join(self._pieces)

    @property
    def is_held_back(self) -> bool:
        """Whether its arguments are `{}`, and were not passed on: others may follow."""
        return self._is_empty and self._passed == 0

    def is_followed_by(self, call_id: str, name: str, arguments: str) -> bool:
        """Whether a piece at the same index, not of the same id, begins a call behind this one.

        A call has a name. Who makes up an id for every piece may repeat the name, though, and an
        opening like that behind whole arguments is one only if arguments come: it is noted here.
        """
        if not self.is_whole():
            is_another = bool(self.name) and name not in ("", self.name)
            return is_another and (call_id != "" or self._pieces != [])
        if name == self.name and not call_id and self.has(arguments):
            return False  # the same once more
        if name and (call_id or arguments):
            self.announced = (call_id, name)
        announced, name_before = self.announced != _NOTHING, self.name
        return announced and (bool(arguments.strip()) or self.announced[1] != name_before)

    def pass_on(self, sink: Sink, *, closing: bool = False) -> None:
        """What was not passed on yet. The opening waits for the name, unless none will come."""
        if closing and self._half:
            self._pieces.append("\ufffd")
            self._half = ""
        if not (self._opened or self.name or closing):
            return
        if not self._opened:
            self._opened = True
            sink.tool_call(self.id, self.name)
        if self.is_held_back and not closing:
            return
        if arguments := "".join(self._pieces[self._passed :]):
            sink.arguments(arguments)
        self._passed = len(self._pieces)

    def is_whole(self) -> bool:
        """Whether the arguments are a complete JSON object: more could only spoil it."""
        return self._opened and self._is_whole is True

    def _follow(self, piece: str) -> None:
        """Go through one more piece, looking for the end of the object.

        What follows an end that is none cannot become whole any more, and is not looked at.
        """
        if self._is_whole is not None:
            return
        end = None
        for found in _STRUCTURE.finditer(piece, int(self._is_escaped)):
            mark = found[0]
            if mark[0] == "\\":
                continue
            if mark == '"':
                self._in_string = not self._in_string
            elif not self._in_string:
                self._depth += 1 if mark in "{[" else -1
                if self._depth <= 0:
                    end = found.end()
                    break
        self._is_escaped = _ends_escaped(piece, self._is_escaped)
        if end is not None:
            self._is_whole = not piece[end:].strip() and self._is_object()
            self._is_empty = self._is_whole and "".join(self._pieces).strip() == "{}"

    def _is_object(self) -> bool:
        try:
            return isinstance(json.loads("".join(self._pieces)), dict)
        except (ValueError, RecursionError):
            return False


def _ends_escaped(piece: str, was: bool) -> bool:
    """Whether the character behind a piece is escaped by a backslash at its end."""
    marks = len(piece) - len(piece.rstrip("\\"))
    return (marks + (was and marks == len(piece))) % 2 == 1


def _said_by(piece: CallPiece) -> tuple[str, str, str]:
    """Id, name and arguments in a piece, each empty if it has none."""
    function = piece.function or CallFunction()
    return _id_of(piece), _mended(function.name or ""), argument_text(function.arguments)


def _id_of(piece: CallPiece) -> str:
    call_id = _mended(piece.id or "")
    return "" if call_id.lower() in _NO_IDS else call_id


def _mended(name: str) -> str:
    """An id or a name, which comes whole: half a character in it stays half."""
    if is_torn(name):
        name, half = mend(name)
        return f"{name}\ufffd" if half else name
    return name
