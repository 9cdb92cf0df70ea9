"""Sorting what providers say went wrong into our errors: by code, then by type, then by status.

Billing errors hide under 429 and must not be retried; the same word means the same at all
OpenAI-shaped servers, and DashScope's native codes escape through its compatible mode now and then,
so they share one table. A word that is not in it is judged by what it holds (`insufficient_quota`
and `insufficient_user_quota` are one thing). Texts change too often to decide by, with one
exception: most servers have no code for a conversation that is too long, and that is the one error
its reader can do something about.

A refusal comes in any shape, whatever the dialect: an object under `error`, a text there, or no
wrapper at all; within a list; as a text of JSON within another; framed as an event.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

from providers.errors import (
    BadRequest,
    BadResponse,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    Overloaded,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Refused,
    Unauthorized,
)
from providers.payload import json_in, json_object, values

# No wait longer than this is passed on: beyond an hour it is no longer a matter of trying again.
MAX_RETRY_AFTER_SECONDS: Final = 3600.0
# Codes are words or numbers. Some servers put a sentence there, which may quote the question.
_MAX_CODE_CHARS: Final = 64

# An error within an error within a list: what is deeper is somebody's data.
_MAX_DEPTH: Final = 4

_CODES: Final[Mapping[str, type[ProviderError]]] = {
    # OpenAI
    "invalid_api_key": Unauthorized,
    "invalid_organization": Unauthorized,
    "model_not_found": ModelNotFound,
    "context_length_exceeded": ContextTooLong,
    "content_policy_violation": ContentFiltered,
    "content_filter": ContentFiltered,
    "rate_limit_exceeded": RateLimited,
    "slow_down": RateLimited,
    "insufficient_quota": QuotaExceeded,
    "billing_hard_limit_reached": QuotaExceeded,
    "credit_balance_exhausted": QuotaExceeded,
    "organization_spend_limit_exceeded": QuotaExceeded,
    "organization_usage_limit_exceeded": QuotaExceeded,
    "project_spend_limit_exceeded": QuotaExceeded,
    "server_error": Overloaded,
    "server_is_overloaded": Overloaded,
    # Qwen, compatible mode
    "data_inspection_failed": ContentFiltered,
    "invalid_parameter_error": BadRequest,
    "limit_requests": RateLimited,
    "limit_burst_rate": RateLimited,
    "internal_error": Overloaded,
    # Qianfan v2; its many `…rate_limit_exceeded` go by their ending
    "malformed_json": BadRequest,
    "invalid_argument": BadRequest,
    "invalid_messages": BadRequest,
    "method_not_supported": BadRequest,
    "invalid_model": ModelNotFound,
    "characters_too_long": ContextTooLong,
    "tokens_too_long": ContextTooLong,
    "invalid_iam_token": Unauthorized,
    "invalid_appid": Unauthorized,
    "no_parameter_permission": Unauthorized,
    "access_denied": Unauthorized,
    "system_unsafe": ContentFiltered,
    "user_setting_unsafe": ContentFiltered,
    "functions_unsafe": ContentFiltered,
    "dispatch_internal_error": Overloaded,
    # DashScope, native; `A.B` goes by `A` where it is not listed
    "InvalidApiKey": Unauthorized,
    "AccessDenied": Unauthorized,
    "Workspace": Unauthorized,
    "WorkSpaceNotFound": Unauthorized,
    "Model": ModelNotFound,
    "ModelNotFound": ModelNotFound,
    "InvalidParameter": BadRequest,
    "InvalidParameter.DataInspection": ContentFiltered,
    "DataInspectionFailed": ContentFiltered,
    "BadRequest": BadRequest,
    "BadRequest.TooLarge": ContextTooLong,
    "InvalidURL": BadRequest,
    "UnsupportedOperation": BadRequest,
    "Arrearage": QuotaExceeded,
    "AllocationQuota": QuotaExceeded,
    "CommodityNotPurchased": QuotaExceeded,
    "PrepaidBillOverdue": QuotaExceeded,
    "PostpaidBillOverdue": QuotaExceeded,
    "Throttling": RateLimited,
    "LimitRequests": RateLimited,
    "ResourceExhausted": RateLimited,
    "InternalError": Overloaded,
    "SystemError": Overloaded,
    "RequestTimeOut": Overloaded,
    "ModelServiceFailed": Overloaded,
    "ModelServingError": Overloaded,
    "ModelUnavailable": Overloaded,
    "ServiceUnavailable": Overloaded,
    # Zhipu: numbers, as strings
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004", "1100"), Unauthorized),
    **dict.fromkeys(("1110", "1111", "1112", "1120", "1121"), Unauthorized),
    **dict.fromkeys(("1220", "1221", "1222"), Unauthorized),
    **dict.fromkeys(("1200", "1210", "1212", "1213", "1214", "1215", "1231"), BadRequest),
    **dict.fromkeys(("1300", "1301"), ContentFiltered),
    **dict.fromkeys(("1302", "1303"), RateLimited),
    **dict.fromkeys(("1113", "1304", "1308", "1309", "1310", "1311", "1313"), QuotaExceeded),
    **dict.fromkeys(("1230", "1234", "1305", "1312"), Overloaded),
    "1211": ModelNotFound,
    "1261": ContextTooLong,
}

_TYPES: Final[Mapping[str, type[ProviderError]]] = {
    # OpenAI says of a rate limit what it counts
    "requests": RateLimited,
    "tokens": RateLimited,
    "service_unavailable_error": Overloaded,
    # Moonshot
    "invalid_authentication_error": Unauthorized,
    "incorrect_api_key_error": Unauthorized,
    "permission_denied_error": Unauthorized,
    "resource_not_found_error": ModelNotFound,
    "rate_limit_reached_error": RateLimited,
    "exceeded_current_quota_error": QuotaExceeded,
    "engine_overloaded_error": Overloaded,
    "unexpected_output": Overloaded,
    # vLLM
    "BadRequestError": BadRequest,
    "NotFoundError": ModelNotFound,
    "InternalServerError": Overloaded,
    # llama.cpp
    "exceed_context_size_error": ContextTooLong,
    "authentication_error": Unauthorized,
    "permission_error": Unauthorized,
    "not_found_error": ModelNotFound,
    "not_supported_error": BadRequest,
    "unavailable_error": Overloaded,
}

_STATUSES: Final[Mapping[int, type[ProviderError]]] = {
    400: BadRequest,
    401: Unauthorized,
    402: QuotaExceeded,
    403: Unauthorized,
    404: ModelNotFound,
    405: BadRequest,
    408: Overloaded,
    409: Overloaded,  # a lock on the provider's side: the same request may pass later
    413: ContextTooLong,
    422: BadRequest,
    429: RateLimited,
}

_STATUS: Final = re.compile("[345][0-9][0-9]")

# What words hold that no table lists, in whichever spelling. The first that fits counts.
_HOLDS: Final[tuple[tuple[re.Pattern[str], type[ProviderError]], ...]] = tuple(
    (re.compile(pattern), error)
    for pattern, error in (
        (
            "insufficient_?(user_?|account_?)?(quota|balance|credit|fund)|balance|billing|arrear"
            "|overdue|payment|credits?_?(exhaust|insufficient|required)|out_of_credit|quota_?exhaust",
            QuotaExceeded,
        ),
        (
            "rate_?limit|too_?many_?requests|throttl|concurren|qps|(^|_)[rt]p[md](_|$)"
            "|limit_?requests?|requests?_?limit",
            RateLimited,
        ),
        (
            "context_?(length|window|size)|max_?context|(prompt|input|context|messages?|tokens?)_?"
            "(is_)?too_?(long|large|many)|(length|tokens?)_?(limit_?)?exceed",
            ContextTooLong,
        ),
        (
            "content_?(filter|policy)|sensitive|moderat|unsafe|safety|prohibited|inspection|censor",
            ContentFiltered,
        ),
        ("models?_?(is_)?not_?(found|exist|support)|(no|unknown)_?(such_?)?model", ModelNotFound),
        (
            "unauthori[sz]ed|unauthenticated|authentication|api_?key|permission|forbidden"
            "|access_?denied|token_?(is_)?(expired|invalid)|invalid_?token",
            Unauthorized,
        ),
        ("overload|busy|unavailable|capacity|server_?error|internal|time_?d?_?out", Overloaded),
    )
)

# Of a quota that no other word tells about: under 429 it may be one a minute.
_QUOTA: Final = re.compile("quota")
_BILLED: Final = (402, 403)

# vLLM in two wordings, DeepSeek, DashScope, Moonshot and others. Being wrong here changes a
# message, not what happens.
_TOO_LONG: Final = re.compile(
    "context (length|window|size)|range of input length|model token limit|maximum model length"
    "|max_model_len|maximum (input|prompt|context|sequence)|(prompt|input|conversation) is too long"
    "|too many (input |prompt )?tokens|reduce the length|(exceeds?|longer than) the (model|maximum)"
    ".{0,40}(length|tokens|context)",
    re.IGNORECASE,
)

# How a code and a message are called where there is an error.
_CODE_NAMES: Final = ("code", "error_code", "err_code")
_MESSAGE_NAMES: Final = ("message", "msg", "error_msg")
# Where a code says that nothing is wrong.
_NO_ERROR: Final = ("0", "200", "success", "ok", "null", "none", "")


# What frameworks answer where a provider has nothing: it is no model that was not found.
_NO_SUCH_PATH: Final = ("not found", "method not allowed")


class Said(NamedTuple):
    """What a provider says went wrong, as far as it says so."""

    code: object = None
    kind: object = None  # its type
    message: object = None
    was_moderated: bool = False


def read_refusal(
    body: bytes, *, status: int = 200, wait: float | None = None
) -> ProviderError | None:
    """The error that a body says, in whichever shape; None if it says none."""
    try:
        found = values(json_in(body))
    except BadResponse:
        return None
    return next((refused(said, status, wait) for value in found if (said := said_in(value))), None)


def said_in(value: object, depth: int = 0) -> Said | None:
    """The error that a value of JSON says; None if it says none."""
    if isinstance(value, list):
        value = next((each for each in value if isinstance(each, dict)), None)
    if not isinstance(value, dict) or depth > _MAX_DEPTH:
        return None
    for name in ("error", "errors", "error_msg", "detail"):
        inner = value.get(name)
        if isinstance(inner, str) and (read := json_object(inner)) is not None:
            inner = read
        if isinstance(inner, dict | list) and inner:
            found = said_in(inner, depth + 1) or _fields_of(inner)
            return found._replace(code=found.code or value.get("code"))
        if isinstance(inner, str) and inner.strip().lower() in _NO_SUCH_PATH:
            return None
        if inner and name != "error_msg":  # a text, or a mere true
            return Said(value.get("code"), value.get("type") or inner, inner)
    found = _fields_of(value)
    # Without a wrapper there has to be more to it than a message.
    return found if found.code is not None or None not in (found.kind, found.message) else None


def _fields_of(value: object) -> Said:
    """The error that an object is in itself."""
    if isinstance(value, list):
        value = next((each for each in value if isinstance(each, dict)), None)
    if not isinstance(value, dict):
        return Said()
    code, message = _first(value, _CODE_NAMES), _first(value, _MESSAGE_NAMES)
    if isinstance(message, str) and (inner := said_in(json_object(message), 1)) is not None:
        return inner
    if str(code or "").strip().lower() in _NO_ERROR:
        code = None
    # OpenRouter reports moderation as a plain 403, and says so in its metadata only.
    metadata = value.get("metadata")
    was_moderated = isinstance(metadata, dict) and "flagged_input" in metadata
    return Said(code, value.get("type") or value.get("status"), message, was_moderated)


def _first(value: dict[str, object], names: tuple[str, ...]) -> object:
    return next((value[name] for name in names if value.get(name)), None)


def error_event_in(text: str, *, framed: bool = False) -> ProviderError | None:
    """The error that a text is which a provider sent as an answer: an event, framed, or JSON alone.

    `framed`: only the first. None if it is neither.
    """
    head, data, body = text.partition("data:")
    if data and "event:error" in head.replace(" ", "") and body.lstrip().startswith("{"):
        return read_refusal(body.encode("utf-8", "replace"))
    if framed or not text.lstrip().startswith(("{", "[")):
        return None
    return read_refusal(text.encode("utf-8", "replace"))


def refused(said: Said, status: int = 200, wait: float | None = None) -> ProviderError:
    """Our error for what was said, under `status`.

    Numbers are statuses unless the table knows them: vLLM, llama.cpp and OpenRouter repeat the
    status as the code, also in a stream whose own status is 200.
    """
    word, type_word = spelled(said.code), spelled(said.kind)
    if said.was_moderated:
        return ContentFiltered(provider_code=word)
    code_status = int(word) if word and _STATUS.fullmatch(word) else status
    found = (
        _by_name(word, _CODES)
        or _by_name(type_word, _TYPES)
        or _by_name(type_word, _CODES)
        or _by_what_it_holds(word, code_status)
        or _by_what_it_holds(type_word, code_status)
        or by_status(code_status)
        or (BadRequest if said.kind == "invalid_request_error" else Refused)
    )
    if found in (BadRequest, Refused) and is_too_long(said.message):
        found = ContextTooLong
    return found(provider_code=word or type_word, retry_after=wait if found.retryable else None)


def refused_by_status(status: int, wait: float | None) -> ProviderError:
    """Our error for a response that says nothing but its status."""
    if status == 404:
        return Refused(provider_code="404")  # no such path, rather than no such model
    found = by_status(status) or Refused
    return found(retry_after=wait if found.retryable else None)


def is_too_long(message: object) -> bool:
    """Whether a message complains of too long a conversation."""
    return isinstance(message, str) and _TOO_LONG.search(message) is not None


def by_status(status: int) -> type[ProviderError] | None:
    """What an HTTP status says where nothing else does."""
    if status >= 500:
        return Overloaded
    return _STATUSES.get(status)


def spelled(code: object) -> str | None:
    """A code as a word fit for a log line: bounded, without line ends; None if it is none."""
    if not isinstance(code, str | int) or isinstance(code, bool) or code == "":
        return None
    return "".join(c if c.isprintable() else "?" for c in str(code)[:_MAX_CODE_CHARS])


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds the provider asks us to wait. `headers` ignore case, as HTTPHeaders do."""
    seconds = _number(headers.get("retry-after-ms"))
    if seconds is not None:
        seconds /= 1000
    else:
        seconds = _number(headers.get("retry-after"))
    if seconds is None:
        seconds = _until(headers.get("retry-after"), headers.get("date"))
    if seconds is None or not seconds >= 0:  # a NaN, too, is no time to wait
        return None
    return min(seconds, MAX_RETRY_AFTER_SECONDS)


def _by_name(
    name: str | None, table: Mapping[str, type[ProviderError]]
) -> type[ProviderError] | None:
    if name is None:
        return None
    if name.endswith("rate_limit_exceeded"):
        return RateLimited
    while name not in table and "." in name:
        name = name.rpartition(".")[0]
    return table.get(name)


def _by_what_it_holds(word: str | None, status: int) -> type[ProviderError] | None:
    if word is None or word.isdecimal():
        return None
    plain = re.sub(r"[\s.:/-]+", "_", re.sub("(?<=[a-z])(?=[A-Z])", "_", word)).lower()
    for pattern, error in _HOLDS:
        if pattern.search(plain):
            return error
    return QuotaExceeded if status in _BILLED and _QUOTA.search(plain) else None


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None


def _until(date: str | None, now: str | None) -> float | None:
    """Seconds to an HTTP date, by the provider's own clock where it tells the time."""
    try:
        then = parsedate_to_datetime(date or "")
        start = parsedate_to_datetime(now) if now else datetime.now(UTC)
        return max(0.0, (then - start).total_seconds())
    except (ValueError, TypeError):
        return None
