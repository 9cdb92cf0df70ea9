"""Errors as OpenAI's clients read them: the body, and whether they should try again.

Docstrings and descriptions of fields are part of the OpenAPI document.

The codes are this server's own. `type` is OpenAI's, by the HTTP status: some clients choose their
exception by it. OpenAI's SDKs send a request again after 408, 409, 429 and any 5xx unless
`x-should-retry` forbids it, so it is forbidden where the same request would be refused again.
"""

import re
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from handlers.errors import ErrorResponse

# Statuses after which the SDKs send a request again.
_RETRIED: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
)

# Seconds. SDKs wait no longer than one or two minutes for `Retry-After`, and try earlier then.
_LONGEST_WAIT: Final = 60

_TYPES: Final = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.CONFLICT: "conflict_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}

# Where msgspec found what is wrong with a body: `$.messages[0].role`. Of a field that should not be
# there, or should be, it says where that would be.
_PLACE: Final = re.compile(r" - at `(?:\$\.)?([^`$]+)`")
_FIELD: Final = re.compile(r"Object (?:contains unknown|missing required) field `([^`]+)`")


class ErrorObject(msgspec.Struct, frozen=True):
    """Why a request was refused, or an answer failed."""

    message: Annotated[
        str, Meta(description="What went wrong and what to do, in English, for people.")
    ]
    type: Annotated[str, Meta(description="OpenAI's word for errors of the response's status.")]
    param: Annotated[str | None, Meta(description="The field of the body that is at fault.")]
    code: Annotated[
        str,
        Meta(
            description="What programs match on; codes never change their meaning.",
            examples=["unknown_model"],
        ),
    ]
    request_id: Annotated[
        str | None, Meta(description="The id of the request in the server's log.")
    ]


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of an error response, and the data of an event that ends a stream by an error."""

    error: Annotated[
        ErrorObject, Meta(description="Why the request was refused, or the answer failed.")
    ]


def error_body(error: ErrorResponse, request_id: str | None) -> ErrorBody:
    """The body of the response to a refused request."""
    param = error.param or _param_in(error.message)
    return ErrorBody(
        ErrorObject(error.message, error_type(error.status), param, error.code, request_id)
    )


def _param_in(message: str) -> str | None:
    """The field that msgspec's words are about; None for other words."""
    found = (_PLACE.search(message), _FIELD.match(message))
    return ".".join(match[1] for match in found if match) or None


def error_type(status: HTTPStatus) -> str:
    """OpenAI's word for errors of this status."""
    usual = (
        "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    )
    return _TYPES.get(status, usual)


def should_retry(error: ErrorResponse) -> bool | None:
    """False if the SDKs would send a request again that would only be refused again.

    None: they may decide by themselves.
    """
    status, seconds = error.status, error.retry_after
    if status not in _RETRIED and status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return None
    if status in (HTTPStatus.CONFLICT, HTTPStatus.INTERNAL_SERVER_ERROR):
        return False  # it is busy for as long as an answer takes, or fails on a bug
    if seconds is None or seconds > _LONGEST_WAIT:
        return False  # it lasts until somebody acts, or for the rest of a day
    return None
