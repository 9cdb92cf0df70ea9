"""The native stream: Server-Sent Events whose ids are positions. `docs/api.md` describes it.

Data is always one line of JSON, which needs no line end inside it; some mobile clients trim lines
and some split them at U+2028, U+2029 and U+0085, so these are escaped too.
"""

from collections.abc import Sequence

import msgspec

from handlers.views import EndEvent, Problem, ResetEvent, StartEvent, shown
from model.growth import Piece
from relay.answer import Answer

_encode = msgspec.json.Encoder().encode

# Milliseconds after which an EventSource comes back by itself.
_RETRY_MS = 1000


def begin(answer: Answer) -> bytes:
    """`start`, and how soon an EventSource is to come back."""
    start = StartEvent(answer.conversation_id, answer.question_id, answer.id, answer.model)
    data = _line(start)
    return b"retry: %d\nevent: start\ndata: %b\n\n" % (_RETRY_MS, data)


def beat() -> bytes:
    """A comment."""
    return b": beat\n\n"


def come_back(milliseconds: int) -> bytes:
    """Has an EventSource come back after so long."""
    return b"retry: %d\n\n" % milliseconds


def growth(answer: Answer, position: int, pieces: Sequence[Piece]) -> bytes:
    """A `delta` for each piece; its id is the position behind it."""
    events = []
    for piece in pieces:
        position += piece.length
        if piece.type == "text":
            data = b'{"text":%b}' % _line(piece.text)
        elif piece.data is not None or piece.whole is not None:
            data = _line(_rare(answer, piece))
        elif piece.type == "reasoning":
            data = b'{"reasoning":%b}' % _line(piece.text)
        else:
            data = b'{"tool_call":%b}' % _line(_tool_call(answer, piece))
        events.append(b"id: %d\nevent: delta\ndata: %b\n\n" % (position, data))
    return events[0] if len(events) == 1 else b"".join(events)


def reset(answer: Answer) -> bytes:
    """`reset`, with all blocks."""
    blocks = _line(ResetEvent(shown(answer.blocks())))
    return b"id: %d\nevent: reset\ndata: %b\n\n" % (answer.position, blocks)


def end(answer: Answer, position: int, request_id: str) -> bytes:
    """`end`, with how it ended."""
    ending = answer.ending
    assert ending is not None
    error = ending.error
    problem = msgspec.UNSET if error is None else Problem.of(error, request_id)
    said = EndEvent(ending.status, ending.finish_reason, ending.usage, ending.timing, problem)
    return b"id: %d-end\nevent: end\ndata: %b\n\n" % (position, _line(said))


def _rare(answer: Answer, piece: Piece) -> dict[str, object]:
    """A block that comes whole, or a piece that ends in its provider's data."""
    if piece.whole is not None:
        return {"block": piece.whole}
    grown = piece.text if piece.type == "reasoning" else _tool_call(answer, piece)
    return {piece.type: grown, "data": piece.data}


def _tool_call(answer: Answer, piece: Piece) -> dict[str, object]:
    call: dict[str, object] = {"index": answer.tool_call_index(piece.block)}
    if piece.id is not None:
        call["id"] = piece.id
        call["name"] = piece.name
    call["arguments"] = piece.text
    return call


def _line(value: object) -> bytes:
    data = _encode(value)
    if data.isascii():
        return data
    return (
        data.replace(b"\xe2\x80\xa8", b"\\u2028")
        .replace(b"\xe2\x80\xa9", b"\\u2029")
        .replace(b"\xc2\x85", b"\\u0085")
    )
