"""Reads responses in the style of OpenAI's chat completions, which servers vary in many ways.

What is said here of OpenAI was checked by replaying such streams through its SDK (openai 3.54.0),
or read in its code. The variations of other servers that are handled: usage in the finish chunk, on
every chunk, in the last chunk or inside the choice (Moonshot); reasoning as `reasoning_content` or
`reasoning`, sometimes both with the same text, as a part of the content (Mistral), or in pieces of
`reasoning_details` (MiniMax); finish reasons absent, null, "" or "null" until the end, or on every
chunk; tool calls without an index, with repeated empty ids or with an id for each piece, or as the
deprecated `function_call`; the whole message once more after its deltas (MiniMax); error codes that
are integers; errors that are a bare string, have no wrapper (older vLLM), come with HTTP 200, next
to a finish mark (OpenRouter), before a `[DONE]` (vLLM), in a field called `error:` (older
llama.cpp), are DashScope's native ones, or are such a one framed as an event within the content
(DashScope's compatible mode).
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from model.messages import FinishReason
from model.usage import Usage
from providers.assembler import Assembler
from providers.choice_indexes import ChoiceIndexes
from providers.choices import Choices
from providers.content_parts import texts_in
from providers.error_bodies import ErrorFields, error_fields_in, says_no_error
from providers.error_parsing import error_from, error_in_text
from providers.errors import ProviderError
from providers.finish import finish_of
from providers.json_events import JsonInterpreter
from providers.lenient_json import Content
from providers.plain_text import plain_texts
from providers.sink import Finish, Kind
from providers.sse import Event, StrayLine
from providers.tool_calls import CallFunction, CallPiece

# Characters of the shortest error that DashScope sends as content. Shorter contents, such as
# tokens, are not checked.
_ERROR_EVENT_CHARS: Final = 40

_DONE: Final = b"[DONE]"


class OpenAIMessage(msgspec.Struct, gc=False):
    """The fields that are read of a delta, or of a whole message."""

    content: Content = None
    reasoning_content: Content = None
    reasoning: Content = None
    reasoning_details: Content = None  # sent by MiniMax, and by OpenRouter beside `reasoning`
    refusal: str | None = None
    tool_calls: list[CallPiece] | None = None
    function_call: CallFunction | None = None


class _OpenAITokenDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_input_tokens: int | None = None  # the same of DashScope
    reasoning_tokens: int | None = None


_NO_DETAILS: Final = _OpenAITokenDetails()


class _OpenAIUsage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _OpenAITokenDetails | None = None
    completion_tokens_details: _OpenAITokenDetails | None = None
    cached_tokens: int | None = None  # Moonshot
    prompt_cache_hit_tokens: int | None = None  # DeepSeek


class OpenAIChoice(msgspec.Struct, gc=False):
    """One of the answers; requests ask for one only."""

    index: int | None = None
    delta: OpenAIMessage | None = None
    message: OpenAIMessage | None = None
    text: Content = None  # of the older completions API
    finish_reason: str | None = None
    error: Any = None  # sent by OpenRouter
    usage: _OpenAIUsage | None = None
    flag: int | None = None  # sent by Qianfan


class OpenAIChunk(msgspec.Struct, gc=False):
    """The fields that are read of a chunk, of a whole answer, or of an error."""

    choices: list[OpenAIChoice] | None = None
    usage: _OpenAIUsage | None = None
    error: Any = None
    code: str | int | None = None
    type: Any = None
    message: Any = None
    base_resp: Any = None  # sent by MiniMax


_DECODER: Final = msgspec.json.Decoder(OpenAIChunk)


class OpenAIInterpreter(JsonInterpreter[OpenAIChunk]):
    """Reads chunks of chat completions. With `done_ends`, `[DONE]` is a finish mark too."""

    has_end_word = True

    def __init__(self, out: Assembler, *, done_ends: bool = False) -> None:
        super().__init__(out, _DECODER)
        self._done_ends = done_ends
        self._choices = Choices(out)
        self._choice_indexes: ChoiceIndexes[OpenAIChoice] | None = (
            ChoiceIndexes()
        )  # until indexes are known
        self._has_deltas = False  # deltas with content
        self._held_text: str | None = None  # content that may be the provider's error

    def is_recognized(self, body: OpenAIChunk) -> bool:
        """Whether the body has choices or an error."""
        return bool(body.choices) or _is_error(body)

    def plain_texts(self, events: Sequence[Event | StrayLine]) -> int:
        """Read the first events, as many as are plain text (`plain_text.py`)."""
        index = self._choices.text
        if index is None or self._choice_indexes is not None or self._held_text is not None:
            return 0
        if not (self._has_deltas and self._out.is_passthrough):
            return 0
        texts = plain_texts(events, index, _ERROR_EVENT_CHARS)
        if texts:
            self._out.text(texts[0] if len(texts) == 1 else "".join(texts))
        return len(texts)

    def is_end_word(self, data: bytes) -> bool:
        """Whether `data` is `[DONE]`, which some send in quotes or framed twice.

        It does not prove success.
        """
        if data.strip().removeprefix(b"data:").strip(b'" ').upper() != _DONE:
            return False
        self._interpret_rest()
        self._raise_held_error()
        self._out.confirm()
        if self._done_ends and self._out.finish_mark is None and self._out.content_count:
            self._out.finish(Finish(FinishReason.STOP, "done"))
        return True

    def release(self) -> None:
        """Pass on what is held back here too: choices, and content that turned out to be text."""
        self._interpret_rest()
        self._release_held_text()
        super().release()

    def end(self, *, proper: bool) -> None:
        """Nothing follows: without a mark of its own, the answer takes that of another choice."""
        self._interpret_rest()
        self._raise_held_error()
        super().end(proper=proper)
        if proper:
            self._choices.end()

    def interpret(self, body: OpenAIChunk) -> bool:
        """Read one chunk, a whole answer, or an error."""
        usage, error = body.usage, None
        choices: Sequence[OpenAIChoice] = body.choices or ()
        if self._choice_indexes is not None:
            choices = self._with_known_index(self._choice_indexes, choices)
        for choice in choices:
            self._interpret_choice(choice)
            usage = usage or choice.usage
            error = error or choice.error
        if usage is not None:
            self._usage(usage)
        if error is not None and not says_no_error(error):
            raise error_from(error_fields_in({"error": error}) or ErrorFields())
        if _is_error(body):  # also if it has choices
            raise _error_from_chunk(body)
        return bool(body.choices) or usage is not None

    def _interpret_choice(self, choice: OpenAIChoice) -> None:
        index = choice.index or 0
        word = choice.finish_reason
        finish = None if word is None else self._finish(choice)
        if (delta := choice.delta) is not None:
            before = self._out.content_count
            self._delta(index, delta, finish)
            self._has_deltas = self._has_deltas or self._out.content_count > before
        if (message := choice.message) is not None:
            if self._has_deltas or (delta is not None and self._extends(message)):
                self._repeated(index, message)
            else:
                self._delta(index, message, finish)
        if choice.text is not None and choice.delta is None and choice.message is None:
            self._delta(index, OpenAIMessage(choice.text), finish)
        if finish is not None:
            self._settle_held(finish)
            self._choices.finish(index, finish)

    def _with_known_index(
        self, indexes: ChoiceIndexes[OpenAIChoice], choices: Sequence[OpenAIChoice]
    ) -> Sequence[OpenAIChoice]:
        """Return the choices that can be read by now, each with the index that is meant."""
        if self._out.content_count:
            choices = indexes.known(choices)
        elif any(map(_says_something, choices)):
            indexes.begin(choices)
        if indexes.is_settled:
            self._choice_indexes = None
        return choices

    def _interpret_rest(self) -> None:
        if self._choice_indexes is not None:
            for choice in self._choice_indexes.rest():
                self._interpret_choice(choice)

    def _finish(self, choice: OpenAIChoice) -> Finish | None:
        """Return the finish mark in a choice, if there is one."""
        return finish_of(choice.finish_reason)

    def _delta(self, index: int, delta: OpenAIMessage, finish: Finish | None) -> None:
        choices = self._choices
        if thought := delta.reasoning_content or delta.reasoning or delta.reasoning_details:
            if type(thought) is not str:
                thought = "".join(words for _, words in texts_in(thought))
            if thought and choices.accepts_reasoning(index):
                if finish is not None and finish.reason is FinishReason.ERROR:
                    _raise_error_in(thought)
                self._out.reasoning(thought)
        content = delta.content
        if type(content) is str:
            if content and (index == choices.text or choices.accepts_text(index)):
                if self._held_text is not None:
                    self._release_held_text()
                if len(content) <= _ERROR_EVENT_CHARS or not self._hold_back(content, finish):
                    self._out.text(content)
        elif content is not None:
            for kind, words in texts_in(content):
                self._part(index, kind, words, finish)
        if delta.refusal:
            self._part(index, "refusal", delta.refusal, finish)
        if delta.tool_calls and choices.accepts_calls(index):
            for place, piece in enumerate(delta.tool_calls):
                self._out.tool_call(piece, place)
        if delta.function_call is not None and choices.accepts_calls(index):
            self._out.tool_call(CallPiece(0, None, delta.function_call), 0)

    def _part(self, index: int, kind: Kind, words: str, finish: Finish | None) -> None:
        """Add a part of a content that is a list."""
        choices = self._choices
        accepts = choices.accepts_reasoning if kind == "reasoning" else choices.accepts_text
        if words and accepts(index):
            if finish is not None and finish.reason is FinishReason.ERROR:
                _raise_error_in(words)
            self._release_held_text()
            self._out.write(kind, words)

    def _extends(self, message: OpenAIMessage) -> bool:
        """Whether a message repeats the text so far, and so is a whole message rather than a
        piece.
        """
        written = self._out.written("text")
        return (
            written != "" and type(message.content) is str and message.content.startswith(written)
        )

    def _repeated(self, index: int, message: OpenAIMessage) -> None:
        """Read a whole message that follows or accompanies deltas: add what they lacked."""
        said: dict[Kind, str] = {}
        for kind, words in texts_in(message.content):
            said[kind] = said.get(kind, "") + words
        thought = message.reasoning_content or message.reasoning or message.reasoning_details
        if thought:
            said["reasoning"] = "".join(words for _, words in texts_in(thought))
        if message.refusal:
            said["refusal"] = said.get("refusal", "") + message.refusal
        if said.get("reasoning") and self._choices.accepts_reasoning(index):
            self._out.whole_text("reasoning", said["reasoning"])
        for kind in (each for each in ("text", "refusal") if said.get(each)):
            if self._choices.accepts_text(index):
                self._out.whole_text(kind, said[kind])
        pieces = message.tool_calls or []
        if message.function_call is not None:
            pieces = [CallPiece(0, None, message.function_call)]
        if pieces and self._choices.accepts_calls(index):
            for place, piece in enumerate(pieces):
                self._out.whole_call(piece, place)

    def _usage(self, usage: _OpenAIUsage) -> None:
        if usage.prompt_tokens is None:
            return
        read = usage.prompt_tokens_details or _NO_DETAILS
        made = usage.completion_tokens_details or _NO_DETAILS
        output, reasoning = usage.completion_tokens or 0, made.reasoning_tokens or 0
        if reasoning and usage.total_tokens == usage.prompt_tokens + output + reasoning:
            output += reasoning  # xAI counts them apart
        cached = read.cached_tokens or usage.cached_tokens or usage.prompt_cache_hit_tokens
        self._out.usage(
            Usage(
                usage.prompt_tokens,
                output,
                cached_tokens=cached or 0,
                cache_written_tokens=(
                    read.cache_write_tokens or read.cache_creation_input_tokens or 0
                ),
                reasoning_tokens=reasoning,
            )
        )

    # DashScope's compatible mode reports an error in mid-stream as content: its native error event,
    # raw, in a chunk that ends with `error_finish`. Such content without a finish mark is held
    # until the next chunk, because the user may have asked for an example of one.

    def _hold_back(self, text: str, finish: Finish | None) -> bool:
        """Return whether the content is held.

        Raises the error in it if the chunk has an error mark.
        """
        if finish is None:
            if error_in_text(text, framed=True) is not None:
                self._held_text = text
            return self._held_text is not None
        if finish.reason is FinishReason.ERROR:
            _raise_error_in(text)
        return False

    def _settle_held(self, finish: Finish) -> None:
        if finish.reason is FinishReason.ERROR:
            self._raise_held_error()
        self._release_held_text()

    def _raise_held_error(self) -> None:
        """Raise the error in the held content, if no finish mark came after it."""
        if self._held_text is not None and self._out.finish_mark is None:
            held, self._held_text = self._held_text, None
            _raise_error_in(held)

    def _release_held_text(self) -> None:
        """Pass the held content on as text."""
        if self._held_text is not None:
            held, self._held_text = self._held_text, None
            self._out.text(held)


def _raise_error_in(text: str) -> None:
    if (error := error_in_text(text)) is not None:
        raise error


def _says_something(choice: OpenAIChoice) -> bool:
    said = choice.delta or choice.message
    if said is None:
        return choice.text is not None
    thought = said.reasoning_content or said.reasoning or said.reasoning_details
    return any((said.content, thought, said.refusal, said.tool_calls))


def _is_error(chunk: OpenAIChunk) -> bool:
    if chunk.error is not None and not says_no_error(chunk.error):
        return True
    if chunk.base_resp is not None and error_fields_in({"base_resp": chunk.base_resp}) is not None:
        return True
    return bool(chunk.code) and not chunk.choices and error_fields_in(_unwrapped(chunk)) is not None


def _error_from_chunk(chunk: OpenAIChunk) -> ProviderError:
    """Return the error in `chunk`: an object or a string under `error`, or fields without a
    wrapper.
    """
    said = {**_unwrapped(chunk), "error": chunk.error, "base_resp": chunk.base_resp}
    return error_from(error_fields_in(said) or ErrorFields())


def _unwrapped(chunk: OpenAIChunk) -> dict[str, Any]:
    return {"code": chunk.code, "type": chunk.type, "message": chunk.message}
