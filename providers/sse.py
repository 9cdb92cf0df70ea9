"""Parses an event stream by the rules of the WHATWG standard: bytes in, events out.

A provider's bytes arrive cut anywhere: inside a character, inside a field name, between CR and LF.
The result never depends on the cuts. Lines end with CR LF, LF or CR and nothing else:
`str.splitlines()` would also cut at U+2028, which is legal inside JSON strings.

The standard ignores lines that it does not define; a relay must not, because one may contain a
token. Baidu's v1 reports an error in mid-stream as a bare line of JSON, and older llama.cpp in a
field called `error`: such lines are returned as `StrayLine`, for the dialect to decide. `retry` is
ignored, because a request that is paid for is never sent again.

Some servers deviate from the framing in ways that are accepted: a field's name with blanks before
it or in capitals; no empty line between data lines of which each is a whole object; no empty line
after the last event.
"""

import json
from typing import Final

import msgspec

from providers.errors import BadResponse

# Bytes. The longest regular event is a cumulative one, which repeats the whole answer: a million
# characters (relay.max_answer_chars), each with up to six bytes when escaped, all on one line.
MAX_EVENT_BYTES: Final = 8 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"
_COLON: Final = ord(":")
_BLANKS: Final = b" \t\0" + _BOM  # may surround a field's name
_DECODER: Final = json.JSONDecoder(strict=False)


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event. `data` is not decoded: that is the dialect's task, also where it is malformed."""

    data: bytes
    type: str = "message"
    id: str = ""


class StrayLine(msgspec.Struct, frozen=True, gc=False):
    """A line that is neither a comment nor a field of the standard."""

    line: bytes


