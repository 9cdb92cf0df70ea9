"""The refusals of fields in OpenAI's bodies: each names the field, as OpenAI's do."""

from http import HTTPStatus
from typing import Any

import msgspec

from handlers.errors import ApiError


def invalid_field(param: str, message: str) -> ApiError:
    """The refusal of a field whose value is not allowed."""
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", message, param=param)


def unsupported_field(param: str, message: str | None = None) -> ApiError:
    """The refusal of a field, or a value of it, that this server cannot do."""
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        "unsupported_parameter",
        message or f"This server cannot do the given `{param}`. Leave it out.",
        param=param,
    )


def converted(value: Any, kind: Any, place: str) -> Any:
    """A value at a place in a body as a `kind`. Raises ApiError, which says where in it."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        words, _, inner = str(error).partition(" - at `$")
        raise invalid_field(place, f"{words} - at `{place}{inner.rstrip('`')}`.") from None
