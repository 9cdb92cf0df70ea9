"""The native stream, as bytes: pure functions, one for each event.

Data is always one line of JSON, which needs no line end inside it; some mobile clients trim lines
and some split them at U+2028, U+2029 and U+0085, so these are escaped too.
"""

import random
from collections.abc import Iterable

import msgspec

from handlers.views import EndEvent, Problem, ResetEvent, StartEvent
from relay.answer import Answer
from storage.base import Ending, Piece

_encode = msgspec.json.Encoder().encode

# Milliseconds after which an EventSource comes back by itself.
_RETRY_MS = 1000

# And when all readers of a process have to at once: over so long, a thousand are 250 a second.
_SPREAD_RETRY_MS = (1000, 5000)

BEAT = b": beat\n\n"


def start(answer: Answer) -> bytes:
    """The first event of every stream, also of one that resumes."""
    start = StartEvent(answer.conversation_id, answer.question_id, answer.id, answer.model)
    data = _line(start)
    return b"retry: %d\nevent: start\ndata: %b\n\n" % (_RETRY_MS, data)


def come_back() -> bytes:
    """Has an EventSource come back at a moment of its own, not with all others."""
    return b"retry: %d\n\n" % random.randint(*_SPREAD_RETRY_MS)


def deltas(answer: Answer, position: int, pieces: Iterable[Piece]) -> bytes:
    """Growth from `position` on, an event for each piece; its id is the position behind it."""
    events = []
    for piece in pieces:
        position += piece.length
        if piece.type == "text":
            data = b'{"text":%b}' % _line(piece.text)
        elif piece.type == "reasoning":
            data = b'{"reasoning":%b}' % _line(piece.text)
        else:
            data = b'{"tool_call":%b}' % _tool_call(answer, piece)
        events.append(b"id: %d\nevent: delta\ndata: %b\n\n" % (position, data))
    return events[0] if len(events) == 1 else b"".join(events)


def reset(answer: Answer) -> bytes:
    """What replaces all that the client holds: it had seen more than was kept."""
    blocks = _line(ResetEvent(answer.blocks()))
    return b"id: %d\nevent: reset\ndata: %b\n\n" % (answer.position, blocks)


def end(position: int, ending: Ending, request_id: str) -> bytes:
    """The last event of every stream that was not left before."""
    error = ending.error
    problem = msgspec.UNSET if error is None else Problem(error.code, error.message, request_id)
    said = EndEvent(ending.status, ending.finish_reason, ending.usage, ending.timing, problem)
    return b"id: %d-end\nevent: end\ndata: %b\n\n" % (position, _line(said))


def _tool_call(answer: Answer, piece: Piece) -> bytes:
    call: dict[str, object] = {"index": answer.tool_call_index(piece.block)}
    if piece.id is not None:
        call["id"] = piece.id
        call["name"] = piece.name
    call["arguments"] = piece.text
    return _line(call)


def _line(value: object) -> bytes:
    data = _encode(value)
    if data.isascii():
        return data
    return (
        data.replace(b"\xe2\x80\xa8", b"\\u2028")
        .replace(b"\xe2\x80\xa9", b"\\u2029")
        .replace(b"\xc2\x85", b"\\u0085")
    )
