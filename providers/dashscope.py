"""Alibaba's Qwen through DashScope's native endpoint: `output` in, running totals on every event.

Proved with dashscope 2.0.2. The traps: a running answer says `"finish_reason": "null"`, the word;
there is no `[DONE]`; usage is a running total, never to be summed; errors are events of a stream
that may itself be 200 or 4xx, with their real status in a comment only, so they go by `code`.
Whether texts are deltas or repeat everything so far is known from what was asked, never guessed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from providers.dialect import (
    Delta,
    Dialect,
    Finish,
    FinishReason,
    Outgoing,
    Prompt,
    Reasoning,
    ReasoningSoFar,
    Text,
    TextSoFar,
    ToolCallSoFar,
    Usage,
)
from providers.errors import BadResponse, ProviderError
from providers.payload import CallPiece, Part, decode, json_in, plain, tool_calls
from providers.refusals import refusal, retry_after
from providers.sse import Event

_PATH: Final = "/services/aigc/text-generation/generation"

_REASONS: Final[Mapping[str, FinishReason]] = {
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
}


class _Message(msgspec.Struct, gc=False):
    content: str | list[Part] | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallPiece] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message | None = None
    finish_reason: str | None = None


class _Output(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    text: str | None = None  # with `result_format: "text"`; so is the next
    finish_reason: str | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Body(msgspec.Struct, gc=False):
    output: _Output | None = None
    usage: _Usage | None = None
    code: str | int | None = None
    message: Any = None


_BODY: Final = msgspec.json.Decoder(_Body)


class DashScope(Dialect):
    """Text generation. `base_url` ends in `/api/v1`, as the SDK has it.

    Temperature and top_p are brought into DashScope's ranges, which leave out 2 and 0. Models that
    see or hear live at another path of the API: reach them through the compatible mode, with the
    `openai` dialect. Thinking models demand `incremental_output`.
    """

    default_base_url = "https://dashscope.aliyuncs.com/api/v1"

    def __init__(
        self,
        base_url: str = default_base_url,
        api_key: str | None = None,
        incremental_output: bool = True,
    ) -> None:
        self._url = base_url.rstrip("/") + _PATH
        self._incremental = incremental_output
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",  # alone it is said to do; the SDK sends both
            "X-DashScope-SSE": "enable",
        }
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"

    def request(self, prompt: Prompt, credential: str | None = None) -> Outgoing:
        """A generation that streams: a header asks for it, the body has no `stream`."""
        messages = [{"role": turn.role, "content": turn.text} for turn in prompt.turns]
        if prompt.system:
            messages.insert(0, {"role": "system", "content": prompt.system})
        # Both are always sent: their defaults differ between older and newer models.
        parameters: dict[str, Any] = {
            "result_format": "message",
            "incremental_output": self._incremental,
        }
        if prompt.temperature is not None:
            parameters["temperature"] = min(prompt.temperature, 1.99)
        if prompt.top_p is not None:
            parameters["top_p"] = max(prompt.top_p, 0.01)
        if prompt.max_tokens is not None:
            parameters["max_tokens"] = prompt.max_tokens
        if prompt.stop:
            parameters["stop"] = list(prompt.stop)
        body = {"model": prompt.model, "input": {"messages": messages}, "parameters": parameters}
        return Outgoing(self._url, dict(self._headers), msgspec.json.encode(body))

    def deltas(self, event: Event) -> Iterator[Delta]:
        """One event: a piece of the answer or an error."""
        if not event.data.strip():
            return iter(())
        body = decode(event.data, _BODY)
        if event.type == "error":
            raise refusal(body.code, message=body.message)
        return self._says(body, cumulative=not self._incremental)

    def whole(self, body: bytes) -> Iterator[Delta]:
        """A single answer, or an error under HTTP 200."""
        found = decode(body, _BODY)
        if found.output is None and not found.code:
            raise BadResponse(provider_code="no_output")
        return self._says(found, cumulative=False)

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """By `code`, else by status; the body is JSON, or an event that holds it."""
        try:
            found = decode(json_in(body), _BODY)
        except BadResponse:
            found = _Body()
        return refusal(found.code, status=status, message=found.message, wait=retry_after(headers))

    def stray_line(self, line: bytes) -> Iterator[Delta]:
        """A bare line of JSON may be an error; all else says nothing."""
        if line.startswith(b"{"):
            try:
                return self._says(decode(line, _BODY), cumulative=not self._incremental)
            except BadResponse:  # cut off
                pass
        return iter(())

    def _says(self, body: _Body, *, cumulative: bool) -> Iterator[Delta]:
        output = body.output
        if output is None:
            if body.code:
                raise refusal(body.code, message=body.message)
            return
        for choice in (output.choices or ())[:1]:
            message = choice.message or _Message()
            if thought := message.reasoning_content:
                yield ReasoningSoFar(thought) if cumulative else Reasoning(thought)
            if text := plain(message.content):
                yield TextSoFar(text) if cumulative else Text(text)
            for call in tool_calls(message.tool_calls or []):
                yield (
                    ToolCallSoFar(call.index, call.id, call.name, call.arguments)
                    if cumulative
                    else call
                )
            output.finish_reason = choice.finish_reason or output.finish_reason
        if not output.choices and output.text:
            yield TextSoFar(output.text) if cumulative else Text(output.text)
        if body.usage is not None and body.usage.input_tokens is not None:
            yield Usage(body.usage.input_tokens, body.usage.output_tokens or 0)
        word = output.finish_reason
        if word and word != "null":
            yield Finish(_REASONS.get(word, FinishReason.STOP), word)
