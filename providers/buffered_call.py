"""One tool call as its pieces arrive: how many were passed on, and whether it is complete."""

import json
import re
from typing import Final

from providers.sink import Sink
from providers.text_pieces import common_prefix, is_torn, join_surrogates

_NOTHING: Final = ("", "")

# The characters that decide where an object of JSON ends. A backslash escapes the next character.
_STRUCTURE: Final = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)


class BufferedCall:
    """One tool call: the pieces that came, and how many of them were passed on."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self._opened = False
        self._pieces: list[str] = []  # pieces of the arguments
        self._passed = 0  # how many of the pieces were passed on
        self._depth = 0  # how many objects and lists are open after the last piece
        self._in_string = False
        self._is_escaped = False  # the last piece ends with an escaping backslash
        self._is_whole: bool | None = None  # set where the outermost object ends
        self._is_empty = False  # the arguments are `{}`
        self._half = ""  # half of a surrogate pair, which ended the last piece
        self.announced = (
            _NOTHING  # id and name of a call after this one, whose arguments have not come yet
        )

    def append(self, arguments: str, *, cumulative: bool) -> int:
        """Add a piece of the arguments; returns by how many characters they grew.

        cumulative: the piece repeats the arguments from their beginning.
        """
        arguments = self._half + arguments
        self._half = ""
        if is_torn(arguments):
            arguments, self._half = join_surrogates(arguments)
        if self.is_held_back and arguments.strip() not in ("", "{}"):  # `{}` was a placeholder
            self._pieces, self._is_whole, self._is_empty = [], None, False
        if cumulative:
            self._half = ""  # the next piece repeats it
            arguments = arguments[common_prefix("".join(self._pieces), arguments) :]
        if arguments:
            self._pieces.append(arguments)
            self._follow(arguments)
        return len(arguments)

    def is_spoiled_by(self, arguments: str) -> bool:
        """Whether the arguments are complete, so that `arguments` would make them invalid.

        `{}` may be replaced by the arguments that follow it: some servers open each call with it.
        """
        if not arguments or self._is_whole is not True:
            return False
        is_real = arguments.lstrip().startswith("{") and arguments.strip() != "{}"
        return not (self.is_held_back and is_real)

    def has(self, arguments: str) -> bool:
        """Whether `arguments` are exactly those of this call."""
        return arguments == "".join(self._pieces)

    @property
    def is_held_back(self) -> bool:
        """Whether the arguments are `{}` and were not passed on, because others may follow."""
        return self._is_empty and self._passed == 0

    def is_followed_by(self, call_id: str, name: str, arguments: str) -> bool:
        """Whether a piece at the same index, with another id or none, begins a new call.

        A name begins a call, unless the server makes up an id for every piece and repeats the
        name. So after the whole call `("c1", "look", "{}")` the piece `("c2", "look", "")` decides
        nothing yet: it is kept in `announced`, and begins a call if arguments follow it.
        """
        if not self.is_whole():
            is_another = bool(self.name) and name not in ("", self.name)
            return is_another and (call_id != "" or self._pieces != [])
        if name == self.name and not call_id and self.has(arguments):
            return False  # the same call once more
        if name and (call_id or arguments):
            self.announced = (call_id, name)
        announced, name_before = self.announced != _NOTHING, self.name
        return announced and (bool(arguments.strip()) or self.announced[1] != name_before)

    def pass_on(self, sink: Sink, *, closing: bool = False) -> None:
        """Pass on what is left.

        The call opens once its name is known, or at the latest on `closing`.
        """
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
        """Whether the arguments are a complete JSON object, which anything more would make
        invalid.
        """
        return self._opened and self._is_whole is True

    def _follow(self, piece: str) -> None:
        """Look for the end of the object in one more piece.

        The first end decides: text after it cannot complete what was not an object.
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
    """Whether a backslash at the end of a piece escapes the next character."""
    marks = len(piece) - len(piece.rstrip("\\"))
    return (marks + (was and marks == len(piece))) % 2 == 1
