"""Decompresses bodies that are compressed although they were requested uncompressed.

Some gateways compress everything. A few kilobytes of compressed bytes can become gigabytes, so the
bytes of one read may expand to a fixed size and no further.
"""

import zlib
from typing import Final

from http_client.errors import InvalidResponse

# Decompressed bytes of one read of the socket, which has at most 16 KiB. Event streams of tokens
# are repetitive enough to expand a hundred or two hundred times: to 4 MB at most. A decompression
# bomb expands a thousand times.
MAX_DECOMPRESSED_BYTES: Final = 8 * 1024 * 1024

# zlib's setting for both formats, which it distinguishes by their first bytes.
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_HEAD_BYTES: Final = 2

_READABLE: Final = ("gzip", "x-gzip", "deflate")
# The unsupported codings that the log may name. Others are not logged: a server may put a key into
# any header.
_NAMES: Final = frozenset(
    (*_READABLE, "br", "zstd", "compress", "x-compress", "lz4", "snappy", "bzip2", "xz", "lzma")
)
_MOST_NAMED: Final = 3
# Values that some servers send although the body is not compressed.
_PLAIN: Final = ("", "identity", "none", "utf-8", "utf8", "binary", "8bit")


def decompressor_for(coding: str) -> "Decompressor | None":
    """Return the decompressor for a `Content-Encoding`; None if the body is not compressed.

    Raises InvalidResponse for a coding that is not supported.
    """
    codings = [each for part in coding.split(",") if (each := part.strip().lower()) not in _PLAIN]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _READABLE:
        raise InvalidResponse(reason=f"content_encoding_{_named(codings)}")
    return Decompressor()


class Decompressor:
    """Takes compressed bytes, cut anywhere, and returns plain ones."""

    def __init__(self) -> None:
        self._head = b""  # until there are enough bytes to tell the formats apart
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> bytes:
        """Return the decompressed bytes of `data`.

        Raises InvalidResponse if they are malformed or too many.
        """
        if self._stream is None:
            data = self._head + data
            if len(data) < _HEAD_BYTES:
                self._head = data
                return b""
            self._stream = _stream_of(data)
        found: list[bytes] = []
        room = MAX_DECOMPRESSED_BYTES
        while data and room > 0:
            try:
                plain = self._stream.decompress(data, room)
            except zlib.error as error:
                raise InvalidResponse(reason="not_compressed") from error
            found.append(plain)
            room -= len(plain)
            data = self._stream.unconsumed_tail
            if self._stream.eof:  # a gzip body may consist of several members in a row
                data = self._stream.unused_data
                if not data.startswith(b"\x1f\x8b"):
                    break  # padding
                self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        if room <= 0:
            raise InvalidResponse(reason="inflates_too_far")
        return b"".join(found)


def _named(codings: list[str]) -> str:
    """Return the names of the codings for the log, leaving out those that are not known."""
    return "+".join(each if each in _NAMES else "unknown" for each in codings[:_MOST_NAMED])


def _stream_of(head: bytes) -> "zlib._Decompress":
    """Return the zlib stream for a body that begins with `head`: `deflate` comes with or without
    a header.
    """
    try:
        zlib.decompressobj(_GZIP_OR_ZLIB).decompress(head[:_HEAD_BYTES])
    except zlib.error:
        return zlib.decompressobj(_RAW)
    return zlib.decompressobj(_GZIP_OR_ZLIB)
