"""Reads responses of Anthropic's Messages API, and of the gateways that imitate it.

Checked by replaying such streams through anthropic 2.14.0. An answer is a list of blocks, which
come one after the other, each by its index: it starts, grows by deltas and stops. `stop_reason` is
the finish mark, and `message_stop` the word that nothing follows. Usage comes in two halves, whose
figures are totals and not differences: those of the last event count, and what it leaves out keeps
its value from `message_start`. `input_tokens` leaves out what was read from the cache or written to
it. Events, blocks and deltas of types that are not listed here are skipped, as the API asks of its
clients.

A thinking block ends with its signature, without which the API does not take it back; hidden
thinking (`redacted_thinking`) is opaque data and nothing else. Gateways send thinking with an empty
signature: then there is nothing to send back.
"""

from typing import Any, Final

import msgspec

from model.blocks import ProviderData
from model.usage import Usage
from providers.assembler import Assembler
from providers.content_parts import argument_text, texts_in
from providers.error_bodies import ErrorFields, error_fields_in, says_no_error
from providers.error_parsing import error_from
from providers.errors import BadResponse
from providers.finish import finish_of
from providers.json_events import JsonInterpreter
from providers.lenient_json import Content
from providers.sse import Event
from providers.text_pieces import is_torn
from providers.tool_calls import MAX_CALLS, CallFunction, CallPiece

DIALECT: Final = "anthropic"  # in the provider data of its answers

# Deltas of types that add nothing which is kept.
_SILENT_DELTAS: Final = ("citations_delta",)

# Blocks that are open at a time: one, in all streams that were seen. So many calls has an answer.
_MAX_OPEN_BLOCKS: Final = MAX_CALLS

# Characters. Signatures have some hundred, those of hidden thinking some thousand.
_MAX_SIGNATURE_CHARS: Final = 1_000_000


class _AnthropicBlock(msgspec.Struct, gc=False):
    """A block, whole or as it starts."""

    type: str | None = None
    text: Content = None
    thinking: Content = None
    signature: str | None = None
    data: str | None = None  # of hidden thinking
    id: str | None = None
    name: str | None = None
    input: Any = None


class _AnthropicStopDetails(msgspec.Struct, gc=False):
    explanation: str | None = None  # of a refusal, for people


class _AnthropicDelta(msgspec.Struct, gc=False):
    """What an event adds: to a block, or to the message."""

    type: str | None = None
    text: Content = None
    thinking: Content = None
    signature: str | None = None
    partial_json: Content = None
    stop_reason: str | None = None
    stop_details: _AnthropicStopDetails | None = None


class _AnthropicOutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: int | None = None


class _AnthropicUsage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _AnthropicOutputDetails | None = None


class _AnthropicMessage(msgspec.Struct, gc=False):
    """The message of `message_start`, which is empty but for its usage."""

    usage: _AnthropicUsage | None = None


class _AnthropicEvent(msgspec.Struct, gc=False):
    """The fields that are read of an event, of a whole answer, or of an error."""

    type: str | None = None
    index: int | None = None
    message: _AnthropicMessage | None = None
    content_block: _AnthropicBlock | None = None
    delta: _AnthropicDelta | None = None
    usage: _AnthropicUsage | None = None
    content: list[_AnthropicBlock] | None = None  # this and the next two are of a whole answer
    stop_reason: str | None = None
    stop_details: _AnthropicStopDetails | None = None
    error: Any = None


_DECODER: Final = msgspec.json.Decoder(_AnthropicEvent)


class _OpenAnthropicBlock:
    """A block that was started."""

    __slots__ = ("call_id", "has_input", "input", "kind", "signature")

    def __init__(self, block: _AnthropicBlock) -> None:
        self.kind = block.type
        self.signature = block.signature or ""
        self.call_id = block.id
        self.input = block.input  # at the start, where gateways may have all of it
        self.has_input = False  # whether a piece of the input came after that


