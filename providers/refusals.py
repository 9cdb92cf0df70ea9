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
from typing import Any, Final, NamedTuple

from providers.errors import (
    BadRequest,
    BadResponse,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    ProviderOverloaded,
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


def _plain(name: str) -> str:
    """A name as the tables have it: some spell in capitals what others spell apart."""
    return re.sub(r"[\s_-]+", "", name).lower()


def _table(errors: Mapping[str, type[ProviderError]]) -> Mapping[str, type[ProviderError]]:
    return {_plain(name): error for name, error in errors.items()}


_CODES: Final = _table(
    {
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
        "server_error": ProviderOverloaded,
        "server_is_overloaded": ProviderOverloaded,
        # Qwen, compatible mode
        "data_inspection_failed": ContentFiltered,
        "invalid_parameter_error": BadRequest,
        "limit_requests": RateLimited,
        "limit_burst_rate": RateLimited,
        "internal_error": ProviderOverloaded,
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
        "dispatch_internal_error": ProviderOverloaded,
        # Google's, where a code or a type is a word
        "not_found": ModelNotFound,
        "failed_precondition": BadRequest,
        "deadline_exceeded": ProviderOverloaded,
        "resource_exhausted": RateLimited,
        # Anthropic's
        "request_too_large": ContextTooLong,
        "rate_limit_error": RateLimited,
        "billing_error": QuotaExceeded,
        "overloaded_error": ProviderOverloaded,
        "timeout_error": ProviderOverloaded,
        # others'
        "validation_error": BadRequest,
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
        "InternalError": ProviderOverloaded,
        "InternalError.Algo.InvalidParameter": BadRequest,
        "SystemError": ProviderOverloaded,
        "RequestTimeOut": ProviderOverloaded,
        "ModelServiceFailed": ProviderOverloaded,
        "ModelServingError": ProviderOverloaded,
        "ModelUnavailable": ProviderOverloaded,
        "ServiceUnavailable": ProviderOverloaded,
        # Zhipu: numbers, as strings
        **dict.fromkeys(("1000", "1001", "1002", "1003", "1004", "1100"), Unauthorized),
        **dict.fromkeys(("1110", "1111", "1112", "1120", "1121"), Unauthorized),
        **dict.fromkeys(("1220", "1221", "1222"), Unauthorized),
        **dict.fromkeys(("1200", "1210", "1212", "1213", "1214", "1215", "1231"), BadRequest),
        **dict.fromkeys(("1300", "1301"), ContentFiltered),
        **dict.fromkeys(("1302", "1303"), RateLimited),
        **dict.fromkeys(("1113", "1304", "1308", "1309", "1310", "1311", "1313"), QuotaExceeded),
        **dict.fromkeys(("1230", "1234", "1305", "1312"), ProviderOverloaded),
        "1211": ModelNotFound,
        "1261": ContextTooLong,
    }
)

# MiniMax's own numbers, which stand in a wrapper of their own.
_MINIMAX: Final[Mapping[str, type[ProviderError]]] = {
    **dict.fromkeys(("1002", "1041"), RateLimited),
    **dict.fromkeys(("1004", "2049"), Unauthorized),
    **dict.fromkeys(("1026", "1027"), ContentFiltered),
    **dict.fromkeys(("1000", "1001", "1013", "1024", "1033"), ProviderOverloaded),
    "1008": QuotaExceeded,
    "1039": ContextTooLong,
    "2013": BadRequest,
}

_TYPES: Final = _table(
    {
        # OpenAI says of a rate limit what it counts
        "requests": RateLimited,
        "tokens": RateLimited,
        "service_unavailable_error": ProviderOverloaded,
        # Moonshot
        "invalid_authentication_error": Unauthorized,
        "incorrect_api_key_error": Unauthorized,
        "permission_denied_error": Unauthorized,
        "resource_not_found_error": ModelNotFound,
        "rate_limit_reached_error": RateLimited,
        "exceeded_current_quota_error": QuotaExceeded,
        "engine_overloaded_error": ProviderOverloaded,
        "unexpected_output": ProviderOverloaded,
        # vLLM
        "BadRequestError": BadRequest,
        "NotFoundError": ModelNotFound,
        "InternalServerError": ProviderOverloaded,
        # llama.cpp
        "exceed_context_size_error": ContextTooLong,
        "authentication_error": Unauthorized,
        "permission_error": Unauthorized,
        "not_found_error": ModelNotFound,
        "not_supported_error": BadRequest,
        "unavailable_error": ProviderOverloaded,
    }
)

_STATUSES: Final[Mapping[int, type[ProviderError]]] = {
    400: BadRequest,
    401: Unauthorized,
    402: QuotaExceeded,
    403: Unauthorized,
    404: ModelNotFound,
    405: BadRequest,
    408: ProviderOverloaded,
    409: ProviderOverloaded,  # a lock on the provider's side: the same request may pass later
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
            "insufficient_?(user_?|account_?)?(quota|balance|credit|fund)|(?<!load_)balance(?!r)"
            "|billing|arrear|overdue|payment|(^|_)credits?_?(exhaust|insuff|requir|error|limit)"
            "|out_of_credit|quota_?exhaust|budget_?(has_been_)?(exceed|exhaust)|spend(ing)?_?limit",
            QuotaExceeded,
        ),
        (
            "rate_?limit|too_?many_?requests|throttl|concurren|qps|(^|_)[rt]p[md](_|$)"
            "|limit_?requests?|requests?_?limit|(daily|hourly|weekly|monthly)_.*limit",
            RateLimited,
        ),
        (
            "context_?(length|window|size)|max_?context|(prompt|input|context|messages?|tokens?)_?"
            "(is_)?too_?(long|large|many)|(length|tokens?)_?(limit_?)?exceed",
            ContextTooLong,
        ),
        (
            "content_?(filter|policy)|sensitive|moderat|unsafe|safety|prohibited|inspection|censor"
            "|violat|guardrail|jailbreak|flagged|infring|risk_?control"
            "|(content|prompt|input|output|response)_?(is_)?block",
            ContentFiltered,
        ),
        (
            "models?_?(is_)?(not_?(found|exist|support|avail)|decommission|deprecat|unavailable)"
            "|(no|unknown|unavailable|unsupported|invalid)_?(such_?)?model",
            ModelNotFound,
        ),
        (
            "unauthori[sz]ed|unauthenticated|auth(entication|orization)?_?fail|authentication"
            "|api_?key|expired_?key|permission|forbidden"
            "|access_?denied|token_?(is_)?(expired|invalid)|invalid_?token",
            Unauthorized,
        ),
        (
            "overload|busy|unavailable|capacity|server_?error|internal|time_?d?_?out",
            ProviderOverloaded,
        ),
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
    ".{0,40}(length|tokens|context)|exceeds? (context|max message tokens)|too many tokens"
    "|max_seq_len|tokens.{0,40}must be (<=|less than)"
    "|must have (less|fewer) than.{0,20}tokens",
    re.IGNORECASE,
)

