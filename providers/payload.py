"""What the dialects share in making sense of bytes: JSON decoded as it really comes.

Every event is decoded strictly by msgspec into the few fields a dialect needs. Where that fails,
the bytes get a second, patient reading: models emit half an emoji per event as `\\ud83d` and later
`\\ude00`, which JSON allows and msgspec rejects, and proxies cut UTF-8 characters in two.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec

from providers.dialect import ToolCall
from providers.errors import BadResponse
from providers.sse import Event, EventParser

T = TypeVar("T")

_HALVES: Final = re.compile("[\ud800-\udfff]")


class Part(msgspec.Struct, gc=False):
    """One part of a content that is a list, as multimodal models send it."""

    text: str | None = None


class CallFunction(msgspec.Struct, gc=False):
    """What a piece of a tool call calls."""

    name: str | None = None
    arguments: Any = None  # a string of JSON; some servers send the object itself


class CallPiece(msgspec.Struct, gc=False):
    """A piece of a tool call, in the shape that OpenAI gave it and others took over."""

    index: int | None = None
    id: str | None = None
    function: CallFunction | None = None


def decode(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """`data` as the decoder's type. Raises BadResponse for what is not JSON or not of this shape.

    Surrogate halves survive in the strings of the result: see `mend`.
    """
    try:
        return decoder.decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        value = json.loads(data.decode("utf-8", "replace"))
        return msgspec.convert(value, decoder.type)
    except (ValueError, RecursionError) as error:
        raise BadResponse(provider_code="undecodable") from error


def json_in(body: bytes) -> bytes:
    """The JSON of an error body. Some servers frame it as an event, whatever the status."""
    if body.lstrip()[:1] in (b"{", b"["):
        return body
    for event in EventParser(max_event_bytes=len(body) + 2).feed(body + b"\n\n"):
        if type(event) is Event and event.data.strip():
            return event.data
    return body


def plain(content: str | list[Part] | None) -> str:
    """The text of a content, whichever way it is given."""
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def tool_calls(pieces: list[CallPiece]) -> Iterator[ToolCall]:
    """The deltas of `pieces`; one without an index goes by its place in the list."""
    for place, piece in enumerate(pieces):
        function = piece.function or CallFunction()
        yield ToolCall(
            place if piece.index is None else piece.index,
            piece.id or "",
            function.name or "",
            _as_text(function.arguments),
        )


def _as_text(arguments: Any) -> str:
    """A call's arguments as the string of JSON that they mostly come as."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    try:
        return msgspec.json.encode(arguments).decode()
    except UnicodeEncodeError:  # half a character in them, which stands as its escape
        return json.dumps(arguments)


def common_prefix(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # by halves: comparing slices is far cheaper than a loop over characters
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def is_torn(text: str) -> bool:
    """Whether surrogate halves are in `text`, which cannot be written as UTF-8 then."""
    return not text.isascii() and _HALVES.search(text) is not None


def mend(text: str) -> tuple[str, str]:
    """`text` with its surrogate halves joined, and the half it may end in.

    That half belongs before the text that follows. One without its other half becomes U+FFFD.
    """
    half = ""
    if "\ud800" <= text[-1:] <= "\udbff":
        text, half = text[:-1], text[-1]
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), half
