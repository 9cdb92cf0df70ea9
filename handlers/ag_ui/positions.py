"""The number of the event after which a client goes on, as it sends it in `Last-Event-ID`."""

import re
from http import HTTPStatus
from typing import Final

from tornado.httputil import HTTPServerRequest

from handlers.errors import ApiError
from handlers.wires.event_numbers import LAST_NUMBER

# Comes before the number of the first event, and is the `offset` of TanStack's client.
BEGINNING: Final = -1

_NUMBER = re.compile(r"[0-9]{1,10}")


def position_in(request: HTTPServerRequest) -> int:
    """The number of the last event that the client has; BEGINNING if it has none.

    Raises ApiError 400 for what is no id of an event.
    """
    # The headers of an app and of its library arrive joined by a comma, the library's last.
    values = [value.strip() for value in request.headers.get("Last-Event-ID", "").split(",")]
    for value in reversed(values):
        if not value:
            continue
        if _NUMBER.fullmatch(value) and int(value) <= LAST_NUMBER:
            return int(value)
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_position",
            "Last-Event-ID must be the id of an event of this run.",
        )
    return BEGINNING
