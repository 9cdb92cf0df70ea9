"""The AI SDK's UI message stream, as `useChat` of `ai` 5, 6 and 7 reads it.

Nothing in a request names the client's version, and each refuses chunks of a type that it does not
know: so only those that all three know are written. A client that resumes is sent everything again,
under the same message id, and takes a stream that just ends for a complete answer: whatever is not
complete is told by an `error`, before which `message-metadata` has the status.

An answer is one step of a message. Answers that a tool loop consists of are one message.

A tool call becomes available at the end, once it is certain that the answer is whole: clients carry
it out at once.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from handlers.response_bodies import Problem
from handlers.wires.json_line import json_line
from model.blocks import Block, FileBlock, ImageBlock, ToolCallBlock, ToolResultBlock
from model.embedded_json import embedded_json
from model.growth import Piece
from model.messages import Ending, FinishReason, Status
from relay.answer import Answer
from relay.errors import RelayError
from relay.tool_loop import is_whole

PROTOCOL: Final = "ai-sdk"


_DONE: Final = b"data: [DONE]\n\n"
_START_STEP: Final = b'data: {"type":"start-step"}\n\n'
_FINISH_STEP: Final = b'data: {"type":"finish-step"}\n\n'
_ABORT: Final = b'data: {"type":"abort"}\n\n'

# The types of blocks that are text, which are opened and closed.
_TEXTS: Final = ("text", "reasoning")

_TEXT_DELTA: Final = b'data: {"type":"text-delta","id":"%d","delta":%b}\n\n'
_REASONING_DELTA: Final = b'data: {"type":"reasoning-delta","id":"%d","delta":%b}\n\n'
_INPUT_DELTA: Final = b'data: {"type":"tool-input-delta","toolCallId":%b,"inputTextDelta":%b}\n\n'

# The SDK's words for why a model stopped.
_FINISH_REASONS: Final[dict[str, str]] = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "tool-calls",
    FinishReason.CONTENT_FILTER: "content-filter",
    FinishReason.ERROR: "error",
}

# What clients are shown of endings that bring no message of their own.
_MESSAGES: Final = {
    Status.ABANDONED: "Nobody read this answer for a while, so it was not finished. Ask again.",
    Status.INTERRUPTED: "The server stopped while it generated this answer. Ask again.",
}
_CUT_OFF_MESSAGE: Final = "The server could not send the answer to its end."

# The media type of an image or a file that comes without one; the protocol requires one.
_IMAGE_TYPE: Final = "image/png"
_FILE_TYPE: Final = "application/octet-stream"


class AISDKWire:
    """The UI message stream of one answer.

    `message_id` is that of the message which the answer belongs to: the id of its first answer.
    `earlier` are the steps before it, for a client that is sent all of the message.
    """

    def __init__(self, message_id: str, earlier: bytes = b"") -> None:
        self._message_id = message_id
        self._earlier = earlier

    def begin(self, answer: Answer) -> bytes:
        """`start` with the message's id, the earlier steps, and the beginning of this one."""
        started = {
            "conversation_id": answer.conversation_id,
            "question_id": answer.question_id,
            "answer_id": answer.id,
            "model": answer.model,
            "status": Status.LIVE,
        }
        start = {"type": "start", "messageId": self._message_id, "messageMetadata": started}
        return b"".join((_event(start), self._earlier, _START_STEP))

    def growth(self, answer: Answer, position: int, pieces: Sequence[Piece]) -> bytes:
        """A delta for each piece, after what opens its block and closes the one before."""
        events = []
        for piece in pieces:
            if position == answer.start_of(piece.block):
                events.append(_opening(answer, piece))
            position += piece.length
            if piece.text:
                events.append(_delta(answer, piece))
        return events[0] if len(events) == 1 else b"".join(events)

    def reset(self, answer: Answer) -> Iterator[bytes]:
        """Nothing: what was sent cannot be taken back, so the client has to resume or is told."""
        return iter(())

    def heartbeat(self) -> bytes:
        """A comment, which clients ignore."""
        return b": beat\n\n"

    def reconnect(self, milliseconds: int) -> bytes:
        """Nothing: clients know no time to reconnect after."""
        return b""

    def cut_off(self, milliseconds: int, error: RelayError, request_id: str) -> bytes:
        """An `error`, for a client that would not notice that its connection breaks."""
        return _event({"type": "error", "errorText": _CUT_OFF_MESSAGE}) + _DONE

    def end(self, answer: Answer, position: int, request_id: str) -> bytes:
        """What closes the last block, the calls of a whole answer, and how it ended."""
        ending = answer.ending
        assert ending is not None
        metadata = _end_metadata(ending, request_id)
        match ending.status:
            case Status.COMPLETE:
                events = [_FINISH_STEP, _finish(ending, metadata)]
            case Status.STOPPED:
                finish = _event({"type": "finish", "finishReason": "other"})
                events = [_FINISH_STEP, _metadata(metadata), _ABORT, finish]
            case _:
                text = ending.error.message if ending.error else _MESSAGES.get(ending.status)
                error = {"type": "error", "errorText": text or _CUT_OFF_MESSAGE}
                events = [_FINISH_STEP, _metadata(metadata), _event(error)]
        return b"".join((_last_closing(answer), _calls(answer), *events, _DONE))


