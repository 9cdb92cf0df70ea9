"""Making a ProviderError of what a provider says went wrong.

`error_bodies.py` finds the error in a body, `error_words.py` knows what its code and type mean;
here they become a ProviderError, with the time to wait if the provider says one.
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

# No wait longer than this is passed on: beyond an hour it is no longer a matter of trying again.
MAX_RETRY_AFTER_SECONDS: Final = 3600.0


def error_in_body(
    body: bytes, *, status: int = 200, wait: float | None = None
) -> ProviderError | None:
    """The error in a body, in whichever shape; None if there is none."""
    try:
        found = values(json_in(body))
    except BadResponse:
        return None
    fields = next((fields for value in found if (fields := error_fields_in(value))), None)
    if fields is None and status >= 400:  # then a message alone is enough
        fields = next((each for each in map(fields_of, found) if each.message is not None), None)
    return None if fields is None else error_from(fields, status, wait)


def error_in_text(text: str, *, framed: bool = False) -> ProviderError | None:
    """The error that a provider sent as the text of an answer: a whole event of SSE, or JSON alone.

    `framed`: only the first is looked for. None if the text is neither.
    """
    head, data, body = text.partition("data:")
    if data and "event:error" in head.replace(" ", "") and body.lstrip().startswith("{"):
        return error_in_body(body.encode("utf-8", "replace"))
    if framed or not text.lstrip().startswith(("{", "[")):
        return None
    return error_in_body(text.encode("utf-8", "replace"))


def error_from(fields: ErrorFields, status: int = 200, wait: float | None = None) -> ProviderError:
    """Our error for what the provider says, in a response of `status`.

    Numbers are statuses unless the table knows them: vLLM, llama.cpp and OpenRouter repeat the
    status as the code, also in a stream whose own status is 200.
    """
    word, type_word = code_word(fields.code), code_word(fields.kind)
    code_status = int(word) if word and STATUS.fullmatch(word) else status
    found = (
        fields.found
        or meaning_of(word, CODES, code_status)
        or meaning_of(type_word, TYPES, code_status)
        or error_of_status(code_status)
        # Anthropic's for an overload; other servers use it for anything.
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
        reason=_where(status),  # the code may be a text, which is not for the log
    )


def error_from_status(status: int, wait: float | None) -> ProviderError:
    """Our error for a response whose status is all that it says."""
    if status == 404:
        return Refused(reason="http_404")  # no such path, rather than no such model
    found = error_of_status(status) or Refused
    return found(retry_after=wait if found.retryable else None, reason=_where(status))


def _where(status: int) -> str:
    """Where the error was: in a response of which status, or in the middle of a successful one."""
    return f"http_{status}" if status >= 300 else "in_the_answer"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the provider asks us to wait. `headers` ignore case, as HTTPHeaders do."""
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
