"""Finds the error in what a provider sends, in whichever shape.

In every dialect, it may be an object or a string under `error`, or have no wrapper at all; it may
be in a list, or a string of JSON within another error. `error_words.py` knows what its fields mean.
"""

import re
from typing import Any, Final, NamedTuple

from providers.error_words import (
    CODES,
    MINIMAX_CODES,
    NO_SUCH_PATH,
    STATUS,
    TYPES,
    code_word,
    meaning_of,
    meaning_of_phrase,
)
from providers.errors import ContentFiltered, ProviderError, QuotaExceeded, Refused
from providers.lenient_json import json_object

# Levels of nesting: an error within an error within a list. What is deeper is data.
_MAX_DEPTH: Final = 4

# Names of the code and of the message in an error.
_CODE_NAMES: Final = ("code", "error_code", "err_code", "statuscode", "status_code")

_MESSAGE_NAMES: Final = ("message", "msg", "error_msg", "status_msg", "detail")

# Codes, and words in place of one, which say that there is no error.
_NO_ERROR: Final = re.compile(
    r"0*(\.0+)?|2[0-9][0-9](\.0+)?|20000|success|ok|null|none|false|n/a|no[ _]?error", re.IGNORECASE
)

# Other names that an error may be wrapped in.
_WRAPPERS: Final = ("response", "data", "header")

# Words that show that a text is an error, where it might be a progress report.
_ERROR_TEXT: Final = re.compile(
    "error|fail|exception|denied|exceed|exhaust|unauthori|forbidden|invalid|not found|too many"
    "|overload|unavailable|timed? ?out",
    re.IGNORECASE,
)

# Google's time to wait, which is in the body only: "17s" or "1.5s".
_DELAY: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]+)?)s")


class ErrorFields(NamedTuple):
    """The fields of an error as the provider sent them; None for each that it did not send."""

    code: object = None
    kind: object = None  # the error's type
    message: object = None
    found: type[ProviderError] | None = None  # the meaning, if another field decides it
    wait: float | None = None  # seconds


def says_no_error(value: object, depth: int = 0) -> bool:
    """Whether the value of an `error` field says that there is no error."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return depth <= _MAX_DEPTH and all(says_no_error(each, depth + 1) for each in value)
    return value is None or _NO_ERROR.fullmatch(str(value).strip(" .!")) is not None


def error_fields_in(value: object, depth: int = 0) -> ErrorFields | None:
    """Return the fields of the error in a JSON value; None if it contains no error."""
    value = _lowercased(value)
    if not value or depth > _MAX_DEPTH:
        return None
    if not says_no_error(value.get("base_resp")):
        return _minimax(value["base_resp"])
    for name in ("error", "errors", "error_msg", "detail"):
        inner = value.get(name)
        if isinstance(inner, str) and (read := json_object(inner)) is not None:
            inner = read
        if says_no_error(inner) or (name == "detail" and not _detail_is_error(value)):
            continue
        if isinstance(inner, dict | list) and _lowercased(inner):
            found = error_fields_in(inner, depth + 1) or fields_of(inner)
            return found._replace(code=found.code or value.get("code"))
        if isinstance(inner, str) and NO_SUCH_PATH.match(inner.strip()):
            return None
        if name != "error_msg":  # a string, or just `true`
            code = value.get("code") or _status_in(value)
            return ErrorFields(code, value.get("type") or inner, inner)
    for name in _WRAPPERS:
        inner = _lowercased(value.get(name))
        is_error = isinstance(inner.get("error"), dict | str) and not says_no_error(inner["error"])
        if is_error or (name == "header" and not says_no_error(inner.get("code"))):
            return error_fields_in(inner, depth + 1)
    found = fields_of(value)
    return found if _is_error(found, value) else None


def fields_of(value: object) -> ErrorFields:
    """Return the fields of an object that is an error."""
    value = _lowercased(value)
    code, message = _first(value, _CODE_NAMES), _first(value, _MESSAGE_NAMES)
    if isinstance(message, str) and (inner := error_fields_in(json_object(message), 1)) is not None:
        return inner
    if says_no_error(code):
        code = None
    details = value.get("details")
    if isinstance(details, dict):  # Anthropic's: a more precise code than the type
        code = code or details.get("error_code")
    # OpenRouter reports moderation as a plain 403, and only its metadata say so.
    metadata = value.get("metadata")
    was_moderated = isinstance(metadata, dict) and "flagged_input" in metadata
    fields = ErrorFields(
        code or (_status_in(value) if message is not None else None),
        value.get("type") or value.get("__type") or value.get("status"),
        message,
        ContentFiltered if was_moderated else None,
    )
    return _with_details(fields, details)


def _with_details(fields: ErrorFields, details: object) -> ErrorFields:
    """Add what Google says only in `details`: that it is no ordinary bad request, and how long
    to wait.
    """
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict):
            continue
        found = meaning_of_phrase(code_word(detail.get("reason")), 200)
        if _is_daily(detail.get("violations")):  # waiting for a minute does not help
            found = QuotaExceeded
        delay = _DELAY.fullmatch(str(detail.get("retryDelay", "")))
        fields = fields._replace(
            found=fields.found or found, wait=fields.wait or (float(delay[1]) if delay else None)
        )
    return fields


def _is_daily(violations: object) -> bool:
    """Whether a daily quota is among Google's violations of quotas."""
    listed = violations if isinstance(violations, list) else ()
    return any(isinstance(each, dict) and "PerDay" in str(each.get("quotaId")) for each in listed)


def _minimax(value: object) -> ErrorFields | None:
    """Return the error in MiniMax's `base_resp`; None if its status is 0, which is success."""
    fields = fields_of(value)
    if fields.code is None:
        return None
    return fields._replace(found=MINIMAX_CODES.get(str(fields.code), Refused))


def _is_error(fields: ErrorFields, value: dict[str, Any]) -> bool:
    """Whether an object without a wrapper is an error rather than a progress report."""
    word, kind = code_word(fields.code), code_word(fields.kind)
    if not all(says_no_error(value.get(name)) for name in ("error_code", "err_code")):
        return True
    if word is not None and (STATUS.fullmatch(word) is None and meaning_of(word, CODES)):
        return True
    if fields.message is None:
        return False
    if value.get("object") == "error" or (kind is not None and _is_error_type(kind)):
        return True
    is_report = "type" in value or "event" in value
    return not is_report and (word is not None or value.get("success") is False)


def _is_error_type(kind: str) -> bool:
    named = kind == "error" or kind.startswith("invalid_request") or kind.endswith("Error")
    return named or meaning_of(kind, TYPES) is not None


def _detail_is_error(value: dict[str, Any]) -> bool:
    """Whether FastAPI's `detail`, when it is the only field, is an error's."""
    detail = value["detail"]
    if isinstance(detail, str):
        return len(value) == 1 and _ERROR_TEXT.search(detail) is not None
    return isinstance(detail, dict | list)


def _lowercased(value: object) -> dict[str, Any]:
    """Return an object, or the first one in a list, with its names in lower case; empty if there
    is none.
    """
    if isinstance(value, list):
        value = next((each for each in value if isinstance(each, dict)), None)
    if not isinstance(value, dict):
        return {}
    return {name.lower(): each for name, each in value.items()}


def _first(value: dict[str, Any], names: tuple[str, ...]) -> object:
    return next((value[name] for name in names if value.get(name)), None)


def _status_in(value: dict[str, Any]) -> object:
    """Return the HTTP status that an object repeats as a number; None if it does not."""
    status = value.get("status")
    return status if STATUS.fullmatch(str(status)) else None
