"""AG-UI's stream: events of a run as SSE, numbered by `id:` as TanStack AI resumes them.

A run is an answer. All its text and its tool calls belong to one message, whose id is the answer's;
each block of reasoning is a message of its own. AG-UI itself has no way to resume: its client
ignores ids, and its verifier refuses an event that comes twice. TanStack's client sends the last id
in `Last-Event-ID`, and drops events whose id it has seen.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from handlers.wires.event_numbers import LAST_NUMBER, EventNumbers, EventStructure, Structure
from handlers.wires.json_line import json_line
from model.blocks import ToolCallBlock, text_in
from model.embedded_json import embedded_json
from model.growth import Piece
from model.messages import Ending, Message, Status
from model.usage import Usage
from relay.answer import MAX_EVENT_CHARS, Answer
from relay.errors import RelayError
from relay.tool_loop import is_whole

PROTOCOL: Final = "ag-ui"

# What a server of AG-UI 1.0 has to say of itself.
_VERSION: Final = "1.0"

# The events around a block's growth: START and END, of reasoning those of its phase and of its
# message. What comes whole is one event.
_STRUCTURE: Final = EventStructure(
    1,
    {"text": Structure(1, 1), "reasoning": Structure(2, 2), "tool_call": Structure(1, 1)},
    Structure(1, 0),
)

# Why a run has failed that has no error of its own.
_NOT_FINISHED: Final = {
    Status.INTERRUPTED: "The server stopped while it generated this answer. Ask again.",
    Status.ABANDONED: "The answer was cancelled because nobody was reading it. Ask again.",
}


class Run(msgspec.Struct, frozen=True):
    """A run as its client names it."""

    thread_id: str
    run_id: str
    parent_run_id: str | None = None

    @property
    def ids(self) -> dict[str, str]:
        """The fields that its first event and its last one have."""
        return {"threadId": self.thread_id, "runId": self.run_id}


def run_of(answer: Answer | Message) -> Run:
    """The run that an answer is: as its client named it, else by the ids of this server."""
    kept = answer.client
    if kept is None or kept.protocol != PROTOCOL:
        return Run(answer.conversation_id, answer.id)
    return Run(
        str(kept.request.get("threadId", answer.conversation_id)),
        str(kept.request.get("runId", answer.id)),
        kept.request.get("parentRunId"),
    )


def reasoning_id(answer_id: str, block: int) -> str:
    """The id of the message that a block of reasoning is."""
    return f"{answer_id}-{block}"


class AgUiWire:
    """AG-UI, for one reader of one answer, which has the events up to the number `after`; -1: none.

    `can_resume`: the client comes back if the stream is cut off. `thread` is the JSON of the
    messages before the run: a client that is to forget what it received gets them again.
    """

    def __init__(
        self, answer: Answer, run: Run, *, after: int = -1, can_resume: bool = False
    ) -> None:
        self.thread = b"[]"
        self._run = run
        self._after = after
        self._can_resume = can_resume
        self._message = json_line(answer.id)
        self._answer = answer
        self._numbers = EventNumbers(answer, _STRUCTURE)

    @property
    def position(self) -> int:
        """The position from which the reader goes on; beyond the answer's for one that is ahead.

        Of an answer of another process, which has more of it, what the reader has is left out when
        it comes.
        """
        answer = self._answer
        if self.is_ahead and not (answer.is_remote and answer.ending is None):
            return answer.position + 1
        return self._numbers.position_after(self._after)

    @property
    def is_ahead(self) -> bool:
        """Whether the reader has received more than what is known of the answer."""
        answer, after = self._answer, self._after
        last, ending = answer.block_count - 1, answer.ending
        if last < 0:
            return after > 0
        if ending is None:
            return after > self._numbers.delta(last, answer.position)
        if ending.status is Status.INTERRUPTED:
            # What a crash lost had the numbers that are now those of the last block's end.
            return after >= self._numbers.closing(last)
        return after >= self._ended_at(answer) + len(_pending_calls(answer, ending))

    def begin(self, answer: Answer) -> bytes:
        """`RUN_STARTED`; for a reader that has it, a comment that opens the stream."""
        return b": resumed\n\n" if self._after >= 0 else self._started(b"0")

    def heartbeat(self) -> bytes:
        """A comment, which clients ignore."""
        return b": beat\n\n"

    def reconnect(self, milliseconds: int) -> bytes:
        """A comment: clients wait as long as they see fit."""
        return b": reconnect after %d ms\n\n" % milliseconds

    def cut_off(self, milliseconds: int, error: RelayError, request_id: str) -> bytes:
        """`RUN_ERROR`; for a client that can resume, a line without its end.

        TanStack's client goes on after a stream that was cut off, but takes one that ends properly
        and brought nothing new for a run that failed.
        """
        if self._can_resume:
            return b": cut off"
        return self._error(error.code, str(error))

    def growth(self, answer: Answer, position: int, pieces: Sequence[Piece]) -> bytes:
        """The growth of each piece, and what it opens and closes."""
        events: list[bytes] = []
        for piece in pieces:
            block = piece.block
            if position == answer.start_of(block):
                if block:
                    self._close(events, answer, block - 1)
                self._open(events, answer, piece)
            position += piece.length
            if not piece.text:
                continue
            end = position if piece.data is None else position - 1
            number, text = self._numbers.delta(block, end), piece.text
            if number - len(text) < self._after:  # the number before the text's own
                text = text[self._after - number :] if number > self._after else ""
                if not text:
                    continue
            delta = json_line(text)
            if piece.type == "text":
                events.append(
                    b'id: %d\ndata: {"type":"TEXT_MESSAGE_CONTENT","messageId":%b,"delta":%b}\n\n'
                    % (number, self._message, delta)
                )
            elif piece.type == "reasoning":
                events.append(
                    b'id: %d\ndata: {"type":"REASONING_MESSAGE_CONTENT","messageId":%b,'
                    b'"delta":%b}\n\n' % (number, json_line(reasoning_id(answer.id, block)), delta)
                )
            elif piece.type == "tool_call":
                events.append(
                    b'id: %d\ndata: {"type":"TOOL_CALL_ARGS","toolCallId":%b,"delta":%b}\n\n'
                    % (number, json_line(answer.opening_of(block).id), delta)
                )
        return events[0] if len(events) == 1 else b"".join(events)

    def reset(self, answer: Answer) -> Iterator[bytes]:
        """The run from its beginning, after the messages before it; an empty id has the client
        forget the ids that it has seen.
        """
        self._after = -1
        self._numbers = EventNumbers(self._answer, _STRUCTURE)
        yield self._started(b"")
        yield b'data: {"type":"MESSAGES_SNAPSHOT","messages":%b}\n\n' % self.thread
        position = 0
        while pieces := answer.beyond(position, MAX_EVENT_CHARS):
            yield self.growth(answer, position, pieces)
            position += sum(piece.length for piece in pieces)

    def end(self, answer: Answer, position: int, request_id: str) -> bytes:
        """`RUN_FINISHED`, or `RUN_ERROR` for a run that failed."""
        ending = answer.ending
        assert ending is not None
        events: list[bytes] = []
        last = answer.block_count - 1
        has_failed = ending.status not in (Status.COMPLETE, Status.STOPPED)
        is_cut_call = last >= 0 and answer.type_of(last) == "tool_call" and has_failed
        if last >= 0 and not is_cut_call:  # with its end a client might carry the call out
            self._close(events, answer, last)
        if has_failed:
            error = ending.error
            if error is None:
                message = _NOT_FINISHED.get(ending.status, "The answer failed.")
                events.append(self._error(str(ending.status), message))
            else:
                events.append(self._error(error.code, error.message))
            return b"".join(events)
        calls = _pending_calls(answer, ending)
        self._add(events, self._ended_at(answer), map(_available, calls))
        events.append(self._last(self._finished(answer, ending, calls)))
        return b"".join(events)

    def _started(self, number: bytes) -> bytes:
        event: dict[str, str] = {"type": "RUN_STARTED", **self._run.ids}
        event["protocolVersion"] = _VERSION
        if self._run.parent_run_id is not None:
            event["parentRunId"] = self._run.parent_run_id
        return b"id: %b\ndata: %b\n\n" % (number, json_line(event))

    def _finished(
        self, answer: Answer, ending: Ending, calls: Sequence[ToolCallBlock]
    ) -> dict[str, Any]:
        event: dict[str, Any] = {"type": "RUN_FINISHED", **self._run.ids}
        if ending.status is Status.STOPPED:
            event["outcome"] = {"type": "cancelled"}
        else:
            event["outcome"] = {"type": "success"}
            if calls:
                event["outcome"]["pendingToolCallIds"] = [call.id for call in calls]
            event["result"] = {"finishReason": ending.finish_reason}
        return event | _usage(answer, ending.usage)

    def _error(self, code: str, message: str) -> bytes:
        return self._last({"type": "RUN_ERROR", "message": message, "code": code})

    def _last(self, event: dict[str, Any]) -> bytes:
        return b"id: %d\ndata: %b\n\n" % (LAST_NUMBER, json_line(event))

    def _ended_at(self, answer: Answer) -> int:
        """The number of the first event after the last block's."""
        last = answer.block_count - 1
        if last < 0:
            return 1
        return self._numbers.closing(last) + _STRUCTURE.of_type(answer.type_of(last)).closing

    def _open(self, events: list[bytes], answer: Answer, piece: Piece) -> None:
        """Add the events that open the block of `piece`, unless the reader has them."""
        block, number = piece.block, self._numbers.opening(piece.block)
        opened: tuple[bytes, ...] = ()
        if piece.type == "text":
            opened = (
                b'{"type":"TEXT_MESSAGE_START","messageId":%b,"role":"assistant"}' % self._message,
            )
        elif piece.type == "tool_call":
            call = json_line(piece.id), json_line(piece.name), self._message
            opened = (
                b'{"type":"TOOL_CALL_START","toolCallId":%b,"toolCallName":%b,'
                b'"parentMessageId":%b}' % call,
            )
        elif piece.type == "reasoning":
            if piece.text:
                reasoning = json_line(reasoning_id(answer.id, block))
                opened = (
                    b'{"type":"REASONING_START","messageId":%b}' % reasoning,
                    b'{"type":"REASONING_MESSAGE_START","messageId":%b,"role":"reasoning"}'
                    % reasoning,
                )
        elif piece.whole is not None:
            opened = (b'{"type":"CUSTOM","name":"block","value":%b}' % json_line(piece.whole),)
        self._add(events, number, opened)

    def _close(self, events: list[bytes], answer: Answer, block: int) -> None:
        """Add the events that close a complete block, unless the reader has them."""
        opening, number = answer.opening_of(block), self._numbers.closing(block)
        closed: tuple[bytes, ...] = ()
        if opening.type == "text":
            closed = (b'{"type":"TEXT_MESSAGE_END","messageId":%b}' % self._message,)
        elif opening.type == "tool_call":
            closed = (b'{"type":"TOOL_CALL_END","toolCallId":%b}' % json_line(opening.id),)
        elif opening.type == "reasoning" and text_in(answer.block(block)):
            reasoning = json_line(reasoning_id(answer.id, block))
            closed = (
                b'{"type":"REASONING_MESSAGE_END","messageId":%b}' % reasoning,
                b'{"type":"REASONING_END","messageId":%b}' % reasoning,
            )
        self._add(events, number, closed)

    def _add(self, events: list[bytes], number: int, structural: Iterable[bytes]) -> None:
        for count, data in enumerate(structural, number):
            if count > self._after:
                events.append(b"id: %d\ndata: %b\n\n" % (count, data))


