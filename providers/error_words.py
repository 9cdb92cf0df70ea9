"""The meanings of providers' error words: of the code, else of the type, else of the HTTP status.

Billing errors may have status 429 and must not be retried. All OpenAI-like servers and DashScope
share one table: the same word means the same everywhere, and DashScope's native codes sometimes
appear in its compatible mode. A word that is not in the table is judged by the phrases it contains
(`insufficient_quota` and `insufficient_user_quota` mean the same). Messages change too often to
decide by, with one exception: most servers have no code for a conversation that is too long, which
is the one error that the user can correct.
"""

import re
from collections.abc import Mapping
from typing import Final

from providers.errors import (
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    ProviderOverloaded,
    QuotaExceeded,
    RateLimited,
    Unauthorized,
)

# The form of a code: a word or a number. Some servers send a sentence instead, which may quote the
# question.
_MAX_CODE_CHARS: Final = 64


def _normalized(name: str) -> str:
    """Return a word as the tables spell it: `RateLimit`, `rate_limit` and `rate-limit` are the
    same.
    """
    return re.sub(r"[\s_-]+", "", name).lower()


def _table(errors: Mapping[str, type[ProviderError]]) -> Mapping[str, type[ProviderError]]:
    return {_normalized(name): error for name, error in errors.items()}


CODES: Final = _table(
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
        # ... of its Responses API
        "invalid_prompt": ContentFiltered,  # "flagged as potentially violating our usage policy"
        "bio_policy": ContentFiltered,
        **dict.fromkeys(("invalid_image", "invalid_image_format", "invalid_image_url"), BadRequest),
        **dict.fromkeys(("invalid_base64_image", "invalid_image_mode"), BadRequest),
        **dict.fromkeys(("image_too_large", "image_too_small", "image_parse_error"), BadRequest),
        **dict.fromkeys(("image_file_too_large", "unsupported_image_media_type"), BadRequest),
        **dict.fromkeys(("empty_image_file", "failed_to_download_image"), BadRequest),
        "image_file_not_found": BadRequest,
        "invalid_request": BadRequest,  # Open Responses
        "model_error": ProviderOverloaded,  # Open Responses
        # Qwen, compatible mode
        "data_inspection_failed": ContentFiltered,
        "invalid_parameter_error": BadRequest,
        "limit_requests": RateLimited,
        "limit_burst_rate": RateLimited,
        "internal_error": ProviderOverloaded,
        # Qianfan v2; its many `…rate_limit_exceeded` are recognized by their ending
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
        # Google's, where the code or the type is a word
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
        # of other servers
        "validation_error": BadRequest,
        # DashScope's native codes; `A.B` means what `A` means unless it is listed
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

# MiniMax's own numbers, which have a wrapper of their own.
MINIMAX_CODES: Final[Mapping[str, type[ProviderError]]] = {
    **dict.fromkeys(("1002", "1041"), RateLimited),
    **dict.fromkeys(("1004", "2049"), Unauthorized),
    **dict.fromkeys(("1026", "1027"), ContentFiltered),
    **dict.fromkeys(("1000", "1001", "1013", "1024", "1033"), ProviderOverloaded),
    "1008": QuotaExceeded,
    "1039": ContextTooLong,
    "2013": BadRequest,
}

TYPES: Final = _table(
    {
        # OpenAI: the type of a rate limit is what it counts
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
    409: ProviderOverloaded,  # a lock at the provider: the same request may succeed later
    413: ContextTooLong,
    422: BadRequest,
    429: RateLimited,
}

STATUS: Final = re.compile("[345][0-9][0-9]")

# Phrases in words that no table lists, in any spelling. The first that occurs decides.
_PHRASES: Final[tuple[tuple[re.Pattern[str], type[ProviderError]], ...]] = tuple(
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

# Phrases of a quota that no other word qualifies: with status 429 it may be a quota per minute.
_QUOTA: Final = re.compile("quota")

_BILLED: Final = (402, 403)

# Phrases of messages: vLLM's two, DeepSeek's, DashScope's, Moonshot's and others'. A mistake here
# changes only the message that the user sees.
_TOO_LONG: Final = re.compile(
    "context (length|window|size)|range of input length|model token limit|maximum model length"
    "|max_model_len|maximum (input|prompt|context|sequence)|(prompt|input|conversation) is too long"
    "|too many (input |prompt )?tokens|reduce the length|(exceeds?|longer than) the (model|maximum)"
    ".{0,40}(length|tokens|context)|exceeds? (context|max message tokens)|too many tokens"
    "|max_seq_len|tokens.{0,40}must be (<=|less than)"
    "|must have (less|fewer) than.{0,20}tokens",
    re.IGNORECASE,
)

# Messages for an unknown path: with one, a 404 does not mean that the model was not found.
NO_SUCH_PATH: Final = re.compile(
    r"(page |file )?not found\.?$|method not allowed|invalid url|cannot post|no route|no such route"
    "|the requested url",
    re.IGNORECASE,
)


def meaning_of(
    word: str | None, table: Mapping[str, type[ProviderError]], status: int = 200
) -> type[ProviderError] | None:
    """Return the meaning of a word by its own table, else by that of the codes, else by its
    phrases; None if it is unknown.
    """
    found = _listed(word, table) or (_listed(word, CODES) if table is not CODES else None)
    return found or meaning_of_phrase(word, status)


def meaning_of_phrase(word: str | None, status: int) -> type[ProviderError] | None:
    """Return the meaning of the phrases in a word; `status` decides where a phrase has two
    meanings.
    """
    if word is None or word.isdecimal():
        return None
    plain = re.sub(r"[\s.:/-]+", "_", re.sub("(?<=[a-z])(?=[A-Z])", "_", word)).lower()
    for pattern, error in _PHRASES:
        if pattern.search(plain):
            # With status 429, tokens are those per minute.
            return RateLimited if error is ContextTooLong and status == 429 else error
    return QuotaExceeded if status in _BILLED and _QUOTA.search(plain) else None


def error_of_status(status: int) -> type[ProviderError] | None:
    """Return what an HTTP status means when the response contains nothing else."""
    if status >= 500:
        return ProviderOverloaded
    return _STATUSES.get(status)


def is_too_long(message: object) -> bool:
    """Whether a message says that the conversation is too long."""
    return isinstance(message, str) and _TOO_LONG.search(message) is not None


def code_word(code: object) -> str | None:
    """Return a code as a word for a log line, bounded and without line ends; None if it is not a
    word.
    """
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    if not isinstance(code, str | int) or isinstance(code, bool) or code == "":
        return None
    return "".join(c if c.isprintable() else "?" for c in str(code)[:_MAX_CODE_CHARS])


def _listed(
    name: str | None, table: Mapping[str, type[ProviderError]]
) -> type[ProviderError] | None:
    if name is None:
        return None
    if name.endswith("rate_limit_exceeded"):
        return RateLimited
    while (found := table.get(_normalized(name))) is None and "." in name:
        name = name.rpartition(".")[0]
    return found
