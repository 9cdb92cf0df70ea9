"""OpenAI's Responses as a stream, which a client resumes after the number of an event.

Blocks are items: text a message with one part, reasoning a reasoning item whose summary is the
reasoning, a tool call a function call. `event_numbers.py` has the numbers.

An official client that resumes may fetch everything and drop what its number covers, so a delta
that begins before the number and ends after it would come twice. A stream from the beginning cannot
know the number: read with `one_by_one` it has a delta for each code point.
"""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final

import msgspec

from handlers.errors import ErrorResponse, to_error_response
from handlers.openai.error_body import error_type
from handlers.openai.response_items import (
    ItemStatus,
    OutputItem,
    item_id,
    output_item,
    output_text,
)
from handlers.openai.response_object import (
    ResponseObject,
    begun_response,
    last_item_status,
    outcome,
    response_of,
)
from handlers.wires.event_numbers import LAST_NUMBER, EventNumbers, EventStructure, Structure
from handlers.wires.json_line import json_line
from model.blocks import Block, ReasoningBlock, TextBlock, ToolCallBlock
from model.growth import Piece
from relay.answer import Answer
from relay.errors import RelayError

_CONTENT: Final = Structure(opening=2, closing=3)
STRUCTURE: Final = EventStructure(
    beginning=2,
    of_types={"tool_call": Structure(opening=1, closing=2)},
    of_other_types=_CONTENT,
)

_DONE: Final = b"data: [DONE]\n\n"

# The fields of a delta's event after its text.
_TAILS: Final = {"reasoning": b"}\n\n", "tool_call": b"}\n\n"}
_TEXT_TAIL: Final = b',"logprobs":[]}\n\n'

_DELTAS: Final = {
    "reasoning": ("response.reasoning_summary_text.delta", {"summary_index": 0}),
    "tool_call": ("response.function_call_arguments.delta", {}),
}
_TEXT_DELTA: Final = ("response.output_text.delta", {"content_index": 0})

_ENDED: Final = {"completed": "response.completed", "failed": "response.failed"}