class EventParser:
    """Takes bytes, cut anywhere, and returns events. It uses no socket and no clock.

    An event without the empty line that ends it is dropped at the end, as the standard has it,
    unless its data is whole. `max_event_bytes` limits what arrives between two events, comments
    included: lines without an end, events without an end, and comments without an event. Past it,
    `feed` raises BadResponse, or its next call does if this one found events, which must not be
    lost.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._lead: bytes | None = b""  # the possible beginning of a BOM; None after it
        self._between = False  # nothing is held: the next byte begins an event
        self._skip_lf = False  # a CR ended the last chunk: a LF that follows belongs to it
        self._line: list[bytes] = []  # pieces of the open line, joined once: += would be quadratic
        self._line_bytes = 0
        self._spent = 0  # bytes of whole lines since the last event
        self._data: list[bytes] = []
        self._is_cut = False  # the first data line is known not to be whole
        self._type = ""
        self._is_loose = False  # no empty lines between events
        self._id = ""  # kept for the events that follow
        self._overflowed = False

    def feed(self, chunk: bytes) -> list[Event | StrayLine]:
        """Return what `chunk` completes, in order. Raises BadResponse past the limit."""
        if (  # most chunks are whole events of one line each
            self._between
            and chunk.startswith(b"data: ")
            and chunk.endswith(b"\n\n")
            and b"\r" not in chunk
            and self._spent + len(chunk) <= self._max_event_bytes
        ):
            lines = chunk[6:-2].split(b"\n\ndata: ")
            if chunk.count(b"\n") == 2 * len(lines):
                self._spent = 0
                if len(lines) == 1:
                    return [Event(lines[0], "message", self._id)]
                return [Event(line, "message", self._id) for line in lines]
        if self._between and chunk.startswith(b"event: ") and (found := self._typed(chunk)):
            return found
        if self._lead is not None:
            chunk = self._past_bom(chunk)
        if self._skip_lf and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skip_lf = False
        if self._overflowed:
            raise BadResponse(reason="event_too_long")
        return self._lines(chunk) if chunk else []

    def end(self) -> list[Event | StrayLine]:
        """Return what an open line and an open event still are, since no bytes follow.

        Data that is not whole is dropped: nobody knows what it lacks.
        """
        if self._overflowed:
            raise BadResponse(reason="event_too_long")
        line = (self._lead or b"") + b"".join(self._line)
        self._line = []
        found: list[Event | StrayLine] = []
        if line and line[0] != _COLON:
            self._take(line, found)
        if len(self._data) == 1 and _is_whole(self._data[0]):
            self._dispatch(found)
        return found

    def _typed(self, chunk: bytes) -> list[Event | StrayLine]:
        """Return the events of a chunk in which each has a type and one line of data, as those of
        OpenAI's Responses API and Anthropic's have; empty for any other chunk.
        """
        if not chunk.endswith(b"\n\n") or b"\r" in chunk:
            return []
        pairs = [each.partition(b"\ndata: ") for each in chunk[7:-2].split(b"\n\nevent: ")]
        if chunk.count(b"\n") != 3 * len(pairs) or not all(between for _, between, _ in pairs):
            return []
        if self._spent + len(chunk) > self._max_event_bytes:
            return []
        self._spent = 0
        return [
            Event(data, kind.decode("utf-8", "replace") or "message", self._id)
            for kind, _, data in pairs
        ]

    def _past_bom(self, chunk: bytes) -> bytes:
        """Return `chunk` without a BOM that opens the stream; empty until it is known whether
        there is one.
        """
        lead = (self._lead or b"") + chunk
        if len(lead) < len(_BOM) and _BOM.startswith(lead):
            self._lead = lead
            return b""
        self._lead = None
        return lead.removeprefix(_BOM)

    def _lines(self, chunk: bytes) -> list[Event | StrayLine]:
        self._skip_lf = chunk.endswith(b"\r")
        lines = chunk.splitlines()  # bytes are split at CR LF, LF and CR only
        tail = b"" if chunk.endswith((b"\n", b"\r")) else lines.pop()
        if lines and self._line:
            self._line.append(lines[0])
            lines[0] = b"".join(self._line)
            self._line = []
            self._line_bytes = 0
        found: list[Event | StrayLine] = []
        for line in lines:
            self._spent += len(line) + 1
            if self._spent > self._max_event_bytes:
                return self._overflow(found)
            if not line:
                self._dispatch(found)
            elif line.startswith(b"data:"):
                self._take_data(line[6:] if line.startswith(b"data: ") else line[5:], found)
            elif line[0] != _COLON:
                self._take(line, found)
        if tail:
            self._line.append(tail)
            self._line_bytes += len(tail)
            if self._spent + self._line_bytes > self._max_event_bytes:
                return self._overflow(found)
        self._between = not (tail or self._data or self._type or self._skip_lf)
        return found

    def _take(self, line: bytes, found: list[Event | StrayLine]) -> None:
        """Read one whole line, which is neither empty nor a comment."""
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")  # one space and no more
        match name.strip(_BLANKS).lower():
            case b"data":
                self._take_data(value, found)
            case b"event":
                if self._type:  # an event has one type, so this is the next event's
                    self._end_whole(found)
                self._type = value.decode("utf-8", "replace")
            case b"id":
                if b"\0" not in value:
                    self._id = value.decode("utf-8", "replace")
            case b"" | b"retry":  # with an empty name, a comment after blanks
                pass
            case _:
                self._end_whole(found)  # the event came before this line
                found.append(StrayLine(line))

    def _take_data(self, value: bytes, found: list[Event | StrayLine]) -> None:
        # Only the first line is checked, so that each line is checked once: if an object is spread
        # over several lines, the first is not whole.
        held = self._data
        if len(held) == 1 and (_is_whole(held[0]) or (_opens(value) and not _opens(held[0]))):
            kind = self._type
            self._dispatch(found)
            self._type = kind  # the type may be that of this line
            self._is_loose = True
        self._data.append(value)
        if self._is_loose and len(self._data) == 1 and _is_whole(value):
            self._dispatch(found)

    def _end_whole(self, found: list[Event | StrayLine]) -> None:
        """End the open event if its data is whole, although no empty line ended it."""
        if len(self._data) != 1 or self._is_cut:
            return
        if _is_whole(self._data[0]):
            self._dispatch(found)
            self._is_loose = True
        else:
            self._is_cut = True

    def _dispatch(self, found: list[Event | StrayLine]) -> None:
        self._is_cut = False
        kind, self._type = self._type, ""  # it is dropped even without data
        if not self._data:
            return
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data = []
        self._spent = 0
        found.append(Event(data, kind or "message", self._id))

    def _overflow(self, found: list[Event | StrayLine]) -> list[Event | StrayLine]:
        """Drop what is held, and return what was found before the limit was exceeded."""
        self._overflowed = True
        self._between = False
        self._line = []
        self._data = []
        if not found:
            raise BadResponse(reason="event_too_long")
        return found


def _opens(data: bytes) -> bool:
    """Whether `data` begins as JSON does."""
    return data.lstrip()[:1] in (b"{", b"[", b'"')


def _is_whole(data: bytes) -> bool:
    """Whether `data` is complete: it consists of JSON values, or is the end word."""
    data = data.strip()
    if not data.endswith((b"}", b"]", b'"')) or data == b"[DONE]":
        return data == b"[DONE]"
    text = data.decode("utf-8", "replace")
    place = 0
    try:
        while place < len(text):
            if text[place] not in '{["':
                return False
            _, place = _DECODER.raw_decode(text, place)
    except (ValueError, RecursionError):
        return False
    return True