# How a code and a message are called where there is an error.
_CODE_NAMES: Final = ("code", "error_code", "err_code", "statuscode", "status_code")
_MESSAGE_NAMES: Final = ("message", "msg", "error_msg", "status_msg", "detail")
# Where a code, or a word in its place, says that nothing is wrong.
_NO_ERROR: Final = re.compile(
    r"0*(\.0+)?|2[0-9][0-9](\.0+)?|20000|success|ok|null|none|false|n/a|no[ _]?error", re.IGNORECASE
)
# What else an error may be wrapped in.
_WRAPPERS: Final = ("response", "data", "header")

# Of a text that may be a report as well: what tells that it is an error.
_SOUNDS_WRONG: Final = re.compile(
    "error|fail|exception|denied|exceed|exhaust|unauthori|forbidden|invalid|not found|too many"
    "|overload|unavailable|timed? ?out",
    re.IGNORECASE,
)

# What servers answer where they have nothing: it is no model that was not found.
_NO_SUCH_PATH: Final = re.compile(
    r"(page |file )?not found\.?$|method not allowed|invalid url|cannot post|no route|no such route"
    "|the requested url",
    re.IGNORECASE,
)

# Google's wait, in the body alone: "17s", or "1.5s".
_DELAY: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]+)?)s")


