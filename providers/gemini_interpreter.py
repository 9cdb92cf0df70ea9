"""Reads Gemini's responses: events that are whole response objects, each with only the new parts.

Checked against google-genai 3.6.1. An event may lack everything: the candidates (the prompt was
blocked, or only usage is reported), the content, or its parts. Parts are text, summaries of
thoughts, and whole function calls, in any mixture; any of them may have a signature, which the
model needs back on the same part. There is no end word: a finish reason ends an answer, and more
events with usage may follow it. Without `alt=sse` the same objects come in one JSON array.

Text has no place for a signature in an answer, so it becomes data of its own, with the number of
characters before it that it signs; `gemini_contents.py` makes the part of it again.
"""

from hashlib import blake2s
from typing import Any, Final

import msgspec

from model.blocks import ProviderData
from model.messages import FinishReason
from model.usage import Usage
from providers.assembler import Assembler
from providers.choices import Choices
from providers.content_parts import argument_text, texts_in
from providers.error_bodies import ErrorFields, error_fields_in, says_no_error
from providers.error_parsing import error_from
from providers.finish import finish_of
from providers.json_events import JsonInterpreter
from providers.lenient_json import Content
from providers.sink import Finish
from providers.tool_calls import CallFunction, CallPiece

DIALECT: Final = "gemini"

# Begins the ids that calls get here, because most models send none; they are never sent back.
MADE_ID_PREFIX: Final = "gemini_call_"

# Finish words whose meaning their parts do not tell; `finish_of` knows all the others.
_FINISHES: Final = {
    "ESCALATION": FinishReason.CONTENT_FILTER,
    "CONTINUATION": FinishReason.LENGTH,  # the limit of one request was reached
    "PUP_LIMITED_DISABLED": FinishReason.ERROR,  # the account was limited for breaking the rules
}


class PartSignature(msgspec.Struct, frozen=True, omit_defaults=True):
    """The value of provider data: a signature, and the part that it was on."""

    signature: str
    on: str  # "call", "thought" or "text"
    chars: int = 0  # of a text: so many of the characters before belong to the signed part


class _GeminiCall(msgspec.Struct, gc=False):
    name: str | None = None
    args: Content = None
    id: str | None = None


class _GeminiPart(msgspec.Struct, gc=False, rename="camel"):
    text: Content = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _GeminiCall | None = None


class _GeminiContent(msgspec.Struct, gc=False):
    parts: list[_GeminiPart] | None = None


class _GeminiCandidate(msgspec.Struct, gc=False, rename="camel"):
    index: int | None = None
    content: _GeminiContent | None = None
    finish_reason: str | None = None


class _GeminiFeedback(msgspec.Struct, gc=False, rename="camel"):
    block_reason: str | None = None


class _GeminiUsage(msgspec.Struct, gc=False, rename="camel"):
    """Counts that are zero are left out."""

    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    candidates_token_count: int | None = None  # without the thoughts
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None  # a part of the prompt's


class _GeminiBody(msgspec.Struct, gc=False, rename="camel"):
    """The fields that are read of an event, of a whole answer, or of an error."""

    candidates: list[_GeminiCandidate] | None = None
    usage_metadata: _GeminiUsage | None = None
    prompt_feedback: _GeminiFeedback | None = None
    response_id: str | None = None
    error: Any = None


_DECODER: Final = msgspec.json.Decoder(_GeminiBody)


class GeminiInterpreter(JsonInterpreter[_GeminiBody]):
    """Reads candidates. `model` is the name that signatures belong to."""

    def __init__(self, out: Assembler, model: str) -> None:
        super().__init__(out, _DECODER)
        self._model = model
        self._choices = Choices(out)
        self._response_id = ""
        self._calls = 0

    def is_recognized(self, body: _GeminiBody) -> bool:
        """Whether the body has candidates, a verdict on the prompt, or an error."""
        return bool(body.candidates) or body.prompt_feedback is not None or _is_error(body)

    def end(self, *, proper: bool) -> None:
        """Nothing follows: an answer with calls ends for these, although its word is STOP."""
        super().end(proper=proper)
        if proper:
            self._choices.end()
        mark = self._out.finish_mark
        if self._calls and mark is not None and mark.reason is FinishReason.STOP:
            self._out.finish(Finish(FinishReason.TOOL_CALLS, mark.word))

    def interpret(self, body: _GeminiBody) -> bool:
        """Read one event, a whole answer, or an error."""
        self._response_id = body.response_id or self._response_id
        for candidate in body.candidates or ():
            self._candidate(candidate)
        if body.usage_metadata is not None:
            self._usage(body.usage_metadata)
        if body.prompt_feedback is not None:
            self._block(body.prompt_feedback)
        if _is_error(body):
            raise error_from(error_fields_in({"error": body.error}) or ErrorFields())
        known = (body.candidates, body.usage_metadata, body.prompt_feedback)
        return any(each is not None for each in known)

    def _candidate(self, candidate: _GeminiCandidate) -> None:
        index = candidate.index or 0
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._part(index, part)
        if (finish := _finish_of(candidate.finish_reason)) is not None:
            self._choices.finish(index, finish)

    def _part(self, index: int, part: _GeminiPart) -> None:
        choices, signature = self._choices, part.thought_signature
        text = part.text if type(part.text) is str else _text_in(part.text)
        if part.function_call is not None:
            if choices.accepts_calls(index):
                self._call(part.function_call)
                self._sign(signature, "call")
        elif part.thought:
            if (text or signature) and choices.accepts_reasoning(index):
                self._out.reasoning(text)
                self._sign(signature, "thought")
        elif text or signature:
            if choices.accepts_text(index):
                self._out.text(text)
                self._sign(signature, "text", len(text))
        elif part.text is None:  # an image, or code that was executed
            self._out.note_quirk("unread_part")

    def _call(self, call: _GeminiCall) -> None:
        arguments = argument_text(call.args) or "{}"  # left out if there are none
        made_from = f"{self._response_id}\0{self._calls}\0{call.name}\0{arguments}"
        digest = blake2s(made_from.encode("utf-8", "replace"), digest_size=8).hexdigest()
        call_id = call.id or f"{MADE_ID_PREFIX}{digest}"
        function = CallFunction(call.name, arguments)
        self._out.tool_call(CallPiece(self._calls, call_id, function), self._calls)
        self._calls += 1

    def _sign(self, signature: str | None, on: str, chars: int = 0) -> None:
        if signature:
            value = msgspec.to_builtins(PartSignature(signature, on, chars))
            self._out.data(ProviderData(DIALECT, self._model, value))

    def _usage(self, usage: _GeminiUsage) -> None:
        read = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
        thoughts = usage.thoughts_token_count or 0
        self._out.usage(
            Usage(
                read,
                (usage.candidates_token_count or 0) + thoughts,
                cached_tokens=usage.cached_content_token_count or 0,
                reasoning_tokens=thoughts,
            )
        )

    def _block(self, feedback: _GeminiFeedback) -> None:
        """Note that the prompt was blocked; there are no candidates then, and no other mark."""
        word = feedback.block_reason
        if finish_of(word) is not None:
            assert word is not None
            self._out.finish(Finish(FinishReason.CONTENT_FILTER, word))


def _text_in(content: Content) -> str:
    return "".join(words for _, words in texts_in(content))


def _finish_of(word: str | None) -> Finish | None:
    if word is not None and (reason := _FINISHES.get(word)) is not None:
        return Finish(reason, word)
    return finish_of(word)


def _is_error(body: _GeminiBody) -> bool:
    return body.error is not None and not says_no_error(body.error)
