"""Reading a stream of JSON lines: bytes in, events out.

Ollama's own API answers so: an object a line, the last one with `"done": true`. No dialect streams
JSON lines yet: until one for Ollama does, only the tests and the fuzzer use this module.

Lines end at LF; a CR before it belongs to the line end. Anything else that ends lines elsewhere,
such as U+2028, may stand inside a JSON string.
"""

from providers.errors import BadResponse
from providers.sse import MAX_EVENT_BYTES, Event, StrayLine


class LineParser:
    """Feed bytes in, take a line out as an event. No socket, no clock.

    Blank lines are skipped. A last line without a line end is an event too: whether it is whole,
    its interpreter finds out. Past `max_event_bytes` without a line end `feed` raises BadResponse,
    at the next call if this one found lines that must not be lost.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._line: list[bytes] = []  # pieces of the open line, joined once: += is quadratic
        self._held = 0
        self._overflowed = False

    def feed(self, chunk: bytes) -> list[Event | StrayLine]:
        """The lines that `chunk` completes, in order. Raises BadResponse past the bound."""
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
        """The bytes are over: the open line. Raises BadResponse past the bound."""
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
