"""Finds the position from which a request resumes a stream.

An EventSource sends `Last-Event-ID` when it reconnects. Similar libraries may be unable to send
headers and put it into the URL, or repeat their POST with it. A URL may have `?after=`. All routes
read them here, in the same way.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import NamedTuple

from tornado.httputil import HTTPServerRequest

from handlers.errors import ApiError

# Positions count the code points of one answer; nine digits are a thousand times the longest
# answer.
_EVENT_ID = re.compile(rb"([0-9]{1,9})(-end)?")

# Blanks around an id are ignored, as around a header's value.
_BLANKS = b" \t"


class ResumePosition(NamedTuple):
    """How much of an answer a client has received, and whether that included its end."""

    seen: int = 0
    ended: bool = False


def resume_position(request: HTTPServerRequest) -> ResumePosition:
    """The position that a request sends; the beginning if it sends none.

    Of several the one counts that a client has from the stream itself: first the header, then the
    parameter of clients that cannot send it, then `after`. Empty values are skipped. Raises
    ApiError 400 for a value that is not an event's id, also if another one counts.
    """
    said = [_position(value) for value in _said(request) if value]
    return said[0] if said else ResumePosition()


def _said(request: HTTPServerRequest) -> Iterator[bytes]:
    """All positions in the request, in the order of precedence."""
    # The headers of an app and of its library arrive joined by a comma, the library's last.
    header = request.headers.get("Last-Event-ID", "").encode("latin-1")
    yield from _last_first(header.split(b","))
    parameters = request.query_arguments
    for name in reversed(parameters):
        if _is_last_event_id(name):
            yield from _last_first(parameters[name])
    yield from _last_first(parameters.get("after", []))


def _last_first(values: list[bytes]) -> Iterator[bytes]:
    return (value.strip(_BLANKS) for value in reversed(values))


def _is_last_event_id(name: str) -> bool:
    """Whether it is lastEventId, lastEventID, last-event-id, evs_last_event_id or the like."""
    return re.sub("[-_]", "", name).lower().removeprefix("evs") == "lasteventid"


def _position(value: bytes) -> ResumePosition:
    match = _EVENT_ID.fullmatch(value)
    if match is None:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_position",
            "Last-Event-ID, lastEventId and after must be the id of an event of this answer.",
        )
    return ResumePosition(int(match[1]), match[2] is not None)
