"""Decodes JSON bodies, also with half of a surrogate pair in them.

Languages with UTF-16 strings can cut a string within a character, and their JSON has half of a pair
then: `"\\ud83d"`. UTF-8 cannot represent it, so msgspec refuses the body, and with it a question
that lacks only its last character. Here the half becomes U+FFFD, as it does in what providers send.
"""

import re
from typing import TypeVar

import msgspec

Body = TypeVar("Body")

# A half without its other half beside it. Both kinds begin alike, which makes the search fast: 35
# ms for a body of a megabyte of nothing else, 3 ms for other text.
_HALF = re.compile(
    rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F][0-9a-fA-F]{2})"
)


def decoded(body: bytes, kind: type[Body]) -> Body:
    """The JSON of `body` as `kind`. Raises msgspec's errors."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # JSON contains no NUL, so one can stand in for escaped backslashes below.
        if b"\0" in body or _HALF.search(body) is None:
            raise
    return msgspec.json.decode(_mended(body), type=kind)


def _mended(body: bytes) -> bytes:
    """`body` with U+FFFD for each half; it keeps its length, so that no limit is passed by it."""
    # An escaped backslash may precede an ordinary "u": it is replaced during the search.
    return _HALF.sub(rb"\\ufffd", body.replace(rb"\\", b"\0\0")).replace(b"\0\0", rb"\\")
