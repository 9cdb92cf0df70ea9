"""Baidu's classic ERNIE 文心一言 endpoints ("wenxinworkshop"), which older applications still use.

Proved with qianfan 0.4.12.3 and erniebot 0.5.9. Little is as elsewhere: the model is part of the
path; the credential is a token in the query, fetched with the key pair and good for 30 days; the
system prompt stands outside `messages`, in which roles must alternate, from the user and to the
user; `result` is the new piece; every event says `"finish_reason": "normal"` and only `is_end` ends
an answer. Errors come under HTTP 200, in mid-stream as a bare line of JSON without `data:`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from providers.dialect import (
    Credential,
    Delta,
    Dialect,
    Finish,
    FinishReason,
    Outgoing,
    Prompt,
    Text,
    ToolCall,
    Turn,
    Usage,
)
from providers.errors import (
    BadRequest,
    BadResponse,
    ContextTooLong,
    CredentialExpired,
    ModelNotFound,
    Overloaded,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Unauthorized,
)
from providers.payload import decode, json_in
from providers.refusals import by_status, retry_after, spelled
from providers.sse import Event

_CHAT: Final = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"
_TOKEN: Final = "/oauth/2.0/token"

# Models whose last path segment is not their own name in lower case, as the SDK lists them. What
# is no ERNIE, such as a deployment of one's own, goes by its name as it is written.
_ENDPOINTS: Final[Mapping[str, str]] = {
    "ernie-4.0-8k": "completions_pro",
    "ernie-3.5-8k": "completions",
    "ernie-speed-8k": "ernie_speed",
    "ernie-lite-8k-0308": "ernie-lite-8k",
    "ernie-lite-8k-0922": "eb-instant",
    "ernie-4.0-8k-preview-0518": "completions_adv_pro",
    "ernie-character-8k": "ernie-char-8k",
    "ernie-character-fiction-8k": "ernie-char-fiction-8k",
    "ernie-functions-8k": "ernie-func-8k",
    "ernie-function-8k": "ernie-func-8k",
}

# The API's own limits: it refuses what exceeds them (336003).
_MAX_STOPS: Final = 4
_MAX_STOP_CHARS: Final = 20
_MIN_OUTPUT_TOKENS: Final = 2
_LOWEST_TEMPERATURE: Final = 0.01  # of (0, 1]

# Of a token whose lifetime is not told: far below the usual 30 days, and no request per answer.
_LIFETIME_SECONDS: Final = 3600.0

_REASONS: Final[Mapping[str, FinishReason]] = {
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "function_call": FinishReason.TOOL_CALLS,
}

# With the seconds to wait, where waiting helps.
_CODES: Final[Mapping[int, tuple[type[ProviderError], float | None]]] = {
    1: (Overloaded, None),
    2: (Overloaded, None),
    3: (ModelNotFound, None),  # no such API: the model is its path
    4: (RateLimited, 10.0),  # of their cluster
    6: (ModelNotFound, None),  # not opened for this application
    13: (Unauthorized, None),
    14: (Unauthorized, None),
    15: (Unauthorized, None),
    17: (QuotaExceeded, None),
    18: (RateLimited, 1.0),  # requests per second
    19: (QuotaExceeded, None),
    110: (CredentialExpired, None),
    111: (CredentialExpired, None),
    336000: (Overloaded, None),
    336004: (Unauthorized, None),
    336005: (ModelNotFound, None),
    336006: (ContextTooLong, None),
    336007: (ContextTooLong, None),
    336100: (Overloaded, None),
    336105: (QuotaExceeded, None),
    336501: (RateLimited, 60.0),  # requests per minute
    336502: (RateLimited, 60.0),  # tokens per minute
    500000: (Overloaded, None),
    **dict.fromkeys(
        (100, 336001, 336002, 336003, 336101, 336102, 336103, 336104), (BadRequest, None)
    ),
}


class _FunctionCall(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Body(msgspec.Struct, gc=False):
    """An event, a single answer or an error: what of it is read."""

    result: str | None = None
    is_end: bool | None = None
    is_truncated: bool | None = None
    need_clear_history: bool | None = None
    finish_reason: str | None = None
    function_call: _FunctionCall | None = None
    usage: _Usage | None = None
    error_code: int | str | None = None


class _Token(msgspec.Struct):
    access_token: str | None = None
    expires_in: float | None = None
    error: str | None = None


_BODY: Final = msgspec.json.Decoder(_Body)
_TOKEN_ANSWER: Final = msgspec.json.Decoder(_Token)


class QianfanV1(Dialect):
    """The classic chat endpoints, with a key pair or a token that somebody else renews.

    What the API would refuse is made to fit: turns of one role in a row become one, answers before
    the first question are left out, the temperature is brought into (0, 1], `max_tokens` to at
    least 2. Stop words past the fourth, or of more than 20 characters, are not sent.
    """

    default_base_url = "https://aip.baidubce.com"

    def __init__(
        self,
        base_url: str = default_base_url,
        api_key: str | None = None,
        secret_key: str | None = None,
        access_token: str | None = None,
    ) -> None:
        if not access_token and not (api_key and secret_key):
            raise ValueError("qianfan-v1 needs api_key and secret_key, or access_token")
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key or ""
        self._secret_key = secret_key or ""
        self._access_token = access_token
        self.needs_credential = not access_token

    def request(self, prompt: Prompt, credential: str | None = None) -> Outgoing:
        """A chat request that streams. Its address carries the token."""
        token = quote(credential or self._access_token or "", safe="")
        body: dict[str, Any] = {"messages": _messages(prompt.turns), "stream": True}
        if prompt.system:
            body["system"] = prompt.system
        if prompt.temperature is not None:
            body["temperature"] = min(max(prompt.temperature, _LOWEST_TEMPERATURE), 1.0)
        if prompt.top_p is not None:
            body["top_p"] = prompt.top_p
        if prompt.max_tokens is not None:
            body["max_output_tokens"] = max(prompt.max_tokens, _MIN_OUTPUT_TOKENS)
        if stops := [stop for stop in prompt.stop if len(stop) <= _MAX_STOP_CHARS]:
            body["stop"] = stops[:_MAX_STOPS]
        url = f"{self._base_url}{_CHAT}{_endpoint(prompt.model)}?access_token={token}"
        return Outgoing(url, _headers(), msgspec.json.encode(body))

    def deltas(self, event: Event) -> Iterator[Delta]:
        """One event: the next clause of the answer, or an error."""
        if not event.data.strip():
            return iter(())
        return self._says(decode(event.data, _BODY), whole=False)

    def whole(self, body: bytes) -> Iterator[Delta]:
        """The usual way of an error, or an answer in one piece, which has no `is_end`."""
        found = decode(body, _BODY)
        if not found.error_code and found.result is None:
            raise BadResponse(provider_code="no_result")
        return self._says(found, whole=True)

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """Rare, since errors come under 200: by `error_code` all the same, else by status."""
        try:
            code = decode(json_in(body), _BODY).error_code
        except BadResponse:
            code = None
        if code is not None:
            return _refusal(code)
        found = by_status(status) or Refused
        return found(retry_after=retry_after(headers) if found.retryable else None)

    def stray_line(self, line: bytes) -> Iterator[Delta]:
        """A bare line of JSON in the stream is an error; all else says nothing."""
        if line.startswith(b"{"):
            try:
                return self._says(decode(line, _BODY), whole=False)
            except BadResponse:  # cut off
                pass
        return iter(())

    def credential_request(self) -> Outgoing:
        """The token request. Its keys stand in the address although it is a POST."""
        query = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self._api_key,
                "client_secret": self._secret_key,
            }
        )
        return Outgoing(f"{self._base_url}{_TOKEN}?{query}", _headers(), b"{}")

    def credential(self, status: int, body: bytes) -> Credential:
        """The token. A wrong key shows in `error`, whatever the status."""
        try:
            answer = decode(body, _TOKEN_ANSWER)
        except BadResponse:
            if status == 200:
                raise
            answer = _Token()
        if answer.error:
            raise Unauthorized(provider_code=spelled(answer.error))
        if status != 200:
            raise (by_status(status) or Refused)
        if not answer.access_token:
            raise BadResponse(provider_code="no_token")
        return Credential(answer.access_token, answer.expires_in or _LIFETIME_SECONDS)

    def _says(self, body: _Body, *, whole: bool) -> Iterator[Delta]:
        if body.error_code:
            raise _refusal(body.error_code)
        if body.result:
            yield Text(body.result)
        if call := body.function_call:
            yield ToolCall(0, "", call.name or "", call.arguments or "")
        if body.usage is not None and body.usage.prompt_tokens is not None:
            yield Usage(body.usage.prompt_tokens, body.usage.completion_tokens or 0)
        if body.is_end or whole:
            yield Finish(_reason(body), body.finish_reason or "is_end")


def _headers() -> dict[str, str]:
    return {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}


def _endpoint(model: str) -> str:
    """The last segment of the path for `model`, whose name may be written in capitals."""
    name = model.lower()
    if name in _ENDPOINTS:
        return _ENDPOINTS[name]
    return quote(name if name.startswith("ernie-") else model, safe="")


def _messages(turns: tuple[Turn, ...]) -> list[dict[str, str]]:
    """`turns` in strict alternation, from the user to the user."""
    messages: list[dict[str, str]] = []
    for turn in turns:
        if messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += "\n\n" + turn.text
        elif messages or turn.role == "user":
            messages.append({"role": turn.role, "content": turn.text})
    return messages


def _reason(body: _Body) -> FinishReason:
    if body.need_clear_history:  # the question was unsafe, and `result` is a canned refusal
        return FinishReason.CONTENT_FILTER
    reason = _REASONS.get(body.finish_reason or "", FinishReason.STOP)
    if reason is FinishReason.STOP and body.is_truncated:
        return FinishReason.LENGTH
    return reason


def _refusal(code: int | str) -> ProviderError:
    word = spelled(code) or ""
    found, wait = _CODES.get(int(word) if word.isdecimal() else -1, (Refused, None))
    return found(provider_code=word, retry_after=wait)
