"""Baidu's classic ERNIE 文心一言 endpoints ("wenxinworkshop"), which older applications still use.

Checked against qianfan 0.4.12.3 and erniebot 0.5.9. Much differs from other APIs: the model is part
of the path; the credential is a token in the query, fetched with the key pair and valid for 30
days; the system prompt is outside of `messages`, in which roles must alternate, beginning and
ending with the user; `result` is the new piece; every event has `"finish_reason": "normal"`, and
only `is_end` ends an answer. Errors come with HTTP 200, in mid-stream as a bare line of JSON
without `data:`.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from model.messages import FinishReason
from model.prompt import Prompt, Tool, ToolChoice
from model.usage import Usage
from providers.assembler import Assembler
from providers.content_parts import texts_in
from providers.dialect import AccessToken, AccessTokenDialect, Interpreter, OutgoingRequest
from providers.error_bodies import ErrorFields, error_fields_in, says_no_error
from providers.error_parsing import error_from, error_in_text, retry_after
from providers.error_words import code_word, error_of_status, is_too_long
from providers.errors import (
    BadRequest,
    BadResponse,
    ContextTooLong,
    CredentialExpired,
    ModelNotFound,
    ProviderError,
    ProviderOverloaded,
    QuotaExceeded,
    RateLimited,
    Refused,
    Unauthorized,
)
from providers.finish import finish_of
from providers.json_events import JsonInterpreter
from providers.lenient_json import Content, json_in, read
from providers.openai_options import any_json_only, only_choices, parameters_of, stops
from providers.options import Field, write_options
from providers.qianfan_v1_messages import messages_of
from providers.sink import Finish
from providers.tool_calls import CallFunction, CallPiece

_CHAT: Final = "/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/"
_TOKEN: Final = "/oauth/2.0/token"

# Models whose last path segment is not their own name in lower case, as the SDK lists them. A model
# that is not ERNIE, such as a private deployment, has its name as it is written.
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

# The API's own limits: it rejects what exceeds them (336003).
_MAX_STOPS: Final = 4
_MAX_STOP_CHARS: Final = 20
_MIN_OUTPUT_TOKENS: Final = 2
_LOWEST_TEMPERATURE: Final = 0.01  # of (0, 1]

# Seconds that a token of unstated lifetime is used: far less than the usual 30 days, and more than
# one answer takes.
_LIFETIME_SECONDS: Final = 3600.0

# Errors by code, with the seconds to wait where waiting helps.
_CODES: Final[Mapping[int, tuple[type[ProviderError], float | None]]] = {
    1: (ProviderOverloaded, None),
    2: (ProviderOverloaded, None),
    3: (ModelNotFound, None),  # no such API; the path names the model
    4: (RateLimited, 10.0),  # overload of their cluster
    6: (ModelNotFound, None),  # not enabled for this application
    13: (Unauthorized, None),
    14: (Unauthorized, None),
    15: (Unauthorized, None),
    17: (QuotaExceeded, None),
    18: (RateLimited, 1.0),  # requests per second
    19: (QuotaExceeded, None),
    110: (CredentialExpired, None),
    111: (CredentialExpired, None),
    336000: (ProviderOverloaded, None),
    336004: (Unauthorized, None),
    336005: (ModelNotFound, None),
    336007: (ContextTooLong, None),
    336100: (ProviderOverloaded, None),
    336105: (QuotaExceeded, None),
    336501: (RateLimited, 60.0),  # requests per minute
    336502: (RateLimited, 60.0),  # tokens per minute
    500000: (ProviderOverloaded, None),
    **dict.fromkeys(
        (100, 336001, 336002, 336003, 336006, 336101, 336102, 336103, 336104), (BadRequest, None)
    ),
}


class _QianfanV1Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _QianfanV1Body(msgspec.Struct, gc=False):
    """The fields that are read of an event, of a whole answer, or of an error."""

    result: Content = None
    is_end: bool | None = None
    is_truncated: bool | None = None
    need_clear_history: bool | None = None
    finish_reason: str | None = None
    function_call: CallFunction | None = None
    usage: _QianfanV1Usage | None = None
    error_code: int | str | None = None
    error_msg: Any = None
    error: Any = None  # of the v2 API, which gateways confuse with this one


class _QianfanV1Token(msgspec.Struct):
    access_token: str | None = None
    expires_in: float | None = None  # seconds
    error: str | None = None


_DECODER: Final = msgspec.json.Decoder(_QianfanV1Body)


def _functions(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    return [
        {
            "name": tool.name,
            "description": tool.description or tool.name,  # the API requires one
            "parameters": parameters_of(tool),
        }
        for tool in tools
    ]


def _named_function(choice: ToolChoice) -> Any:
    """A function by name; `auto` is the default, and there are no other words."""
    return None if choice == "auto" else only_choices()(choice)


_OPTIONS: Final = {
    "temperature": Field("temperature", lambda value: min(max(value, _LOWEST_TEMPERATURE), 1.0)),
    "top_p": Field("top_p"),
    "max_tokens": Field("max_output_tokens", lambda value: max(value, _MIN_OUTPUT_TOKENS)),
    "stop": Field("stop", stops(_MAX_STOPS, _MAX_STOP_CHARS)),
    "response_format": Field("response_format", lambda asked: any_json_only(asked)["type"]),
    "tools": Field("functions", _functions),
    "tool_choice": Field("tool_choice", _named_function),
    # An answer makes one call at most, whether or not several are welcome.
    "parallel_tool_calls": Field("parallel_tool_calls", lambda _: None),
}


class QianfanV1(AccessTokenDialect):
    """The classic chat endpoints. The credential is a token.

    Requests are adapted to what the API accepts: answers before the first question are left out,
    the temperature is brought into (0, 1], and `max_tokens` is at least 2.
    """

    options = _OPTIONS
    parts = frozenset[str]()
    own_fields = frozenset({"messages", "stream", "system"})

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url.rstrip("/")

    def request(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """Build a streaming chat request. Its URL contains the token."""
        token = quote(credential or "", safe="")
        body: dict[str, Any] = {"messages": messages_of(prompt.turns), "stream": True}
        if prompt.system:
            body["system"] = prompt.system
        write_options(body, prompt, self.options)
        url = f"{self._base_url}{_CHAT}{_endpoint(prompt.model)}?access_token={token}"
        return OutgoingRequest(url, _headers(), msgspec.json.encode(body))

    def interpreter(self, out: Assembler, model: str) -> Interpreter:
        """Return an interpreter for one response."""
        return _QianfanV1Interpreter(out)

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """Return the error that the body states, else that of the status; most errors come with
        status 200.
        """
        wait = retry_after(headers)
        try:
            found = read(json_in(body), _QianfanV1Body)
        except BadResponse:
            found = []
        error = next((error for each in found if (error := _error_in(each, status, wait))), None)
        found_by_status = error_of_status(status) or Refused  # 404: the path names the model
        if error is not None:
            return error
        wait = wait if found_by_status.retryable else None
        return found_by_status(retry_after=wait, reason=f"http_{status}")

    def access_token_request(self, api_key: str, secret_key: str) -> OutgoingRequest:
        """Build the token request. Its keys are in the URL although it is a POST."""
        query = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": api_key,
                "client_secret": secret_key,
            }
        )
        return OutgoingRequest(f"{self._base_url}{_TOKEN}?{query}", _headers(), b"{}")

    def token(self, status: int, body: bytes) -> AccessToken:
        """Return the token. A wrong key is reported in `error`, whatever the status is."""
        try:
            answer = next(iter(read(body, _QianfanV1Token)), None)
        except BadResponse:
            answer = None
        if answer is not None and answer.error:
            raise Unauthorized(provider_code=code_word(answer.error))
        if not 200 <= status < 300:
            raise (error_of_status(status) or Refused)(reason=f"http_{status}")
        if answer is None or not answer.access_token:
            raise BadResponse(reason="no_token")
        return AccessToken(answer.access_token, answer.expires_in or _LIFETIME_SECONDS)


class _QianfanV1Interpreter(JsonInterpreter[_QianfanV1Body]):
    """Reads `result` until `is_end`."""

    def __init__(self, out: Assembler) -> None:
        super().__init__(out, _DECODER)
        self._is_whole = False

    def is_recognized(self, body: _QianfanV1Body) -> bool:
        """Whether the body has a result or an error."""
        return body.result is not None or _error_in(body) is not None

    def json_body(self, body: bytes) -> None:
        """The usual way of an error, or an answer in one piece, which has no `is_end`."""
        self._is_whole = True
        super().json_body(body)

    def interpret(self, body: _QianfanV1Body) -> bool:
        """Read the next piece of the answer, or an error."""
        if (error := _error_in(body)) is not None:
            raise error
        is_end = self._is_whole if body.is_end is None else body.is_end
        finish = _finish_of(body) if is_end else None
        for kind, words in texts_in(body.result):
            if finish is not None and finish.reason is FinishReason.ERROR:
                error = error_in_text(words)
                if error is not None:
                    raise error
            self._out.write(kind, words)
        if call := body.function_call:
            self._out.tool_call(CallPiece(0, None, call), 0)
        if body.usage is not None and body.usage.prompt_tokens is not None:
            self._out.usage(Usage(body.usage.prompt_tokens, body.usage.completion_tokens or 0))
        if finish is not None:
            self._out.finish(finish)
        known = (body.result, body.is_end, body.function_call, body.usage)
        return any(each is not None for each in known)


def _headers() -> dict[str, str]:
    return {"Content-Type": "application/json", "Accept": "text/event-stream, application/json"}


def _endpoint(model: str) -> str:
    """Return the last segment of the path for `model`, whose name may be written in capitals."""
    name = model.lower()
    if name in _ENDPOINTS:
        return _ENDPOINTS[name]
    return quote(name if name.startswith("ernie-") else model, safe="")


def _finish_of(body: _QianfanV1Body) -> Finish:
    """Return the finish mark of the last event; several fields state its reason."""
    finish = finish_of(body.finish_reason) or Finish(FinishReason.STOP, "is_end")
    if body.need_clear_history:  # the question was unsafe, and `result` is a canned refusal
        return Finish(FinishReason.CONTENT_FILTER, finish.word)
    if finish.reason is FinishReason.STOP and body.is_truncated:
        return Finish(FinishReason.LENGTH, finish.word)
    return finish


def _error_in(
    body: _QianfanV1Body, status: int = 200, wait: float | None = None
) -> ProviderError | None:
    """Return the error that a body states; None if it states none."""
    if not says_no_error(body.error_code):
        word = code_word(body.error_code) or ""
        found, seconds = _CODES.get(int(word) if word.isdecimal() else -1, (Refused, None))
        if found is Refused or (found is BadRequest and is_too_long(body.error_msg)):
            return error_from(ErrorFields(body.error_code, None, body.error_msg), status, wait)
        return found(provider_code=word, retry_after=(wait or seconds) if found.retryable else None)
    said = None if says_no_error(body.error) else error_fields_in({"error": body.error})
    return None if said is None else error_from(said, status, wait)
