"""`Headrace-On-Disconnect`: what happens to an answer when its last reader disconnects.

For protocols whose bodies have no field for it. The values are those of `on_disconnect` in this
API's own bodies, with the seconds of grace as a number: `cancel`, `finish`, `30`.
"""

import re
from contextlib import suppress
from http import HTTPStatus

import msgspec
from tornado.httputil import HTTPServerRequest

from handlers.errors import ApiError
from handlers.single_header import RepeatedHeader, single_header

HEADER = "Headrace-On-Disconnect"

# A client that is away for longer than an hour asks again.
_MOST_SECONDS = 3600

_SECONDS = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?")


def grace_header(request: HTTPServerRequest) -> float | msgspec.UnsetType | None:
    """Seconds for which an answer goes on without a reader; None: to its end.

    UNSET without the header: the server's setting applies then. Raises ApiError 400.
    """
    with suppress(RepeatedHeader):
        match single_header(request, HEADER):
            case None:
                return msgspec.UNSET
            case "cancel":
                return 0.0
            case "finish":
                return None
            case given if _SECONDS.fullmatch(given) and float(given) <= _MOST_SECONDS:
                return float(given)
    raise ApiError(
        HTTPStatus.BAD_REQUEST,
        "invalid_on_disconnect",
        f"{HEADER} must be sent once, as `cancel`, `finish` or a number of seconds up to "
        f"{_MOST_SECONDS:,}.",
    )