class AnthropicInterpreter(JsonInterpreter[_AnthropicEvent]):
    """Reads the blocks of one message of `model`."""

    has_end_word = True

    def __init__(self, out: Assembler, model: str) -> None:
        super().__init__(out, _DECODER)
        self._model = model
        self._blocks: dict[int, _OpenAnthropicBlock] = {}  # started and not stopped
        self._usage = _AnthropicUsage()  # the last value of each figure
        self._is_stopped = False  # `message_stop` came

    def is_recognized(self, body: _AnthropicEvent) -> bool:
        """Whether the body is a whole answer or an error."""
        return body.content is not None or not says_no_error(body.error)

    def event(self, event: Event) -> bool:
        """Read one event; returns whether it is `message_stop`."""
        self._is_stopped = False
        return super().event(event) or self._is_stopped

    def interpret(self, body: _AnthropicEvent) -> bool:
        """Read one event, a whole answer, or an error."""
        match body.type:
            case "content_block_delta":
                if body.delta is not None:
                    self._grow(body.index or 0, body.delta)
            case "content_block_start":
                self._start(body.index or 0, body.content_block or _AnthropicBlock())
            case "content_block_stop":
                self._stop(body.index or 0)
            case "message_start":
                if body.message is not None and body.message.usage is not None:
                    self._count(body.message.usage)
            case "message_delta":
                delta = body.delta or _AnthropicDelta()
                self._end(delta.stop_reason, delta.stop_details, body.usage)
            case "message_stop":
                self._is_stopped = True
            case "ping":
                pass
            case "message" | None if body.content is not None:
                if not self._out.content_count:  # else it repeats what was streamed
                    self._read_whole(body.content)
                self._end(body.stop_reason, body.stop_details, body.usage)
            case _ if body.error is not None and not says_no_error(body.error):
                raise error_from(error_fields_in({"error": body.error}) or ErrorFields())
            case _:
                return False
        return True

    # Blocks

    def _start(self, index: int, block: _AnthropicBlock) -> None:
        if index in self._blocks:
            self._stop(index)  # a gateway left out its end
        self._stop_thinking()
        if len(self._blocks) >= _MAX_OPEN_BLOCKS:
            raise BadResponse(reason="too_many_blocks")
        self._blocks[index] = _OpenAnthropicBlock(block)
        match block.type:
            case "text":
                self._write_text(block.text)
            case "thinking":
                self._write_reasoning(block.thinking)
            case "redacted_thinking":
                if block.data:
                    self._data({"type": "redacted_thinking", "data": block.data})
            case "tool_use":
                self._out.tool_call(_call(index, block.id, block.name, None), index)
            case _:
                self._out.note_quirk("block_type", block.type)

    def _grow(self, index: int, delta: _AnthropicDelta) -> None:
        open_block = self._blocks.get(index)
        kind = None if open_block is None else open_block.kind  # None: its start did not come
        match delta.type:
            case "text_delta":
                if kind == "text" or kind is None:
                    self._write_text(delta.text)
            case "thinking_delta":
                if kind == "thinking" or kind is None:
                    self._write_reasoning(delta.thinking)
            case "signature_delta":
                if open_block is not None and kind == "thinking":
                    open_block.signature += delta.signature or ""
                    if len(open_block.signature) > _MAX_SIGNATURE_CHARS:
                        raise BadResponse(reason="signature_too_long")
            case "input_json_delta":
                piece = argument_text(delta.partial_json)
                if open_block is not None and kind == "tool_use" and piece:
                    open_block.has_input = True
                    self._out.tool_call(_call(index, open_block.call_id, None, piece), index)
            case _ if delta.type not in _SILENT_DELTAS:
                self._out.note_quirk("delta_type", delta.type)

    def _stop(self, index: int) -> None:
        """The block is whole: only now its signature may go back."""
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block.kind == "thinking" and block.signature:
            self._data({"type": "thinking", "signature": block.signature})
        elif block.kind == "tool_use" and not block.has_input:
            given = argument_text(block.input or {})
            self._out.tool_call(_call(index, block.call_id, None, given), index)

    def _stop_thinking(self) -> None:
        """Something follows: thinking is over, also where a gateway left out its end."""
        for index in [index for index, each in self._blocks.items() if each.kind == "thinking"]:
            self._stop(index)

    def _read_whole(self, content: list[_AnthropicBlock]) -> None:
        """Read the blocks of an answer in one piece."""
        for index, block in enumerate(content):
            self._start(index, block)
            self._stop(index)

    def _write_text(self, text: Content) -> None:
        if type(text) is str:
            self._out.text(text)
        else:
            self._out.text("".join(words for _, words in texts_in(text)))

    def _write_reasoning(self, text: Content) -> None:
        self._out.reasoning("".join(words for _, words in texts_in(text)))

    def _data(self, value: dict[str, str]) -> None:
        """Keep data, unless half a character is in it: it can neither be stored nor be valid."""
        if not any(map(is_torn, value.values())):
            self._out.data(ProviderData(DIALECT, self._model, value))

    # What is said of the whole message

    def _end(
        self,
        stop_reason: str | None,
        details: _AnthropicStopDetails | None,
        usage: _AnthropicUsage | None,
    ) -> None:
        """Read the finish mark, if there is one by now, and the figures up to it."""
        if usage is not None:
            self._count(usage)
        finish = finish_of(stop_reason)
        if finish is None:
            return
        self._stop_thinking()
        for index, block in list(self._blocks.items()):
            if block.input and not block.has_input:  # all of it was there, but the block's end
                self._stop(index)
        explanation = details.explanation if details is not None else None
        if explanation and not self._out.content_count:
            self._out.write("refusal", explanation)
        self._out.finish(finish)

    def _count(self, given: _AnthropicUsage) -> None:
        known = self._usage
        for name in _AnthropicUsage.__struct_fields__:
            if (value := getattr(given, name)) is not None:
                setattr(known, name, value)
        details = known.output_tokens_details
        cached = known.cache_read_input_tokens or 0
        written = known.cache_creation_input_tokens or 0
        self._out.usage(
            Usage(
                (known.input_tokens or 0) + cached + written,
                known.output_tokens or 0,
                cached_tokens=cached,
                cache_written_tokens=written,
                reasoning_tokens=(details.thinking_tokens or 0) if details is not None else 0,
            )
        )


def _call(index: int, call_id: str | None, name: str | None, arguments: str | None) -> CallPiece:
    return CallPiece(index, call_id, CallFunction(name, arguments))
