"""The form in which a client requests an answer, by its Prefer and Accept headers."""

import re
from enum import Enum
from http import HTTPStatus

from tornado.httputil import HTTPServerRequest

from handlers.errors import ApiError

_UNWANTED = re.compile(r"q\s*=\s*0(\.0*)?")


class AnswerForm(Enum):
    """How an answer is sent to the client that asked."""

    STREAM = "stream"  # of events, as it grows
    MESSAGE = "message"  # as JSON, once it has ended
    ADDRESS = "address"  # of its stream, at once


def answer_form(request: HTTPServerRequest) -> AnswerForm:
    """Return the form that the request's Prefer and Accept headers ask for. Raises ApiError 406."""
    if "respond-async" in _listed(request.headers.get("Prefer", "")):
        return AnswerForm.ADDRESS
    kinds = _listed(request.headers.get("Accept", "*/*"))
    if kinds & {"text/event-stream", "text/*"}:
        return AnswerForm.STREAM
    if kinds & {"application/json", "application/*"}:
        return AnswerForm.MESSAGE
    if "*/*" in kinds:
        return AnswerForm.STREAM
    raise ApiError(
        HTTPStatus.NOT_ACCEPTABLE,
        "not_acceptable",
        "Accept must permit text/event-stream or application/json.",
    )


def _listed(header: str) -> set[str]:
    """Return the values of a list header without their parameters, leaving out those with q=0."""
    wanted = set()
    for part in header.lower().split(","):
        value, *parameters = (piece.strip() for piece in part.split(";"))
        if not any(_UNWANTED.fullmatch(parameter) for parameter in parameters):
            wanted.add(value)
    return wanted
