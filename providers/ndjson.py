"""Parses a stream of JSON lines: bytes in, events out.

Ollama's own API uses this framing: one object per line, the last one with `"done": true`. Lines end
with LF; a CR before it belongs to the line end. Other characters that Python counts as line ends,
such as U+2028, may occur inside a JSON string.
"""

from providers.errors import BadResponse
from providers.sse import MAX_EVENT_BYTES, Event, StrayLine


class LineParser:
    """Takes bytes, cut anywhere, and returns each line as an event.

    It uses no socket and no clock.

    Blank lines are skipped. A last line without a line end is returned by `end`; the reader can
    tell whether it is complete. After `max_event_bytes` without a line end, `feed` raises
    BadResponse, or its next call does if this one completed lines, which must not be lost.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._line: list[bytes] = []  # pieces of the open line, joined once: += would be quadratic
        self._held = 0
        self._overflowed = False

    def feed(self, chunk: bytes) -> list[Event | StrayLine]:
        """Return the lines that `chunk` completes, in order. Raises BadResponse past the limit."""
        if self._overflowed:
            raise BadResponse(reason="event_too_long")
        *lines, tail = chunk.split(b"\n")
        found: list[Event | StrayLine] = []
        for line in lines:
            self._hold(line)
            found += self._ended()
        self._hold(tail)
        if self._held > self._max_event_bytes:
            self._overflowed = True
            self._line = []
            if not found:
                raise BadResponse(reason="event_too_long")
        return found

    def end(self) -> list[Event | StrayLine]:
        """Return the open line, since no bytes follow. Raises BadResponse past the limit."""
        if self._overflowed:
            raise BadResponse(reason="event_too_long")
        return self._ended()

    def _hold(self, piece: bytes) -> None:
        if piece:
            self._line.append(piece)
            self._held += len(piece)

    def _ended(self) -> list[Event | StrayLine]:
        line = b"".join(self._line).strip()
        self._line = []
        self._held = 0
        return [Event(line)] if line else []
