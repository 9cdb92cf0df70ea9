"""The Idempotency-Key of a request, under which the same question is answered once."""

import re
from contextlib import suppress
from http import HTTPStatus

from tornado.httputil import HTTPServerRequest

from handlers.errors import ApiError
from handlers.single_header import RepeatedHeader, single_header

# Room for a UUID with a prefix; the store has a hash of the key.
_KEY = re.compile(r"[ -~]{1,255}")

# A string as the header's standard has it (RFC 9651): within quotation marks, with two escapes.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_ESCAPE = re.compile(r'\\(["\\])')


def idempotency_key(request: HTTPServerRequest) -> str | None:
    """The idempotency key of the request; None without one. Raises ApiError 400.

    The standard has it quoted, and most SDKs do not: both are the same key.
    """
    with suppress(RepeatedHeader):
        key = single_header(request, "Idempotency-Key")
        if key is None:
            return None
        if quoted := _QUOTED.fullmatch(key):
            key = _ESCAPE.sub(r"\1", quoted[1])
        if _KEY.fullmatch(key):
            return key
    raise ApiError(
        HTTPStatus.BAD_REQUEST,
        "invalid_idempotency_key",
        "Idempotency-Key must be sent once, with 1 to 255 printable ASCII characters.",
    )
