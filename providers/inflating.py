"""Undoing the compression of a body that came compressed although it was asked for plain.

Some gateways compress whatever passes. What inflates has no bound of its own: a few kilobytes can
become gigabytes. So each piece may grow so far and no further.
"""

import zlib
from typing import Final

from providers.errors import BadResponse

# Of what one read of the socket brings, 64 KiB at most. Event streams of tokens, which repeat
# themselves as little else does, shrink to a fiftieth: that makes 3 MB.
MAX_INFLATED_BYTES: Final = 4 * 1024 * 1024

# Both formats, told apart by their first bytes.
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_HEAD_BYTES: Final = 2

_READABLE: Final = ("gzip", "x-gzip", "deflate")


def inflater_for(coding: str) -> "Inflater | None":
    """What undoes a `Content-Encoding`; None if it is plain. Raises BadResponse: nobody can."""
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding not in _READABLE:
        raise BadResponse(provider_code=f"content-encoding-{coding[:32]}")
    return Inflater()


class Inflater:
    """Feed compressed bytes, take plain ones. A cut may fall anywhere."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        self._head: bytes | None = b""  # until there is enough of it to tell the formats apart

    def feed(self, data: bytes) -> bytes:
        """What `data` brings. Raises BadResponse: it is not compressed, or inflates too far."""
        if self._head is not None:
            data = self._head + data
            self._head = data if len(data) < _HEAD_BYTES else None
            if self._head is not None:
                return b""
            self._stream = _stream_of(data)
        found: list[bytes] = []
        room = MAX_INFLATED_BYTES
        while data and room > 0:
            try:
                plain = self._stream.decompress(data, room)
            except zlib.error as error:
                raise BadResponse(provider_code="not_compressed") from error
            found.append(plain)
            room -= len(plain)
            data = self._stream.unconsumed_tail
            if self._stream.eof:  # a gzip file may be several, one behind the other
                data = self._stream.unused_data
                if not data.startswith(b"\x1f\x8b"):
                    break  # padding
                self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        if room <= 0:
            raise BadResponse(provider_code="inflates_too_far")
        return b"".join(found)


def _stream_of(head: bytes) -> "zlib._Decompress":
    """What reads a body that begins with `head`: `deflate` comes with and without its header."""
    try:
        zlib.decompressobj(_GZIP_OR_ZLIB).decompress(head[:_HEAD_BYTES])
    except zlib.error:
        return zlib.decompressobj(_RAW)
    return zlib.decompressobj(_GZIP_OR_ZLIB)