class Said(NamedTuple):
    """What a provider says went wrong, as far as it says so."""

    code: object = None
    kind: object = None  # its type
    message: object = None
    found: type[ProviderError] | None = None  # what else in it tells
    wait: float | None = None  # seconds


def read_refusal(
    body: bytes, *, status: int = 200, wait: float | None = None
) -> ProviderError | None:
    """The error that a body says, in whichever shape; None if it says none."""
    try:
        found = values(json_in(body))
    except BadResponse:
        return None
    said = next((said for value in found if (said := said_in(value))), None)
    if said is None and status >= 400:  # then a message alone is enough
        said = next((each for each in map(_fields_of, found) if each.message is not None), None)
    return None if said is None else refused(said, status, wait)


def is_none(value: object, depth: int = 0) -> bool:
    """Whether what stands in an error's place says that there is none."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return depth <= _MAX_DEPTH and all(is_none(each, depth + 1) for each in value)
    return value is None or _NO_ERROR.fullmatch(str(value).strip(" .!")) is not None


def said_in(value: object, depth: int = 0) -> Said | None:
    """The error that a value of JSON says; None if it says none."""
    value = _named(value)
    if not value or depth > _MAX_DEPTH:
        return None
    if not is_none(value.get("base_resp")):
        return _minimax(value["base_resp"])
    for name in ("error", "errors", "error_msg", "detail"):
        inner = value.get(name)
        if isinstance(inner, str) and (read := json_object(inner)) is not None:
            inner = read
        if is_none(inner) or (name == "detail" and not _is_wrong(value)):
            continue
        if isinstance(inner, dict | list) and _named(inner):
            found = said_in(inner, depth + 1) or _fields_of(inner)
            return found._replace(code=found.code or value.get("code"))
        if isinstance(inner, str) and _NO_SUCH_PATH.match(inner.strip()):
            return None
        if name != "error_msg":  # a text, or a mere true
            code = value.get("code") or _status_in(value)
            return Said(code, value.get("type") or inner, inner)
    for name in _WRAPPERS:
        inner = _named(value.get(name))
        is_error = isinstance(inner.get("error"), dict | str) and not is_none(inner["error"])
        if is_error or (name == "header" and not is_none(inner.get("code"))):
            return said_in(inner, depth + 1)
    found = _fields_of(value)
    return found if _is_error(found, value) else None


def _is_error(said: Said, value: dict[str, Any]) -> bool:
    """Whether what stands without a wrapper is an error, and no report of what is being done."""
    word, kind = spelled(said.code), spelled(said.kind)
    if not all(is_none(value.get(name)) for name in ("error_code", "err_code")):
        return True
    if word is not None and (_STATUS.fullmatch(word) is None and _meaning(word, _CODES)):
        return True
    if said.message is None:
        return False
    if value.get("object") == "error" or (kind is not None and _is_kind_of_error(kind)):
        return True
    is_report = "type" in value or "event" in value
    return not is_report and (word is not None or value.get("success") is False)


def _is_kind_of_error(kind: str) -> bool:
    named = kind == "error" or kind.startswith("invalid_request") or kind.endswith("Error")
    return named or _meaning(kind, _TYPES) is not None


def _meaning(
    word: str | None, table: Mapping[str, type[ProviderError]], status: int = 200
) -> type[ProviderError] | None:
    """What a word means by itself: by its table, by that of the codes, by what it holds."""
    found = _by_name(word, table) or (_by_name(word, _CODES) if table is not _CODES else None)
    return found or _by_what_it_holds(word, status)


def _is_wrong(value: dict[str, Any]) -> bool:
    """Whether FastAPI's `detail`, which stands alone, is an error's."""
    detail = value["detail"]
    if isinstance(detail, str):
        return len(value) == 1 and _SOUNDS_WRONG.search(detail) is not None
    return isinstance(detail, dict | list)


def _named(value: object) -> dict[str, Any]:
    """An object, or the first in a list, with its names in small letters; empty if it is none."""
    if isinstance(value, list):
        value = next((each for each in value if isinstance(each, dict)), None)
    if not isinstance(value, dict):
        return {}
    return {name.lower(): each for name, each in value.items()}


def _fields_of(value: object) -> Said:
    """The error that an object is in itself."""
    value = _named(value)
    code, message = _first(value, _CODE_NAMES), _first(value, _MESSAGE_NAMES)
    if isinstance(message, str) and (inner := said_in(json_object(message), 1)) is not None:
        return inner
    if is_none(code):
        code = None
    # OpenRouter reports moderation as a plain 403, and says so in its metadata only.
    metadata = value.get("metadata")
    was_moderated = isinstance(metadata, dict) and "flagged_input" in metadata
    said = Said(
        code or (_status_in(value) if message is not None else None),
        value.get("type") or value.get("__type") or value.get("status"),
        message,
        ContentFiltered if was_moderated else None,
    )
    return _with_details(said, value.get("details"))


def _with_details(said: Said, details: object) -> Said:
    """With what Google says there alone: why it is no mere bad request, and how long to wait."""
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        found = _by_what_it_holds(spelled(detail.get("reason")), 200)
        delay = _DELAY.fullmatch(str(detail.get("retryDelay", "")))
        said = said._replace(
            found=said.found or found, wait=said.wait or (float(delay[1]) if delay else None)
        )
    return said


def _status_in(value: dict[str, Any]) -> object:
    """The status that an object repeats as a number."""
    status = value.get("status")
    return status if _STATUS.fullmatch(str(status)) else None


def _minimax(value: object) -> Said | None:
    """What MiniMax's `base_resp` says, whose status 0 is success."""
    said = _fields_of(value)
    if said.code is None:
        return None
    return said._replace(found=_MINIMAX.get(str(said.code), Refused))


