"""JSON as one line of an event stream."""

from typing import Final

import msgspec

_encode: Final = msgspec.json.Encoder().encode


def json_line(value: object) -> bytes:
    """`value` as one line of JSON, with no line end inside.

    Some mobile clients trim lines, and some split them at U+2028, U+2029 and U+0085, so these are
    escaped as well.
    """
    data = _encode(value)
    if data.isascii():
        return data
    return (
        data.replace(b"\xe2\x80\xa8", b"\\u2028")
        .replace(b"\xe2\x80\xa9", b"\\u2029")
        .replace(b"\xc2\x85", b"\\u0085")
    )
