"""OpenAI's chat completions as a stream: chunks, perhaps the usage, and `[DONE]`.

Of a chunk nearly everything is the same for one answer, so that is encoded once. Clients cannot
resume such a stream, and take one that just ends for a complete answer: one that is not complete
ends by an error, without `finish_reason` and `[DONE]`.

Reasoning is `reasoning_content`, as most clients read it. Provider data has no place in it.
"""

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final

from handlers.errors import ErrorResponse, to_error_response
from handlers.openai.answer_error import answer_error
from handlers.openai.completion import (
    completion_id,
    completion_usage,
    created_at,
    finish_word,
    image_url,
)
from handlers.openai.error_body import error_body
from handlers.wires.json_line import json_line
from model.blocks import ImageBlock
from model.growth import Piece
from model.usage import Usage
from relay.answer import Answer, length
from relay.errors import LeaseLost, RelayError

_DONE: Final = b"data: [DONE]\n\n"

# UTF-8 bytes per token, for the usage of an answer that goes on, as in `relay/usage.py`.
_BYTES_PER_TOKEN: Final = 4


class ChatCompletionsWire:
    """The stream of one answer. It remembers what it has encoded, and nothing that was sent.

    With `include_usage` a chunk before the end has the usage. With `running_usage` each chunk has
    an estimate of the usage up to it.
    """

    def __init__(self, *, include_usage: bool = False, running_usage: bool = False) -> None:
        self._include_usage = include_usage
        self._running_usage = running_usage
        self._head = b""
        self._head_is_of = ""  # the id of the answer
        usage = b',"usage":null' if include_usage else b""
        self._tail = b',"finish_reason":null}]%b}\n\n' % usage
        self._counted = (0, 0)  # a position of the answer, and the bytes of its text up to there

    def begin(self, answer: Answer) -> bytes:
        """The chunk that names the role."""
        return self._chunk(answer, b'{"role":"assistant","content":""}', 0)

    def heartbeat(self) -> bytes:
        """A comment, which clients ignore."""
        return b": beat\n\n"

    def reconnect(self, milliseconds: int) -> bytes:
        """Nothing: clients do not reconnect, and some cannot read an event without data."""
        return b""

    def cut_off(self, milliseconds: int, error: RelayError, request_id: str) -> bytes:
        """The error."""
        return _error_event(error, request_id)

    def growth(self, answer: Answer, position: int, pieces: Sequence[Piece]) -> bytes:
        """A chunk for each piece that has anything for clients."""
        if len(pieces) == 1 and not self._running_usage:
            (piece,) = pieces
            if piece.type == "text":  # as nearly all are
                head = self._head if answer.id == self._head_is_of else self._head_of(answer)
                return b'%b{"content":%b}%b' % (head, json_line(piece.text), self._tail)
        chunks = []
        for piece in pieces:
            position += piece.length
            if (delta := _delta(answer, piece)) is not None:
                chunks.append(self._chunk(answer, delta, position))
        return b"".join(chunks)

    def reset(self, answer: Answer) -> Iterator[bytes]:
        """The error: what was sent cannot be taken back."""
        yield _error_event(LeaseLost(), None)

    def end(self, answer: Answer, position: int, request_id: str) -> bytes:
        """The last chunks and `[DONE]`, or the error."""
        ending = answer.ending
        assert ending is not None
        if (error := answer_error(ending)) is not None:
            return _event(error_body(error, request_id))
        word = finish_word(ending, has_calls=answer.tool_calls > 0)
        head = self._head_of(answer)
        last = b'%b{},"finish_reason":%b}]%b}\n\n' % (
            head,
            json_line(word),
            self._usage(answer, position),
        )
        if not self._include_usage or ending.usage is None:
            return last + _DONE
        start, _, _ = head.partition(b'"choices":')
        usage = json_line(completion_usage(ending.usage))
        return b'%b%b"choices":[],"usage":%b}\n\n%b' % (last, start, usage, _DONE)

    def _chunk(self, answer: Answer, delta: bytes, position: int) -> bytes:
        head = self._head_of(answer)
        if not self._running_usage:
            return b"%b%b%b" % (head, delta, self._tail)
        return b'%b%b,"finish_reason":null}]%b}\n\n' % (
            head,
            delta,
            self._usage(answer, position),
        )

    def _head_of(self, answer: Answer) -> bytes:
        """All of a chunk that precedes its delta."""
        if answer.id != self._head_is_of:
            self._head_is_of = answer.id
            self._head = (
                b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,'
                b'"choices":[{"index":0,"delta":'
                % (
                    json_line(completion_id(answer.id)),
                    created_at(answer),
                    json_line(answer.model),
                )
            )
        return self._head

    def _usage(self, answer: Answer, position: int) -> bytes:
        """The `usage` of a chunk that is not the last one."""
        if not self._running_usage:
            return b',"usage":null' if self._include_usage else b""
        written = -(-self._bytes_up_to(answer, position) // _BYTES_PER_TOKEN)
        usage = Usage(answer.prompt_tokens, written, estimated=True)
        return b',"usage":%b' % json_line(completion_usage(usage))

    def _bytes_up_to(self, answer: Answer, position: int) -> int:
        """The length of the answer's text up to `position` in UTF-8."""
        start, count = self._counted
        if position < start:
            start, count = 0, 0
        while start < position and (pieces := answer.beyond(start, position - start)):
            count += sum(len(piece.text.encode()) for piece in pieces)
            start += length(pieces)
        self._counted = start, count
        return count


def _delta(answer: Answer, piece: Piece) -> bytes | None:
    """The `delta` of a piece; None if it has nothing that this protocol can say."""
    if isinstance(piece.whole, ImageBlock):
        # Accumulators of official clients require the index.
        image = {"index": _images_before(answer, piece.block), **image_url(piece.whole)}
        return b'{"images":%b}' % json_line([image])
    if not piece.text and piece.id is None:
        return None
    if piece.type == "tool_call":
        return b'{"tool_calls":[%b]}' % json_line(_tool_call(answer, piece))
    if piece.type == "reasoning":
        return b'{"reasoning_content":%b}' % json_line(piece.text)
    return b'{"content":%b}' % json_line(piece.text) if piece.type == "text" else None


def _images_before(answer: Answer, block: int) -> int:
    return sum(answer.type_of(place) == "image" for place in range(block))


def _tool_call(answer: Answer, piece: Piece) -> dict[str, Any]:
    """The growth of a tool call; only the piece that opens it has its id and name."""
    index = answer.tool_call_index(piece.block)
    if piece.id is None:
        return {"index": index, "function": {"arguments": piece.text}}
    return {
        "index": index,
        "id": piece.id,
        "type": "function",
        "function": {"name": piece.name, "arguments": piece.text},
    }


def _error_event(error: RelayError, request_id: str | None) -> bytes:
    described = to_error_response(error) or ErrorResponse(
        HTTPStatus.INTERNAL_SERVER_ERROR, error.code, str(error)
    )
    return _event(error_body(described, request_id))


def _event(data: object) -> bytes:
    return b"data: %b\n\n" % json_line(data)