def _first(value: dict[str, Any], names: tuple[str, ...]) -> object:
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
    code_status = int(word) if word and _STATUS.fullmatch(word) else status
    found = (
        said.found
        or _meaning(word, _CODES, code_status)
        or _meaning(type_word, _TYPES, code_status)
        or by_status(code_status)
        or (
            ProviderOverloaded if said.kind == "api_error" else None
        )  # Anthropic's; others' for anything
        or (BadRequest if str(said.kind).startswith("invalid_request") else Refused)
    )
    message = said.message if isinstance(said.message, str) else ""
    if found in (BadRequest, Refused) and is_too_long(message):
        found = ContextTooLong
    if found is ModelNotFound and status == 404 and _NO_SUCH_PATH.match(message.strip()):
        found = Refused
    if wait is None and said.wait is not None:
        wait = min(said.wait, MAX_RETRY_AFTER_SECONDS)
    return found(
        provider_code=word or type_word,
        retry_after=wait if found.retryable else None,
        reason=_where(status),  # the code may be a text, which is not for the log
    )


def refused_by_status(status: int, wait: float | None) -> ProviderError:
    """Our error for a response that says nothing but its status."""
    if status == 404:
        return Refused(reason="http_404")  # no such path, rather than no such model
    found = by_status(status) or Refused
    return found(retry_after=wait if found.retryable else None, reason=_where(status))


def _where(status: int) -> str:
    """Where it was said no: by which status, or in an answer whose status was a success."""
    return f"http_{status}" if status >= 300 else "in_the_answer"


def is_too_long(message: object) -> bool:
    """Whether a message complains of too long a conversation."""
    return isinstance(message, str) and _TOO_LONG.search(message) is not None


def by_status(status: int) -> type[ProviderError] | None:
    """What an HTTP status says where nothing else does."""
    if status >= 500:
        return ProviderOverloaded
    return _STATUSES.get(status)


def spelled(code: object) -> str | None:
    """A code as a word fit for a log line: bounded, without line ends; None if it is none."""
    if isinstance(code, float) and code.is_integer():
        code = int(code)
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
    while (found := table.get(_plain(name))) is None and "." in name:
        name = name.rpartition(".")[0]
    return found


def _by_what_it_holds(word: str | None, status: int) -> type[ProviderError] | None:
    if word is None or word.isdecimal():
        return None
    plain = re.sub(r"[\s.:/-]+", "_", re.sub("(?<=[a-z])(?=[A-Z])", "_", word)).lower()
    for pattern, error in _HOLDS:
        if pattern.search(plain):
            # Of tokens a 429 counts how many a minute.
            return RateLimited if error is ContextTooLong and status == 429 else error
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
