"""The refusals of a body's fields and a query's parameters: each names its own, as OpenAI's do."""

from http import HTTPStatus
from typing import Final, TypeVar

import msgspec

from handlers.errors import ApiError
from handlers.json_body import unquoted

_Kind = TypeVar("_Kind")

# The codes for parameters whose names are not a part of their codes, as `limit` and `order` are.
_CODES: Final = {
    "after": "invalid_cursor",
    "starting_after": "invalid_position",
    "stream": "invalid_query",
}


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


def invalid_parameter(name: str, words: str) -> ApiError:
    """The refusal of a query's parameter; `words` say what it must be."""
    code = _CODES.get(name, f"invalid_{name}")
    return ApiError(HTTPStatus.BAD_REQUEST, code, f"`{name}` must be {words}.", param=name)


def converted(value: object, kind: type[_Kind], place: str) -> _Kind:
    """A value at a place in a body as a `kind`. Raises ApiError, which says where in it and quotes
    no value.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        words, _, inner = unquoted(str(error)).partition(" - at `$")
        where = f"{place}{inner.rstrip('`')}"
        # The words tell the field, which may be one within `where`.
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", f"{words} - at `{where}`.") from None