class ResponsesWire:
    """The stream of one answer, of which a client has the events up to the number `after`."""

    def __init__(self, answer: Answer, *, after: int = -1, one_by_one: bool = False) -> None:
        self._numbers = EventNumbers(answer, STRUCTURE)
        self._after = after
        self._joins = not one_by_one
        # What deltas of one block have in common; encoded once.
        self._block = self._start = -1
        self._head = self._tail = b""
        self._base = 0

    def position(self) -> int:
        """The position of the answer from which the client reads."""
        return self._numbers.position_after(self._after)

    def begin(self, answer: Answer) -> bytes:
        """The events with the response as it was when it began."""
        begun = begun_response(answer)
        return b"".join(
            self._lifecycle(kind, number, begun)
            for number, kind in enumerate(("response.created", "response.in_progress"))
            if number > self._after
        )

    def growth(self, answer: Answer, position: int, pieces: Sequence[Piece]) -> bytes:
        """The deltas, and the events that open and close blocks."""
        piece = pieces[0]
        if len(pieces) == 1 and piece.block == self._block and piece.data is None:
            # As nearly all are: within a block, of which other deltas have been encoded.
            before = self._base + position
            if position > self._start and before >= self._after and self._joins and piece.text:
                line = json_line(piece.text)
                number = before + len(piece.text)
                return b'%b%d,"delta":%b%b' % (self._head, number, line, self._tail)
        events = []
        for piece in pieces:
            if position == answer.start_of(piece.block):
                if piece.block:
                    closed = piece.block - 1
                    events += self._closing(closed, answer.block(closed), answer.id, "completed")
                events += self._opening(piece, answer.id)
            position += piece.length
            text = output_text(piece.whole) if piece.whole is not None else piece.text
            if text:
                if piece.block != self._block:
                    self._enter(piece, answer.id, answer.start_of(piece.block))
                end = position if piece.data is None else position - 1
                events.append(self._delta(piece, text, end))
        return b"".join(events)

    def reset(self, answer: Answer) -> Iterator[bytes]:
        """Nothing: `end` says that the response failed, and what is left of it."""
        yield b""

    def heartbeat(self) -> bytes:
        """A comment, which clients ignore."""
        return b": beat\n\n"

    def reconnect(self, milliseconds: int) -> bytes:
        """Nothing: clients read no event without data."""
        return b""

    def cut_off(self, milliseconds: int, error: RelayError, request_id: str) -> bytes:
        """An error, after which a client may resume."""
        described = to_error_response(error)
        return _error_event(described, error, request_id, max(self._after, 0))

    def end(self, answer: Answer, position: int, request_id: str) -> bytes:
        """The events that close the last block, and the response as it ended.

        A reader beyond the end has more than is left of the answer, whose block is not closed for
        it.
        """
        ending = answer.ending
        assert ending is not None
        events = []
        if answer.block_count and position <= answer.position:
            last = answer.block_count - 1
            events = self._closing(last, answer.block(last), answer.id, last_item_status(ending))
        if self._after < LAST_NUMBER:
            kind = _ENDED.get(outcome(ending)[0], "response.incomplete")
            events.append(self._lifecycle(kind, LAST_NUMBER, response_of(answer)))
        events.append(_DONE)
        return b"".join(events)

    def _enter(self, piece: Piece, answer_id: str, start: int) -> None:
        """Encode what the deltas of the piece's block have in common."""
        kind, index = _DELTAS.get(piece.type, _TEXT_DELTA)
        named = {
            "item_id": item_id(answer_id, piece.type, piece.block),
            "output_index": piece.block,
            **index,
        }
        self._head = b'event: %b\ndata: {"type":"%b",%b,"sequence_number":' % (
            kind.encode(),
            kind.encode(),
            json_line(named)[1:-1],
        )
        self._tail = _TAILS.get(piece.type, _TEXT_TAIL)
        self._base = self._numbers.delta(piece.block, 0)
        self._block, self._start = piece.block, start

    def _delta(self, piece: Piece, text: str, end: int) -> bytes:
        """The events of a text that ends at the position `end`, as far as the client lacks it."""
        number = self._base + end
        if piece.whole is None:
            lacking = number - self._after
            if lacking < len(text):
                text = text[-lacking:] if lacking > 0 else ""
            if not self._joins:
                first = number + 1 - len(text)
                return b"".join(
                    b'%b%d,"delta":%b%b' % (self._head, first + at, json_line(char), self._tail)
                    for at, char in enumerate(text)
                )
        if not text or number <= self._after:
            return b""
        return b'%b%d,"delta":%b%b' % (self._head, number, json_line(text), self._tail)

    def _opening(self, piece: Piece, answer_id: str) -> list[bytes]:
        """The events that open a block."""
        block = piece.block
        opened = _opened(piece, answer_id)
        data: list[tuple[str, dict[str, Any]]] = [
            ("response.output_item.added", {"output_index": block, "item": opened})
        ]
        if piece.type == "reasoning":
            data.append(
                ("response.reasoning_summary_part.added", _summary_part(opened.id, block, ""))
            )
        elif piece.type != "tool_call":
            data.append(("response.content_part.added", _content_part(opened.id, block, "")))
        return self._events(data, self._numbers.opening(block))

    def _closing(self, place: int, block: Block, answer_id: str, status: ItemStatus) -> list[bytes]:
        """The events that close a block."""
        first = self._numbers.closing(place)
        if first + STRUCTURE.of_type("").closing <= self._after:
            return []
        item = output_item(answer_id, place, block, status)
        at = {"item_id": item.id, "output_index": place}
        data: list[tuple[str, dict[str, Any]]]
        match block:
            case ReasoningBlock():
                data = [
                    (
                        "response.reasoning_summary_text.done",
                        {**at, "summary_index": 0, "text": block.text},
                    ),
                    (
                        "response.reasoning_summary_part.done",
                        _summary_part(item.id, place, block.text),
                    ),
                ]
            case ToolCallBlock():
                data = [
                    (
                        "response.function_call_arguments.done",
                        {**at, "name": block.name, "arguments": block.arguments},
                    )
                ]
            case _:
                text = output_text(block)
                data = [
                    (
                        "response.output_text.done",
                        {**at, "content_index": 0, "text": text, "logprobs": []},
                    ),
                    ("response.content_part.done", _content_part(item.id, place, text)),
                ]
        data.append(("response.output_item.done", {"output_index": place, "item": item}))
        return self._events(data, first)

    def _events(self, events: list[tuple[str, dict[str, Any]]], first: int) -> list[bytes]:
        """Structural events with numbers from `first` on, as far as the client lacks them."""
        return [
            _event(kind, number, data)
            for number, (kind, data) in enumerate(events, first)
            if number > self._after
        ]

    def _lifecycle(self, kind: str, number: int, response: ResponseObject) -> bytes:
        return _event(kind, number, {"response": response})


def _opened(piece: Piece, answer_id: str) -> OutputItem:
    """The item of a block before its first delta."""
    block: Block
    if piece.type == "reasoning":
        block = ReasoningBlock("")
    elif piece.type == "tool_call":
        block = ToolCallBlock(piece.id or "", piece.name or "", "")
    else:
        block = TextBlock("")
    item = output_item(answer_id, piece.block, block, "in_progress")
    match block:
        case ReasoningBlock():
            return msgspec.structs.replace(item, summary=())
        case TextBlock():
            return msgspec.structs.replace(item, content=())
        case _:
            return item


def _summary_part(id: str, place: int, text: str) -> dict[str, Any]:
    part = {"type": "summary_text", "text": text}
    return {"item_id": id, "output_index": place, "summary_index": 0, "part": part}


def _content_part(id: str, place: int, text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"item_id": id, "output_index": place, "content_index": 0, "part": part}


def _event(kind: str, number: int, data: dict[str, Any]) -> bytes:
    line = json_line({"type": kind, "sequence_number": number, **data})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), line)


def _error_event(
    described: ErrorResponse | None, error: RelayError, request_id: str, number: int
) -> bytes:
    """An error as both kinds of clients read it: those that look for `error`, and the others."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR if described is None else described.status
    code = error.code if described is None else described.code
    message = str(error) if described is None else described.message
    words = {"code": code, "message": message, "param": None}
    nested = {"type": error_type(status), **words, "request_id": request_id}
    return _event("error", number, {**words, "error": nested})
