"""Every error as clients see it: an HTTP status, a stable code, and a message for people."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import NamedTuple

from tornado.web import HTTPError

from auth.errors import KeysUnavailable, Unauthenticated
from providers.errors import ProviderError
from relay.errors import (
    AnswerElsewhere,
    IdBeingDeleted,
    KeyReused,
    MissingToolResults,
    ModelNotAllowed,
    Overloaded,
    QuestionTooLong,
    RetryLater,
    ShuttingDown,
    StorageQuotaExceeded,
    StorageUnavailable,
    ToolLoopTooLong,
    UnknownModel,
    UnknownParent,
    UnknownToolCall,
    UnsupportedContent,
    UnsupportedParameter,
    Upgrading,
)
from storage.errors import Busy, NotFound, StorageError, TooLarge

# Long enough for an election of a replica set's primary, or a restart of this server.
_RETRY_AFTER_SECONDS = 5


class ApiError(Exception):
    """What a handler raises for a request that it refuses."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        message: str,
        *,
        param: str | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param  # the field of the body that is at fault, if the protocol names it
        self.reason = reason  # for the log only


class ErrorResponse(NamedTuple):
    """An error as a response of the API. `retry_after` is in seconds."""

    status: HTTPStatus
    code: str
    message: str
    answer_id: str | None = None
    retry_after: int | None = None
    challenge: str | None = None  # the value of WWW-Authenticate
    reason: str | None = None  # why the store fails, without private data
    param: str | None = None  # the field of the body that is at fault


def to_error_response(error: BaseException | None) -> ErrorResponse | None:
    """The error as clients see it; None for one that only a bug explains."""
    match error:
        case ApiError():
            return ErrorResponse(error.status, error.code, str(error), param=error.param)
        case Unauthenticated():
            return ErrorResponse(
                HTTPStatus.UNAUTHORIZED, error.code, str(error), challenge=error.challenge
            )
        case KeysUnavailable():
            return _try_again(error.code, str(error))
        case NotFound():
            return ErrorResponse(
                HTTPStatus.NOT_FOUND, "not_found", "This does not exist, or it is not yours."
            )
        case Busy():
            return ErrorResponse(
                HTTPStatus.CONFLICT,
                "conversation_busy",
                "An answer of this conversation is still being generated. Wait for its end, or "
                "stop it.",
                answer_id=error.answer_id,
            )
        case TooLarge():
            return ErrorResponse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_large",
                "The message is larger than the store can hold in one piece. Send less at a time.",
            )
        case StorageError() if error.reason.lasts:
            # Without Retry-After: it stays so until the operator acts.
            return ErrorResponse(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "storage_unavailable",
                "Conversations cannot be stored until the operator has repaired the store.",
                reason=error.reason,
            )
        case StorageError():
            described = _try_again(
                "storage_unavailable",
                "Conversations cannot be stored at the moment. Try again in a few seconds.",
            )
            return described._replace(reason=error.reason)
        case KeyReused():
            return ErrorResponse(HTTPStatus.UNPROCESSABLE_ENTITY, error.code, str(error))
        case Overloaded():
            return _try_again(error.code, str(error), error.retry_after)
        case RetryLater():
            return ErrorResponse(
                HTTPStatus.TOO_MANY_REQUESTS,
                error.code,
                str(error),
                retry_after=error.retry_after,
            )
        case StorageQuotaExceeded():
            return ErrorResponse(HTTPStatus.FORBIDDEN, error.code, str(error))
        case QuestionTooLong() | ToolLoopTooLong():
            return ErrorResponse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error.code, str(error))
        case ShuttingDown() | AnswerElsewhere() | Upgrading() | IdBeingDeleted():
            return _try_again(error.code, str(error))
        case ModelNotAllowed():
            return ErrorResponse(HTTPStatus.FORBIDDEN, error.code, str(error), param="model")
        case UnknownModel():
            return ErrorResponse(HTTPStatus.BAD_REQUEST, error.code, str(error), param="model")
        case UnknownParent() | UnknownToolCall() | MissingToolResults() | UnsupportedContent():
            return ErrorResponse(HTTPStatus.BAD_REQUEST, error.code, str(error))
        case UnsupportedParameter():
            return ErrorResponse(HTTPStatus.BAD_REQUEST, error.code, str(error), param=error.name)
        case HTTPError():
            return _of_status(error.status_code)
        case _:
            return None


def failure_status(code: str) -> HTTPStatus:
    """The status of the response to a client that waited for an answer as JSON, which failed."""
    return _FAILURES.get(code, HTTPStatus.BAD_GATEWAY)


def _family(error: type[ProviderError]) -> Iterator[type[ProviderError]]:
    yield error
    for child in error.__subclasses__():
        yield from _family(child)


_FAILURES = {error.code: error.status for error in _family(ProviderError)}
_FAILURES[StorageUnavailable.code] = HTTPStatus.SERVICE_UNAVAILABLE

# All statuses with which an answer may fail.
FAILURE_STATUSES = frozenset({*_FAILURES.values(), HTTPStatus.BAD_GATEWAY})

# Codes and messages of what Tornado itself refuses.
_OF_TORNADO = {
    HTTPStatus.BAD_REQUEST: (
        "bad_request",
        "The request is malformed: its address or its headers cannot be read.",
    ),
    HTTPStatus.NOT_FOUND: ("not_found", "This path does not exist."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "method_not_allowed",
        "This path does not support the method. The Allow header lists those that it supports.",
    ),
}


def _of_status(code: int) -> ErrorResponse:
    status = HTTPStatus(code)
    other = ("refused", f"The request was refused: {status.phrase}.")
    return ErrorResponse(status, *_OF_TORNADO.get(status, other))


def _try_again(code: str, message: str, seconds: int = _RETRY_AFTER_SECONDS) -> ErrorResponse:
    return ErrorResponse(HTTPStatus.SERVICE_UNAVAILABLE, code, message, retry_after=seconds)
