"""Alibaba's Qwen through DashScope's native endpoint: an `output` and cumulative usage on every
event.

Checked against dashscope 2.0.2. What is easily read wrongly: while the answer goes on,
`finish_reason` is the string `"null"`; there is no `[DONE]`; usage is a running total, which must
not be summed; errors are events of a stream whose status may be 200 or 4xx, with their real status
only in a comment, so their meaning is decided by `code`. Whether texts are deltas or repeat
everything so far follows from the request and is never guessed.
"""

from typing import Any, Final

import msgspec

from model.messages import FinishReason
from model.prompt import Prompt
from model.usage import Usage
from providers.assembler import Assembler
from providers.choices import Choices
from providers.content_parts import texts_in
from providers.dashscope_messages import (
    MULTIMODAL_PATH,
    TEXT_PATH,
    is_multimodal,
    messages_of,
)
from providers.dialect import Dialect, Interpreter, OutgoingRequest
from providers.error_bodies import ErrorFields, error_fields_in
from providers.error_parsing import error_from, error_in_text
from providers.finish import finish_of
from providers.json_events import JsonInterpreter
from providers.lenient_json import Content
from providers.openai_options import (
    is_thinking,
    only_choices,
    response_format,
    tool_definitions,
)
from providers.options import Field, write_options
from providers.sink import Finish, Kind
from providers.tool_calls import CallPiece


class _DashScopeMessage(msgspec.Struct, gc=False):
    content: Content = None
    reasoning_content: Content = None
    tool_calls: list[CallPiece] | None = None


class _DashScopeChoice(msgspec.Struct, gc=False):
    index: int | None = None
    message: _DashScopeMessage | None = None
    finish_reason: str | None = None


class _DashScopeOutput(msgspec.Struct, gc=False):
    choices: list[_DashScopeChoice] | None = None
    text: Content = None  # with `result_format: "text"`; so is the next
    finish_reason: str | None = None


class _DashScopeTokenDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_tokens: int | None = None


class _DashScopeUsage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: _DashScopeTokenDetails | None = None
    input_tokens_details: _DashScopeTokenDetails | None = None  # of the multimodal path
    output_tokens_details: _DashScopeTokenDetails | None = None


class _DashScopeBody(msgspec.Struct, gc=False):
    output: _DashScopeOutput | None = None
    usage: _DashScopeUsage | None = None
    code: str | int | None = None
    message: Any = None
    error: Any = None  # of the compatible mode, which some gateways confuse with this one


_DECODER: Final = msgspec.json.Decoder(_DashScopeBody)

_OPTIONS: Final = {
    # DashScope's ranges exclude 2 and 0.
    "temperature": Field("parameters.temperature", lambda value: min(value, 1.99)),
    "top_p": Field("parameters.top_p", lambda value: max(value, 0.01)),
    "max_tokens": Field("parameters.max_tokens"),
    "top_k": Field("parameters.top_k"),
    "stop": Field("parameters.stop", list),
    "seed": Field("parameters.seed"),
    "presence_penalty": Field("parameters.presence_penalty"),
    "reasoning_effort": Field("parameters.enable_thinking", is_thinking),
    "reasoning_budget": Field("parameters.thinking_budget"),
    "response_format": Field("parameters.response_format", response_format),
    "tools": Field("parameters.tools", tool_definitions),
    "tool_choice": Field("parameters.tool_choice", only_choices("auto", "none")),
    "parallel_tool_calls": Field("parameters.parallel_tool_calls"),
}


class DashScope(Dialect):
    """Generation through DashScope's native API. `base_url` ends in `/api/v1`, as in the SDK.

    Temperature and top_p are brought into DashScope's ranges, which exclude 2 and 0. Models think
    or do not think: any effort is thinking. Thinking models require `incremental_output`.
    """

    options = _OPTIONS
    # With `n` there would be answers that nobody reads.
    parts = frozenset(("image", "image_url"))
    own_fields = frozenset(
        {
            *("model", "input", "parameters.n"),
            *("parameters.result_format", "parameters.incremental_output"),
        }
    )

    def __init__(self, base_url: str, *, incremental_output: bool = True) -> None:
        self._base_url = base_url.rstrip("/")
        self._incremental = incremental_output

    def request(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """Build the streaming generation; a header requests the stream, and the body has no
        `stream` field.
        """
        multimodal = is_multimodal(prompt)
        messages = messages_of(prompt, multimodal=multimodal)
        # Both are always sent, because their defaults differ between older and newer models.
        parameters: dict[str, Any] = {
            "result_format": "message",
            "incremental_output": self._incremental,
        }
        body = {"model": prompt.model, "input": {"messages": messages}, "parameters": parameters}
        write_options(body, prompt, self.options)
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",  # documented to suffice alone; the SDK sends both
            "X-DashScope-SSE": "enable",
        }
        if credential:
            headers["Authorization"] = f"Bearer {credential}"
        url = self._base_url + (MULTIMODAL_PATH if multimodal else TEXT_PATH)
        return OutgoingRequest(url, headers, msgspec.json.encode(body))

    def interpreter(self, out: Assembler, model: str) -> Interpreter:
        """Return an interpreter for one response."""
        return _DashScopeInterpreter(out, cumulative=not self._incremental)


