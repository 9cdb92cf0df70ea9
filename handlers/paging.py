"""Pages of lists: how long one is, and the cursor at which the next begins."""

import re
from http import HTTPStatus

from handlers.errors import ApiError

_PAGE_DEFAULT = 50
_PAGE_MAX = 200  # items: a page of long answers is megabytes, so more of them are more pages


def page_limit(given: str | None) -> int:
    """The value of the query parameter `limit`, or its default. Raises ApiError 400."""
    if given is None:
        return _PAGE_DEFAULT
    if not re.fullmatch(r"[0-9]{1,3}", given) or not 1 <= int(given) <= _PAGE_MAX:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "invalid_limit",
            f"limit must be a whole number from 1 to {_PAGE_MAX}.",
        )
    return int(given)


def invalid_cursor(name: str) -> ApiError:
    """The error for a query parameter that is not a cursor of the list."""
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        "invalid_cursor",
        f"{name} must be the `next` of a page of this list.",
    )
