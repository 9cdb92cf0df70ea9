"""Checks and decodes the JSON bodies of requests, also with half of a surrogate pair in them.

Languages with UTF-16 strings can cut a string within a character, and their JSON has half of a pair
then: `"\\ud83d"`. UTF-8 cannot represent it, so msgspec refuses the body, and with it a question
that lacks only its last character. Here the half becomes U+FFFD, as it does in what providers send.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from tornado.httputil import HTTPServerRequest

from handlers.errors import ApiError

Body = TypeVar("Body")

# The code of the error that says which encodings are accepted, in its Accept-Encoding.
COMPRESSED = "unsupported_encoding"

# What is raised for a body that is no JSON, or that nests deeper than can be decoded.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# msgspec's message quotes the value that was found, here in quotation marks.
_QUOTED = re.compile(r"(Invalid (?:enum )?value) '.*'", re.DOTALL)

# A half without its other half beside it. Both kinds begin alike, which makes the search fast: 35
# ms for a body of a megabyte of nothing else, 3 ms for other text.
_HALF = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)


def check_body(request: HTTPServerRequest, max_bytes: int, setting: str) -> None:
    """Return if the request has no body, or one that `read_body` may read. Raises ApiError."""
    if request.body:
        _check_form(request)
    if len(request.body) > max_bytes:
        raise body_too_large(max_bytes, setting)
    if request.method == "GET":
        request.body = b""  # it has no meaning, and a stream would hold it


def body_too_large(max_bytes: int, setting: str) -> ApiError:
    """The refusal of a body with more than `max_bytes`, which `setting` allows."""
    return ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        f"The body is longer than {max_bytes:,} bytes ({setting}).",
    )


def read_body(
    request: HTTPServerRequest, kind: type[Body], *, change: Callable[[Any], Any] | None = None
) -> Body:
    """The request's JSON body as `kind`. Raises ApiError 400, whose message quotes no value.

    `change` makes another spelling of a body, as plain JSON, one of `kind`; it returns what is none
    unchanged.
    """
    data, request.body = request.body, b""  # it is read once, and a stream would hold it
    try:
        try:
            return decoded(data, kind)
        except msgspec.ValidationError as error:
            if change is None:
                raise
            try:
                plain = decoded(data, object)
                changed = change(plain)
                if changed == plain:
                    raise
                return msgspec.convert(changed, kind)
            except RecursionError:  # no spelling of a body nests so deep
                raise error from None
    except msgspec.ValidationError as error:
        raise invalid_body(str(error)) from None
    except UNREADABLE as error:
        raise unreadable(error) from None


def unreadable(error: BaseException) -> ApiError:
    """The refusal of a body for which one of `UNREADABLE` was raised."""
    if isinstance(error, RecursionError):
        return invalid_body("Objects and lists are too deep within each other")
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_json", "The body is not valid JSON in UTF-8.")


def invalid_body(message: str) -> ApiError:
    """The refusal of a body for what msgspec says of it, without the value that it quotes."""
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", f"{unquoted(message)}.")


def unquoted(message: str) -> str:
    """What msgspec says of a body, without the value that it quotes."""
    return _QUOTED.sub(r"\1", message)


def decoded(body: bytes, kind: type[Body]) -> Body:
    """The JSON of `body` as `kind`. Raises msgspec's errors."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # JSON contains no NUL, so one can replace escaped backslashes below.
        if b"\0" in body or _HALF.search(body) is None:
            raise
    return msgspec.json.decode(_mended(body), type=kind)


def _mended(body: bytes) -> bytes:
    """`body` with U+FFFD for each half; it keeps its length, so that no limit is passed by it."""
    # An escaped backslash may precede an ordinary "u": it is replaced during the search.
    return _HALF.sub(rb"\\ufffd", body.replace(rb"\\", b"\0\0")).replace(b"\0\0", rb"\\")


def _check_form(request: HTTPServerRequest) -> None:
    """Raise ApiError unless the body is uncompressed JSON, by its headers."""
    if not _is_json(request.headers.get("Content-Type", "")):
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            "Send the body as JSON, with Content-Type: application/json.",
        )
    codings = request.headers.get("Content-Encoding", "").lower().split(",")
    if any(coding.strip() not in ("", "identity") for coding in codings):
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            COMPRESSED,
            "Send the body uncompressed, without Content-Encoding.",
        )


def _is_json(content_type: str) -> bool:
    kind, _, _ = content_type.partition(";")
    return kind.strip().lower() == "application/json"