class _DashScopeInterpreter(JsonInterpreter[_DashScopeBody]):
    """Reads `output`. With `cumulative`, every event repeats its texts from their beginning."""

    def __init__(self, out: Assembler, *, cumulative: bool) -> None:
        super().__init__(out, _DECODER)
        self._cumulative = cumulative
        self._choices = Choices(out)

    def is_recognized(self, body: _DashScopeBody) -> bool:
        """Whether the body has an output or an error."""
        return body.output is not None or _is_error(body)

    def interpret(self, body: _DashScopeBody) -> bool:
        """Read one event, a whole answer, or an error."""
        output = body.output
        if output is not None:
            for choice in output.choices or ():
                self._choice(choice, output.finish_reason)
            if not output.choices:
                finish = finish_of(output.finish_reason)
                self._content(0, "text", output.text, finish)
                if finish is not None:
                    self._choices.finish(0, finish)
        if body.usage is not None:
            self._usage(body.usage)
        if (body.code or body.error) and _is_error(body):
            raise error_from(error_fields_in(_error_of(body)) or ErrorFields())
        return output is not None or body.usage is not None

    def _choice(self, choice: _DashScopeChoice, word: str | None) -> None:
        index = choice.index or 0
        finish = finish_of(choice.finish_reason) or finish_of(word)
        if (message := choice.message) is not None:
            if message.reasoning_content:
                self._content(index, "reasoning", message.reasoning_content, finish)
            if message.content is not None and message.content != "":
                self._content(index, "text", message.content, finish)
            if message.tool_calls and self._choices.accepts_calls(index):
                for place, piece in enumerate(message.tool_calls):
                    self._out.tool_call(piece, place, cumulative=self._cumulative)
        if finish is not None:
            self._choices.finish(index, finish)

    def _content(self, index: int, kind: Kind, content: Content, finish: Finish | None) -> None:
        if type(content) is str:
            self._write(index, kind, content, finish)
            return
        said: dict[Kind, str] = {}
        for part, words in texts_in(content):
            of = kind if part == "text" else part
            said[of] = said.get(of, "") + words
        for of, words in said.items():
            self._write(index, of, words, finish)

    def _write(self, index: int, kind: Kind, words: str, finish: Finish | None) -> None:
        choices = self._choices
        accepts = choices.accepts_reasoning if kind == "reasoning" else choices.accepts_text
        if not words or not accepts(index):
            return
        if finish is not None and finish.reason is FinishReason.ERROR:
            error = error_in_text(words)
            if error is not None:
                raise error
        if self._cumulative:
            self._out.cumulative_text(kind, words)
        else:
            self._out.write(kind, words)

    def _usage(self, usage: _DashScopeUsage) -> None:
        if usage.input_tokens is None:
            return
        read = usage.prompt_tokens_details or usage.input_tokens_details
        made = usage.output_tokens_details
        self._out.usage(
            Usage(
                usage.input_tokens,
                usage.output_tokens or 0,
                cached_tokens=(read.cached_tokens or 0) if read is not None else 0,
                cache_written_tokens=(
                    (read.cache_creation_input_tokens or 0) if read is not None else 0
                ),
                reasoning_tokens=(made.reasoning_tokens or 0) if made is not None else 0,
            )
        )


def _is_error(body: _DashScopeBody) -> bool:
    """Whether the body is an error.

    An empty code beside an answer, as some gateways send, is none.
    """
    return error_fields_in(_error_of(body)) is not None


def _error_of(body: _DashScopeBody) -> dict[str, Any]:
    return {"error": body.error, "code": body.code, "message": body.message}
