"""Sorting what providers say went wrong into our errors: by code, then by type, then by status.

Billing errors hide under 429 and must not be retried; the same word means the same at all
OpenAI-shaped servers, and DashScope's native codes escape through its compatible mode now and then,
so they share one table. Texts change too often to decide by, with one exception: most servers have
no code for a conversation that is too long, and that is the one error its reader can do something
about.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from providers.errors import (
    BadRequest,
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

# No wait longer than this is passed on: beyond an hour it is no longer a matter of trying again.
MAX_RETRY_AFTER_SECONDS: Final = 3600.0
# Codes are words or numbers. Some servers put a sentence there, which may quote the question.
_MAX_CODE_CHARS: Final = 64

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

# vLLM and DeepSeek, DashScope, Moonshot. Being wrong here changes a message, not what happens.
_TOO_LONG: Final = re.compile(
    "context length|range of input length|model token limit", re.IGNORECASE
)


def refusal(
    code: object,
    kind: object = None,
    *,
    status: int = 200,
    message: object = None,
    wait: float | None = None,
) -> ProviderError:
    """The error that a provider means by `code` and `kind` (its type), said under `status`.

    Numbers are statuses unless the table knows them: vLLM, llama.cpp and OpenRouter repeat the
    status as the code, also in a stream whose own status is 200.
    """
    word, type_word = spelled(code), spelled(kind)
    found = (
        _by_name(word, _CODES)
        or _by_name(type_word, _TYPES)
        or _by_name(type_word, _CODES)
        or by_status(int(word) if word and _STATUS.fullmatch(word) else status)
        or (BadRequest if kind == "invalid_request_error" else Refused)
    )
    if found is BadRequest and isinstance(message, str) and _TOO_LONG.search(message):
        found = ContextTooLong
    return found(provider_code=word or type_word, retry_after=wait if found.retryable else None)


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