def step(answer: Answer, results: Sequence[Block]) -> bytes:
    """An earlier answer of a message as a whole step, with the results of the tools it called."""
    events = [_START_STEP]
    pieces = answer.beyond(0)
    if pieces:
        events.append(AISDKWire("").growth(answer, 0, pieces))
    outputs = (_output(block) for block in results if isinstance(block, ToolResultBlock))
    events += [_last_closing(answer), _calls(answer), *outputs, _FINISH_STEP]
    return b"".join(events)


def _delta(answer: Answer, piece: Piece) -> bytes:
    delta = json_line(piece.text)
    if piece.type == "text":
        return _TEXT_DELTA % (piece.block, delta)
    if piece.type == "reasoning":
        return _REASONING_DELTA % (piece.block, delta)
    if piece.type == "tool_call":
        return _INPUT_DELTA % (json_line(answer.opening_of(piece.block).id), delta)
    return b""  # of a type that only later versions know


def _opening(answer: Answer, piece: Piece) -> bytes:
    """What closes the block before, and opens that of `piece`, its first one."""
    before = _closing(answer, piece.block - 1) if piece.block else b""
    if piece.whole is not None:
        return before + _whole(piece.whole)
    if piece.type == "tool_call":
        named = {"type": "tool-input-start", "toolCallId": piece.id, "toolName": piece.name}
        return before + _event(named)
    if piece.type not in _TEXTS or not piece.text:  # provider data alone is shown to nobody
        return before
    return b'%bdata: {"type":"%b-start","id":"%d"}\n\n' % (
        before,
        piece.type.encode(),
        piece.block,
    )


def _closing(answer: Answer, place: int) -> bytes:
    """What closes a block; a tool call is closed at the end of the answer."""
    kind = answer.opening_of(place).type
    if kind in _TEXTS and _has_text(answer, place):
        return b'data: {"type":"%b-end","id":"%d"}\n\n' % (kind.encode(), place)
    return b""


def _has_text(answer: Answer, place: int) -> bool:
    """Whether a block has text: it begins with it, or is provider data alone."""
    [first] = answer.beyond(answer.start_of(place), 1)[:1]
    return bool(first.text)


def _last_closing(answer: Answer) -> bytes:
    last = answer.block_count - 1
    return _closing(answer, last) if last >= 0 else b""


def _calls(answer: Answer) -> bytes:
    """The tool calls of a whole answer, to be carried out. Of any other one none is valid."""
    if not answer.tool_calls or answer.ending is None or not is_whole(answer.ending):
        return b""
    blocks = answer.blocks()
    return b"".join(_call(block) for block in blocks if isinstance(block, ToolCallBlock))


def _call(call: ToolCallBlock) -> bytes:
    named = {"toolCallId": call.id, "toolName": call.name}
    try:
        arguments = embedded_json(call.arguments) if call.arguments.strip() else {}
    except ValueError:
        mistake = {
            "type": "tool-input-error",
            **named,
            "input": call.arguments,
            "errorText": "The model wrote arguments that are not JSON.",
        }
        return _event(mistake)
    return _event({"type": "tool-input-available", **named, "input": arguments})


def _output(result: ToolResultBlock) -> bytes:
    """The result of a tool call, as the client sent it before."""
    if result.is_error:
        said = {"type": "tool-output-error", "toolCallId": result.id, "errorText": result.text}
        return _event(said)
    # A string that a tool returned is not distinguished from a number in the store.
    output: object = result.text
    if result.text[:1] in ("{", "["):
        with suppress(ValueError):
            output = embedded_json(result.text)
    return _event({"type": "tool-output-available", "toolCallId": result.id, "output": output})


def _whole(block: Block) -> bytes:
    """An image or a file; nothing for what only later versions know."""
    if not isinstance(block, ImageBlock | FileBlock) or block.url is None:
        return b""
    usual = _IMAGE_TYPE if isinstance(block, ImageBlock) else _FILE_TYPE
    return _event({"type": "file", "mediaType": block.media_type or usual, "url": block.url})


def _end_metadata(ending: Ending, request_id: str) -> dict[str, Any]:
    return {
        "status": ending.status,
        "finish_reason": ending.finish_reason,
        "usage": ending.usage,
        "timing": ending.timing,
        # Also without one: it replaces that of an earlier step of the message.
        "error": None if ending.error is None else Problem.of(ending.error, request_id),
    }


def _metadata(metadata: dict[str, Any]) -> bytes:
    return _event({"type": "message-metadata", "messageMetadata": metadata})


def _finish(ending: Ending, metadata: dict[str, Any]) -> bytes:
    reason = _FINISH_REASONS.get(ending.finish_reason or "", "other")
    return _event({"type": "finish", "finishReason": reason, "messageMetadata": metadata})


def _event(value: object) -> bytes:
    return b"data: %b\n\n" % json_line(value)
