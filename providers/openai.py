"""OpenAI's chat completions, which most other vendors speak as well, each a little differently.

What is said here of OpenAI was proved by replaying such streams through its SDK (openai 3.54.0), or
read there. The others' habits that are catered for: usage in the finish chunk, on every chunk, in
the last chunk or inside the choice (Moonshot); reasoning as `reasoning_content` or `reasoning`,
sometimes both with the same text; finish reasons absent, null, "" or "null" until the end; tool
calls without index or with repeated empty ids; error codes that are integers, errors that are a
bare string, have no wrapper (older vLLM), come with HTTP 200, next to a finish mark (OpenRouter),
before a `[DONE]` (vLLM), in a field called `error:` (older llama.cpp), or are DashScope's native
ones.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from providers.dialect import (
    Delta,
    Dialect,
    Finish,
    FinishReason,
    Outgoing,
    Prompt,
    Reasoning,
    Refusal,
    Text,
    Usage,
)
from providers.errors import (
    BadResponse,
    ContentFiltered,
    Overloaded,
    ProviderError,
    Refused,
    StreamBroken,
)
from providers.payload import CallPiece, Part, decode, json_in, plain, tool_calls
from providers.refusals import refusal, retry_after, spelled
from providers.sse import Event

# Hosts whose newer models refuse `max_tokens`. Everybody else understands `max_tokens`, and many
# compatible servers nothing but that: they would silently generate without a limit.
_OWN_HOSTS: Final = (".api.openai.com", ".openai.azure.com")

# A word that is not listed is a proper end in some server's own words (`eos`, `normal`).
_REASONS: Final[Mapping[str, FinishReason]] = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,  # Zhipu
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,  # its deprecated form
    "content_filter": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,  # Zhipu
    "insufficient_system_resource": FinishReason.ERROR,  # DeepSeek
    "network_error": FinishReason.ERROR,  # Zhipu
    "abort": FinishReason.ERROR,  # vLLM; so is the next
    "repetition": FinishReason.ERROR,
    "aborted": FinishReason.ERROR,  # reported of DeepSeek
    "error": FinishReason.ERROR,  # vLLM, OpenRouter
}


class _Message(msgspec.Struct, gc=False):
    content: str | list[Part] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[CallPiece] | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Choice(msgspec.Struct, gc=False):
    """One of the answers; we ask for one."""

    index: int | None = None
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    usage: _Usage | None = None
    flag: int | None = None  # Qianfan's


class Chunk(msgspec.Struct, gc=False):
    """A chunk of a stream, a whole answer, or an error: what of it is read."""

    choices: list[Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    code: str | int | None = None
    type: Any = None
    message: Any = None


_CHUNK: Final = msgspec.json.Decoder(Chunk)


class OpenAI(Dialect):
    """Chat completions. `base_url` is all before `/chat/completions`, as the SDK has it.

    Every knob of a prompt is sent. Reasoning models of OpenAI refuse some of them with a 400.
    """

    default_base_url = "https://api.openai.com/v1"

    def __init__(self, base_url: str = default_base_url, api_key: str | None = None) -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",  # errors are JSON
        }
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        host = f".{urlsplit(base_url).hostname}"
        self._is_openai = host.endswith(_OWN_HOSTS)

    def request(self, prompt: Prompt, credential: str | None = None) -> Outgoing:
        """A chat completion that streams and counts its tokens."""
        messages = [{"role": turn.role, "content": turn.text} for turn in prompt.turns]
        if prompt.system:
            messages.insert(0, {"role": "system", "content": prompt.system})
        body: dict[str, Any] = {
            "model": prompt.model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._is_openai:  # spares the random padding that is meant to hide token lengths
            body["stream_options"]["include_obfuscation"] = False
        if prompt.temperature is not None:
            body["temperature"] = prompt.temperature
        if prompt.top_p is not None:
            body["top_p"] = prompt.top_p
        if prompt.max_tokens is not None:
            name = "max_completion_tokens" if self._is_openai else "max_tokens"
            body[name] = prompt.max_tokens
        if prompt.stop:
            body["stop"] = list(prompt.stop)
        return Outgoing(self._url, dict(self._headers), msgspec.json.encode(body))

    def deltas(self, event: Event) -> Iterator[Delta]:
        """One chunk. An event that is blank, or not JSON under a name of its own, says nothing."""
        try:
            chunk = _CHUNK.decode(event.data)
        except (ValueError, RecursionError):
            if not event.data.strip():
                return iter(())
            try:
                chunk = decode(event.data, _CHUNK)
            except BadResponse:
                if event.type in ("message", "error"):
                    raise
                return iter(())
        if event.type == "error" and not chunk.choices:  # whatever it holds
            raise _refusal(chunk, 200, None)
        return self._says(chunk)

    def whole(self, body: bytes) -> Iterator[Delta]:
        """An answer or an error in one piece of JSON, although a stream was asked for."""
        chunk = decode(body, _CHUNK)
        if not chunk.choices and not _is_error(chunk):
            raise BadResponse(provider_code="no_choices")
        return self._says(chunk)

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """By what the body says, else by status."""
        try:
            chunk = decode(json_in(body), _CHUNK)
        except BadResponse:
            chunk = Chunk()
        if status == 404 and not _is_error(chunk):
            return Refused(provider_code="404")  # no such path, rather than no such model
        error = _refusal(chunk, status, retry_after(headers))
        if error.retryable and headers.get("x-should-retry", "").lower() == "false":
            return Refused(provider_code=error.provider_code)  # OpenAI means it, its SDK obeys
        return error

    def unfinished(self, finish: Finish) -> ProviderError:
        """DeepSeek ran out of resources and Zhipu lost its network; others just broke off."""
        if finish.word in ("insufficient_system_resource", "network_error"):
            return Overloaded(provider_code=finish.word)
        return StreamBroken(provider_code=finish.word)

    def ends_stream(self, event: Event) -> bool:
        """`[DONE]`, which some send with blanks around it. It does not prove success."""
        return len(event.data) < 16 and event.data.strip() == b"[DONE]"

    def stray_line(self, line: bytes) -> Iterator[Delta]:
        """A bare line of JSON, or llama.cpp's former `error:` field; all else says nothing."""
        data = line.removeprefix(b"error:").strip()
        if data.startswith(b"{"):
            try:
                return self._says(decode(data, _CHUNK))
            except BadResponse:  # cut off, or something else that has braces
                pass
        return iter(())

    def _says(self, chunk: Chunk) -> Iterator[Delta]:
        usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.index:  # we never ask for more than one
                continue
            if message := choice.delta or choice.message:
                if thought := message.reasoning_content or message.reasoning:
                    yield Reasoning(thought)
                if content := message.content:
                    yield Text(content if type(content) is str else plain(content))
                if message.refusal:
                    yield Refusal(message.refusal)
                if message.tool_calls:
                    yield from tool_calls(message.tool_calls)
            if choice.finish_reason and choice.finish_reason != "null":
                yield Finish(self._reason(choice), choice.finish_reason)
            usage = usage or choice.usage
        if usage is not None and usage.prompt_tokens is not None:
            yield Usage(usage.prompt_tokens, usage.completion_tokens or 0)
        if _is_error(chunk):
            raise _refusal(chunk, 200, None)

    def _reason(self, choice: Choice) -> FinishReason:
        return _REASONS.get((choice.finish_reason or "").lower(), FinishReason.STOP)


def _is_error(chunk: Chunk) -> bool:
    return bool(chunk.error or (chunk.code and chunk.choices is None))


def _refusal(chunk: Chunk, status: int, wait: float | None) -> ProviderError:
    """The error in `chunk`: an object under `error`, a bare string there, or no wrapper at all."""
    error = chunk.error or {"code": chunk.code, "type": chunk.type, "message": chunk.message}
    if not isinstance(error, dict):
        return refusal(None, error, status=status, wait=wait)
    code, kind, message = error.get("code"), error.get("type"), error.get("message")
    if _was_moderated(error):
        return ContentFiltered(provider_code=spelled(code))
    return refusal(code, kind, status=status, message=message, wait=wait)


def _was_moderated(error: dict[str, Any]) -> bool:
    """OpenRouter reports moderation as a plain 403, and says so in its metadata only."""
    metadata = error.get("metadata")
    return isinstance(metadata, dict) and "flagged_input" in metadata
