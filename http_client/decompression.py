"""Decompresses bodies that are compressed although they were requested uncompressed.

Some gateways compress everything. A compressed body has no bound of its own: a few kilobytes can
become gigabytes. So what one read brings may expand to a fixed size and no further.
"""

import zlib
from typing import Final

from http_client.errors import InvalidResponse

# Of what one read of the socket brings: 16 KiB here. Event streams of tokens repeat themselves as
# little else does, and shrink to a hundredth or two: that makes 4 MB. A bomb's are a thousand.
MAX_DECOMPRESSED_BYTES: Final = 8 * 1024 * 1024

# Both formats, told apart by their first bytes.
_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS
_RAW: Final = -zlib.MAX_WBITS
_HEAD_BYTES: Final = 2

_READABLE: Final = ("gzip", "x-gzip", "deflate")
# The unsupported codings that the log may name: a server may put a key into any header.
_NAMES: Final = frozenset(
    (*_READABLE, "br", "zstd", "compress", "x-compress", "lz4", "snappy", "bzip2", "xz", "lzma")
)
_MOST_NAMED: Final = 3
# Values that some servers send and that mean no compression.
_PLAIN: Final = ("", "identity", "none", "utf-8", "utf8", "binary", "8bit")


def decompressor_for(coding: str) -> "Decompressor | None":
    """The decompressor for a `Content-Encoding`; None if it is plain. Raises InvalidResponse."""
    codings = [each for part in coding.split(",") if (each := part.strip().lower()) not in _PLAIN]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _READABLE:
        raise InvalidResponse(reason=f"content_encoding_{_named(codings)}")
    return Decompressor()


class Decompressor:
    """Feed compressed bytes, take plain ones. A cut may fall anywhere."""

    def __init__(self) -> None:
        self._head = b""  # until there is enough of it to tell the formats apart
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> bytes:
        """The decompressed bytes of `data`. Raises InvalidResponse if it is malformed or too
        large.
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
            if self._stream.eof:  # a gzip file may be several, one behind the other
                data = self._stream.unused_data
                if not data.startswith(b"\x1f\x8b"):
                    break  # padding
                self._stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        if room <= 0:
            raise InvalidResponse(reason="inflates_too_far")
        return b"".join(found)


def _named(codings: list[str]) -> str:
    """The names of the codings, as far as they are known."""
    return "+".join(each if each in _NAMES else "unknown" for each in codings[:_MOST_NAMED])


def _stream_of(head: bytes) -> "zlib._Decompress":
    """What reads a body that begins with `head`: `deflate` comes with and without its header."""
    try:
        zlib.decompressobj(_GZIP_OR_ZLIB).decompress(head[:_HEAD_BYTES])
    except zlib.error:
        return zlib.decompressobj(_RAW)
    return zlib.decompressobj(_GZIP_OR_ZLIB)