def _pending_calls(answer: Answer, ending: Ending) -> list[ToolCallBlock]:
    """The tool calls that the client has to carry out: those of an answer that is whole."""
    if not answer.tool_calls or not is_whole(ending):
        return []
    return [block for block in answer.blocks() if isinstance(block, ToolCallBlock)]


def _available(call: ToolCallBlock) -> bytes:
    """What has TanStack's client carry out a call. To AG-UI's client it is an event of the app's
    own, which nothing happens for.
    """
    try:
        arguments = embedded_json(call.arguments or "{}")
    except ValueError:
        arguments = call.arguments
    value = {"toolCallId": call.id, "toolName": call.name, "input": arguments}
    return json_line({"type": "CUSTOM", "name": "tool-input-available", "value": value})


def _usage(answer: Answer, usage: Usage | None) -> dict[str, Any]:
    """The field `usage`, whose parts are left out where the provider gave none."""
    if usage is None:
        return {}
    provider, _, model = answer.model.partition("/")
    parts = {
        "reasoningTokens": usage.reasoning_tokens,
        "cachedInputTokens": usage.cached_tokens,
        "cacheWriteInputTokens": usage.cache_written_tokens,
    }
    entry = {
        "provider": provider,
        "model": model,
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
        **{name: count for name, count in parts.items() if count},
    }
    return {"usage": [entry]}
