"""The Idempotency-Key of a request, under which the same question is answered once."""

import re
from contextlib import suppress
from http import HTTPStatus

from tornado.httputil import HTTPServerRequest

from handlers.errors import ApiError
from handlers.single_header import RepeatedHeader, single_header

# Room for a UUID with a prefix; the store has a hash of the key.
_KEY = re.compile(r"[ -~]{1,255}")


def idempotency_key(request: HTTPServerRequest) -> str | None:
    """The idempotency key of the request; None without one. Raises ApiError 400."""
    with suppress(RepeatedHeader):
        key = single_header(request, "Idempotency-Key")
        if key is None or _KEY.fullmatch(key):
            return key
    raise ApiError(
        HTTPStatus.BAD_REQUEST,
        "invalid_idempotency_key",
        "Idempotency-Key must be sent once, with 1 to 255 printable ASCII characters.",
    )
