"""Why an answer is not whole, as an error: else a client would take its text for all of it."""

import math
from http import HTTPStatus

from handlers.errors import ErrorResponse, failure_status
from model.messages import Ending, Failure, Status

_STOPPED = Failure("stopped", "The answer was stopped before its end.")
_ABANDONED = Failure(
    "abandoned", "The answer was cancelled, because its last reader had disconnected. Ask again."
)
_INTERRUPTED = Failure(
    "interrupted",
    "The server stopped while it generated this answer. Ask again.",
    retryable=True,
)


def answer_error(ending: Ending) -> ErrorResponse | None:
    """The error of an answer that is not whole; None for one that is complete."""
    match ending.status:
        case Status.COMPLETE:
            return None
        case Status.STOPPED:
            return _error(_STOPPED, HTTPStatus.CONFLICT)
        case Status.ABANDONED:
            return _error(_ABANDONED, HTTPStatus.CONFLICT)
        case _:
            failure = ending.error or _INTERRUPTED
            return _error(failure, failure_status(failure.code))


def may_succeed_later(ending: Ending) -> bool:
    """Whether the same question may be answered if it is asked again."""
    failure = _INTERRUPTED if ending.status is Status.INTERRUPTED else ending.error
    return failure is not None and failure.retryable


def _error(failure: Failure, status: HTTPStatus) -> ErrorResponse:
    wait = failure.retry_after
    return ErrorResponse(
        status,
        failure.code,
        failure.message,
        retry_after=None if wait is None else math.ceil(wait),
    )
