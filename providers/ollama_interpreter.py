"""Reads responses of Ollama's own API: one JSON object per line, the last one with `"done": true`.

Checked against ollama 0.6.3 and the server's source. What is easily read wrongly: an error in
mid-stream is a line whose `error` is a sentence; the arguments of a tool call are an object, whole,
and older servers give calls no id; counts that are zero are left out. Lines of `/api/generate`,
whose text is in `response`, are read as well: some gateways send them.
"""

import hashlib
from typing import Any, Final

import msgspec

from model.messages import FinishReason
from model.usage import Usage
from providers.assembler import Assembler
from providers.content_parts import argument_text, texts_in
from providers.error_bodies import ErrorFields, error_fields_in, says_no_error
from providers.error_parsing import error_from
from providers.errors import ProviderError, ProviderOverloaded, Refused
from providers.finish import finish_of
from providers.json_events import JsonInterpreter
from providers.lenient_json import Content
from providers.ndjson import LineParser
from providers.sink import Finish, Kind
from providers.tool_calls import CallFunction, CallPiece

# Reasons of a response that only loaded a model into memory or removed it. Servers whose memory is
# short were seen to answer a question with one, and with no text.
IDLE_REASONS: Final = ("load", "unload")

# What follows in an error's sentence is what the model wrote.
_QUOTATION: Final = "raw="


class _OllamaFunction(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: Content = None


class _OllamaCall(msgspec.Struct, gc=False):
    id: str | None = None
    function: _OllamaFunction | None = None


class _OllamaMessage(msgspec.Struct, gc=False):
    content: Content = None
    thinking: Content = None
    tool_calls: list[_OllamaCall] | None = None


class _OllamaLine(msgspec.Struct, gc=False):
    message: _OllamaMessage | None = None
    created_at: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None
    status: Any = None  # of the error, as a number; older servers send it
    response: Content = None  # of /api/generate; so are the next
    thinking: Content = None
    tool_calls: list[_OllamaCall] | None = None


_DECODER: Final = msgspec.json.Decoder(_OllamaLine)


class OllamaInterpreter(JsonInterpreter[_OllamaLine]):
    """Reads the lines of one response."""

    framing = LineParser

    def __init__(self, out: Assembler) -> None:
        super().__init__(out, _DECODER)
        self._call_count = 0

    def is_recognized(self, body: _OllamaLine) -> bool:
        """Whether the body is a line of an answer or an error."""
        return (
            body.message is not None
            or body.response is not None
            or body.done is not None
            or not says_no_error(body.error)
        )

    def interpret(self, body: _OllamaLine) -> bool:
        """Read one line, a whole answer, or an error."""
        if body.error is not None and not says_no_error(body.error):
            fields = error_fields_in({"error": body.error, "status": body.status})
            raise without_quotation(_runner_error(error_from(fields or ErrorFields())))
        message = body.message
        if message is None and (body.response is not None or body.thinking is not None):
            message = _OllamaMessage(body.response, body.thinking, body.tool_calls)
        if message is not None:
            if message.thinking:
                self._write("reasoning", message.thinking)
            if message.content:
                self._write("text", message.content)
            if message.tool_calls:
                self._calls(message.tool_calls, body.created_at or "")
        if body.done:
            self._done(body)
        return message is not None or body.done is not None

    def _write(self, kind: Kind, content: Content) -> None:
        if type(content) is str:
            self._out.write(kind, content)
            return
        for part, words in texts_in(content):
            self._out.write(kind if part == "text" else part, words)

    def _calls(self, calls: list[_OllamaCall], moment: str) -> None:
        for call in calls:
            function = call.function
            if function is None or not function.name:
                self._out.note_quirk("call_without_a_name")
                continue
            # Calls are numbered here: all calls of some servers have the same index.
            number, self._call_count = self._call_count, self._call_count + 1
            arguments = argument_text(function.arguments) or "{}"
            call_id = call.id or _made_id(moment, number, function.name, arguments)
            piece = CallPiece(number, call_id, CallFunction(function.name, arguments))
            self._out.tool_call(piece, number)

    def _done(self, line: _OllamaLine) -> None:
        # The count of the prompt is left out where none of it was evaluated, because it was cached:
        # then an estimate says more.
        if line.prompt_eval_count is not None:
            self._out.usage(Usage(line.prompt_eval_count, line.eval_count or 0))
        self._out.finish(self._finish(line.done_reason))

    def _finish(self, word: str | None) -> Finish:
        if word in IDLE_REASONS:
            has_text = self._out.content_count > 0
            return Finish(FinishReason.STOP if has_text else FinishReason.ERROR, word)
        finish = finish_of(word) or Finish(FinishReason.STOP, "done")  # very old servers
        if finish.reason is FinishReason.STOP and self._call_count:
            return Finish(FinishReason.TOOL_CALLS, finish.word)
        return finish


def _made_id(moment: str, number: int, name: str, arguments: str) -> str:
    """Return an id for a call that has none.

    It is the same whenever the response is read, and another one for the same call of another
    response, because its time is given in nanoseconds.
    """
    said = "\0".join((moment, str(number), name, arguments))
    return f"call_{hashlib.blake2s(said.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def _runner_error(error: ProviderError) -> ProviderError:
    """Return the error that a line of a stream means; `error` is what any dialect makes of it.

    Where its sentence says nothing more, the program that runs the model crashed, or had not enough
    memory.
    """
    if type(error) is not Refused:
        return error
    return ProviderOverloaded(provider_code=error.provider_code, reason=error.reason)


def without_quotation(error: ProviderError) -> ProviderError:
    """Return `error` without the model's own words in the sentence that is its code."""
    word = error.provider_code
    if word is not None and _QUOTATION in word:
        error.provider_code = word.partition(_QUOTATION)[0].rstrip(" :,") or None
    return error
