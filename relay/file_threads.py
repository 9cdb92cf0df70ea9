"""Threads for work on large contents: decoding a body of megabytes, base64 in both directions.

Such work takes up to a tenth of a second, in which the event loop would serve nobody. Python runs
one thread at a time, so base64 is worked on in slices, between which other threads can go on.
"""

import asyncio
import binascii
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, TypeVarTuple
from urllib.parse import unquote_to_bytes

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

# How many pieces of work at a time, each of which holds a copy of the content. More threads would
# wait for the same interpreter.
_THREADS = 2

# Characters of base64 in a slice, which take a third of a millisecond; bytes of three quarters of
# that. Both are whole groups, of four characters and three bytes.
_CHARS = 65_536
_BYTES = 49_152

# From the alphabet of base64 in addresses to the other one.
_STANDARD = bytes.maketrans(b"-_", b"+/")


class FileThreads:
    """A few threads for work on large contents; further work waits for a free one."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")

    async def run(self, work: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
        """Do `work` in a thread. What has begun goes on if the caller is cancelled."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)

    def close(self) -> None:
        """Drop the work that waits for a thread."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def standard_base64(text: str) -> str:
    """Base64 as all providers take it: in one line, with `+`, `/` and its padding.

    Many encoders break lines (Android's, Python's `encodebytes`), write `-` and `_`, or leave the
    padding out: what they mean is beyond doubt. A space is not, since some were a `+` in a form.

    Raises ValueError for characters of no encoder.
    """
    text = text.strip()
    if any(character in text for character in "\r\n-_%"):
        if "%" in text:  # addresses may have any character in percent-encoding
            text = decode_percent(text).decode("ascii")
        pieces = (text[start : start + _CHARS] for start in range(0, len(text), _CHARS))
        text = b"".join(_in_turn(_standard, piece) for piece in pieces).decode("ascii")
    if len(text) % 4:
        text = text.rstrip("=")
        text += "=" * (-len(text) % 4)
    return text


def _standard(piece: str) -> bytes:
    return piece.encode("ascii").translate(_STANDARD, b"\r\n")


def decode_base64(text: str) -> bytes:
    """The bytes in base64 with its padding and without white space. Raises ValueError."""
    end = text.find("=")
    if end >= 0 and end < len(text) - 2:
        raise ValueError("characters after the padding")
    return b"".join(
        _in_turn(binascii.a2b_base64, text[start : start + _CHARS], strict_mode=True)
        for start in range(0, len(text), _CHARS)
    )


def decode_percent(text: str) -> bytes:
    """The bytes in percent-encoding. Decoding makes an object of each escape, so slices also keep
    megabytes of them from being hundreds of megabytes.
    """
    pieces, start = [], 0
    while start < len(text):
        end = start + _CHARS
        escape = text.rfind("%", end - 2, end)
        if escape >= 0:  # it may go on in the next slice
            end = escape
        pieces.append(_in_turn(unquote_to_bytes, text[start:end]))
        start = end
    return b"".join(pieces)


def encode_base64(data: bytes) -> str:
    """The bytes in base64."""
    view = memoryview(data)
    return b"".join(
        _in_turn(binascii.b2a_base64, view[start : start + _BYTES], newline=False)
        for start in range(0, len(data), _BYTES)
    ).decode("ascii")


def _in_turn(work: Callable[..., bytes], piece: Any, **options: Any) -> bytes:
    """Let other threads go on, then do `work`."""
    time.sleep(0)
    return work(piece, **options)
