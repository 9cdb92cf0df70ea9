"""Makes a ProviderError from what a provider reports.

`error_bodies.py` finds the error in a body, `error_words.py` knows what its code and type mean;
this module makes a ProviderError from them, with the time to wait if the provider states one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from providers.error_bodies import ErrorFields, error_fields_in, fields_of
from providers.error_words import (
    CODES,
    NO_SUCH_PATH,
    STATUS,
    TYPES,
    code_word,
    error_of_status,
    is_too_long,
    meaning_of,
)
from providers.errors import (
    BadRequest,
    BadResponse,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    ProviderOverloaded,
    Refused,
)
from providers.lenient_json import json_in, values

# Seconds. No longer wait is passed on: after an hour a retry is no longer a matter of waiting.
MAX_RETRY_AFTER_SECONDS: Final = 3600.0


def error_in_body(
    body: bytes, *, status: int = 200, wait: float | None = None
) -> ProviderError | None:
    """Return the error in a body of any shape; None if there is none."""
    try:
        found = values(json_in(body))
    except BadResponse:
        return None
    fields = next((fields for value in found if (fields := error_fields_in(value))), None)
    if fields is None and status >= 400:  # with an error status, a message alone is an error
        fields = next((each for each in map(fields_of, found) if each.message is not None), None)
    return None if fields is None else error_from(fields, status, wait)


def error_in_text(text: str, *, framed: bool = False) -> ProviderError | None:
    """Return the error that a provider sent as text of an answer: a whole SSE event, or bare JSON.

    With `framed`, only an SSE event counts. Returns None if the text is neither.
    """
    head, data, body = text.partition("data:")
    if data and "event:error" in head.replace(" ", "") and body.lstrip().startswith("{"):
        return error_in_body(body.encode("utf-8", "replace"))
    if framed or not text.lstrip().startswith(("{", "[")):
        return None
    return error_in_body(text.encode("utf-8", "replace"))


def error_from(fields: ErrorFields, status: int = 200, wait: float | None = None) -> ProviderError:
    """Return the error that `fields` mean in a response of `status`.

    Numbers are read as HTTP statuses unless the table lists them: vLLM, llama.cpp and OpenRouter
    repeat the status as the code, also in a stream whose own status is 200.
    """
    word, type_word = code_word(fields.code), code_word(fields.kind)
    code_status = int(word) if word and STATUS.fullmatch(word) else status
    found = (
        fields.found
        or meaning_of(word, CODES, code_status)
        or meaning_of(type_word, TYPES, code_status)
        or error_of_status(code_status)
        # Anthropic's type for an overload; other servers use it for any error.
        or (ProviderOverloaded if fields.kind == "api_error" else None)
        or (BadRequest if str(fields.kind).startswith("invalid_request") else Refused)
    )
    message = fields.message if isinstance(fields.message, str) else ""
    if found in (BadRequest, Refused) and is_too_long(message):
        found = ContextTooLong
    if found is ModelNotFound and status == 404 and NO_SUCH_PATH.match(message.strip()):
        found = Refused
    if wait is None and fields.wait is not None:
        wait = min(fields.wait, MAX_RETRY_AFTER_SECONDS)
    return found(
        provider_code=word or type_word,
        retry_after=wait if found.retryable else None,
        reason=_where(status),  # the code may be a sentence, which must not be logged
    )


def error_from_status(status: int, wait: float | None) -> ProviderError:
    """Return the error for a response of which only the status is known."""
    if status == 404:
        return Refused(reason="http_404")  # the path is unknown, rather than the model
    found = error_of_status(status) or Refused
    return found(retry_after=wait if found.retryable else None, reason=_where(status))


def unless_told_not_to_retry(error: ProviderError, headers: Mapping[str, str]) -> ProviderError:
    """Return `error`, or Refused if the provider says that a retry will not help.

    OpenAI and Anthropic send this header, and their SDKs obey it.
    """
    if error.retryable and headers.get("x-should-retry", "").lower() == "false":
        return Refused(provider_code=error.provider_code, reason=error.reason)
    return error


def _where(status: int) -> str:
    """Where the error was: in a response with an error status, or in the middle of a successful
    one.
    """
    return f"http_{status}" if status >= 300 else "in_the_answer"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the provider asks to wait; None if it does not.

    Names of headers are compared without case.
    """
    seconds = _number(headers.get("retry-after-ms"))
    if seconds is not None:
        seconds /= 1000
    else:
        seconds = _number(headers.get("retry-after"))
    if seconds is None:
        seconds = _until(headers.get("retry-after"), headers.get("date"))
    if seconds is None or not seconds >= 0:  # this is false for NaN, too
        return None
    return min(seconds, MAX_RETRY_AFTER_SECONDS)


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None


def _until(date: str | None, now: str | None) -> float | None:
    """Return the seconds until an HTTP date, by the provider's own clock if it sends the time."""
    try:
        then = parsedate_to_datetime(date or "")
        start = parsedate_to_datetime(now) if now else datetime.now(UTC)
        return max(0.0, (then - start).total_seconds())
    except (ValueError, TypeError):
        return None
