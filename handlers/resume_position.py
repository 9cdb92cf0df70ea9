"""Where a reader goes on: one answer to that, for every request that may say it.

An EventSource says `Last-Event-ID` when it comes back. What imitates one, in a page or an app, may
be unable to send headers and says it in the address, or sends its POST again with it. An app that
opens an address writes `?after=` into it. Whoever asks, `resume_position` answers.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import NamedTuple

from tornado.httputil import HTTPServerRequest

from handlers.errors import ApiError

# Positions are code points of one answer; nine digits are a thousand times the longest.
_EVENT_ID = re.compile(rb"([0-9]{1,9})(-end)?")

# What may stand around an id, or in place of one, as around a header's value.
_BLANKS = b" \t"


class ResumePosition(NamedTuple):
    """How much of an answer a reader holds, and whether that was all of it."""

    seen: int = 0
    ended: bool = False


def resume_position(request: HTTPServerRequest) -> ResumePosition:
    """The position that a request says; the beginning if it says none.

    Of several the one counts that a client has from the stream itself: the header, then the
    parameter of those that cannot send it, then what the address was opened with. What says nothing
    is passed over. Raises ApiError 400 for what no event had as its id, also where another counts.
    """
    said = [_position(value) for value in _said(request) if value]
    return said[0] if said else ResumePosition()


def _said(request: HTTPServerRequest) -> Iterator[bytes]:
    """All that is said, what counts most first."""
    # An app's own header and its library's arrive as one, joined, with the library's behind.
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
    """Libraries write it lastEventId, lastEventID, last-event-id or evs_last_event_id."""
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
