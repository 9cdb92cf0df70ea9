"""The native stream: Server-Sent Events with positions as ids, as in `docs/api.md`.

Data is always one line of JSON.
"""

from collections.abc import Iterator, Sequence

import msgspec

from handlers.event_data import EndEvent, StartEvent
from handlers.response_bodies import Problem
from handlers.wires.json_line import json_line as _line
from model.growth import Piece
from relay.answer import MAX_EVENT_CHARS, Answer
from relay.errors import RelayError

# Milliseconds after which an EventSource reconnects.
_RETRY_MS = 1000


def begin(answer: Answer) -> bytes:
    """The `start` event, and the time after which an EventSource reconnects."""
    start = StartEvent(answer.conversation_id, answer.question_id, answer.id, answer.model)
    data = _line(start)
    return b"retry: %d\nevent: start\ndata: %b\n\n" % (_RETRY_MS, data)


def heartbeat() -> bytes:
    """A comment, which clients ignore."""
    return b": beat\n\n"


def reconnect(milliseconds: int) -> bytes:
    """A `retry` field: the client reconnects after so many milliseconds."""
    return b"retry: %d\n\n" % milliseconds


def cut_off(
    milliseconds: int,
    error: RelayError,  # noqa: ARG001 - an error would end what goes on with the next connection
    request_id: str,  # noqa: ARG001
) -> bytes:
    """A `retry` field: the client reconnects, and reads what it has not received."""
    return reconnect(milliseconds)


def growth(answer: Answer, position: int, pieces: Sequence[Piece]) -> bytes:
    """A `delta` event for each piece; its id is the position after the piece."""
    events = []
    for piece in pieces:
        position += piece.length
        if piece.type == "text":
            data = b'{"text":%b}' % _line(piece.text)
        elif piece.data is not None or piece.whole is not None:
            data = _line(_whole_or_data(answer, piece))
        elif piece.type == "reasoning":
            data = b'{"reasoning":%b}' % _line(piece.text)
        else:
            data = b'{"tool_call":%b}' % _line(_tool_call(answer, piece))
        events.append(b"id: %d\nevent: delta\ndata: %b\n\n" % (position, data))
    return events[0] if len(events) == 1 else b"".join(events)


def reset(answer: Answer) -> Iterator[bytes]:
    """The `reset` event, with all blocks as in a message."""
    yield b'id: %d\nevent: reset\ndata: {"blocks":[' % answer.position
    position, block, closing = 0, -1, b""
    while left := answer.position - position:
        data = []
        for piece in answer.beyond(position, min(left, MAX_EVENT_CHARS)):
            position += piece.length
            if piece.block != block:
                data += [closing, b"," if block >= 0 else b"", _opening(piece)]
                block, closing = piece.block, b"" if piece.whole is not None else b'"}'
            data.append(_line(piece.text)[1:-1])
            if piece.data is not None:
                closing = b'","data":%b}' % _line(piece.data)
        yield b"".join(data)
    yield closing + b"]}\n\n"


def end(answer: Answer, position: int, request_id: str) -> bytes:
    """The `end` event, with the answer's status."""
    ending = answer.ending
    assert ending is not None
    error = ending.error
    problem = msgspec.UNSET if error is None else Problem.of(error, request_id)
    event = EndEvent(ending.status, ending.finish_reason, ending.usage, ending.timing, problem)
    return b"id: %d-end\nevent: end\ndata: %b\n\n" % (position, _line(event))


def _opening(piece: Piece) -> bytes:
    """The JSON of a block up to its text, or all of a block that comes whole."""
    if piece.whole is not None:
        return _line(piece.whole)
    if piece.type == "tool_call":
        name = _line(piece.id), _line(piece.name)
        return b'{"type":"tool_call","id":%b,"name":%b,"arguments":"' % name
    return b'{"type":"%b","text":"' % piece.type.encode()


def _whole_or_data(answer: Answer, piece: Piece) -> dict[str, object]:
    """The event of a block that comes whole, or of a piece that ends with provider data."""
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
