"""Decodes JSON leniently, as providers really send it, where strict decoding has failed.

Every event is decoded strictly by msgspec into the few fields that a dialect needs. Where that
fails, `read` decodes the bytes a second time, leniently:

- models emit half an emoji per event as `\\ud83d` and later `\\ude00`, which JSON allows and
  msgspec rejects, and proxies cut UTF-8 characters in two;
- one event contains several values, or a list of them;
- a field has another type than it should, such as a number for a string or an object for a list
  of one. Each field is converted to its type, and left out if it cannot be; the others stay.
"""

import json
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from providers.errors import BadResponse
from providers.sse import Event, EventParser

T = TypeVar("T", bound=msgspec.Struct)

# Where an object or a list of JSON begins: not in `[heartbeat]` or `{ping}`.
_VALUE: Final = re.compile(r'\[\s*[\[{"\]]|\{\s*["}]')

# Levels of nesting. Contents nest one or two deep; what is deeper is no content.
MAX_DEPTH: Final = 8

# Values in one event. A gateway that collects a whole answer in one list has some ten thousand.
_MAX_VALUES: Final = 100_000

# Digits. Python converts no more by default, and no field that is read has a longer number.
_MAX_DIGITS: Final = 4000

Content = str | list[Any] | dict[str, Any] | None  # of a message: a string, or parts of any type


class _Float(float):
    """A number with its spelling in JSON, which must not change if it is used as text."""

    def __new__(cls, written: str) -> "_Float":
        number = super().__new__(cls, written)
        number.written = written
        return number

    written: str


def _whole_number(written: str) -> int | float:
    return int(written) if len(written) < _MAX_DIGITS else _Float(written)


# Not strict, so that an unescaped line end or tab in a string is accepted.
_DECODER: Final = json.JSONDecoder(parse_float=_Float, parse_int=_whole_number, strict=False)


def read(data: bytes, kind: type[T]) -> list[T]:
    """Decode the objects in `data` as `kind`, leniently; the list is empty if there is no JSON
    in it.

    Halves of surrogate pairs are kept in the strings: see `join_surrogates`. Raises BadResponse for
    malformed JSON, since it may have contained a token, and for an object of which no field can be
    used.
    """
    return [convert_leniently(value, kind) for value in values(data)]


def values(data: bytes) -> list[Any]:
    """Return the objects in `data`, which may follow each other or be in lists.

    Anything between them is skipped. Raises BadResponse for malformed JSON.
    """
    text = data.decode("utf-8", "replace")
    found: list[Any] = []
    place = 0
    try:
        if text.lstrip().startswith('"'):  # JSON within a JSON string
            text = str(_DECODER.decode(text))
        while (begin := _VALUE.search(text, place)) is not None:
            value, place = _DECODER.raw_decode(text, begin.start())
            found += _objects(value)
            if len(found) > _MAX_VALUES:
                raise BadResponse(reason="too_many_values")
    except (ValueError, RecursionError) as error:
        raise BadResponse(reason="undecodable") from error
    return found


def _objects(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the objects in a value, which may be a list of them."""
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list) and depth < MAX_DEPTH:
        for each in value:
            yield from _objects(each, depth + 1)


def convert_leniently(value: dict[str, Any], kind: type[T]) -> T:
    """Convert an object to `kind`, each field to its type.

    Raises BadResponse if needed fields are present and none of them can be converted.
    """
    read_any = dropped_any = False
    fields: dict[str, Any] = {}
    for written, (name, convert) in _converters(kind).items():
        given = value.get(written)
        if given is None:
            continue
        meant = convert(given)
        if meant is None:
            dropped_any = True
        else:
            read_any = True
            fields[name] = meant
    if dropped_any and not read_any:
        raise BadResponse(reason="unreadable")
    return kind(**fields)


@cache
def _converters(kind: type[msgspec.Struct]) -> Mapping[str, tuple[str, Callable[[Any], Any]]]:
    """Return, for each field as JSON spells it, its name and a converter for its annotation."""
    hints = typing.get_type_hints(kind)
    names = zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True)
    return {written: (name, _converter(hints[name])) for written, name in names}


def _converter(hint: Any) -> Callable[[Any], Any]:
    if hint is Any or hint == Content:
        return _as_it_is
    inner, *others = (each for each in typing.get_args(hint) if each is not types.NoneType)
    if others:  # a code, which is a word or a number
        return _text
    if inner in _PLAIN:
        return _PLAIN[inner]
    if typing.get_origin(inner) is list:
        (of,) = typing.get_args(inner)
        return lambda value: _list_of(value, of)
    return lambda value: object_of(value, inner)


def _as_it_is(value: Any) -> Any:
    return value


def _text(value: Any) -> str | None:
    """Return a string, a number as its text, or the only element of a list likewise; None for
    anything else.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    return None if isinstance(value, bool) else written_number(value)


def written_number(value: Any) -> str | None:
    """Return a number or boolean as it was spelled in JSON; None for anything else."""
    match value:
        case bool():
            return "true" if value else "false"
        case _Float():
            return value.written
        case int() | float():
            return str(value)
        case _:
            return None


def _number(value: Any) -> int | None:
    """Return a whole number, also from a string or from the only element of a list; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    real = _real(value)
    return None if real is None or not math.isfinite(real) else int(real)


def _real(value: Any) -> float | None:
    """Return a number, whole or not, on the same terms as `_number`."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _truth(value: Any) -> bool | None:
    """Return a boolean, also from 0, 1 or its word; else None."""
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())


_PLAIN: Final[Mapping[Any, Callable[[Any], Any]]] = {
    str: _text,
    int: _number,
    float: _real,
    bool: _truth,
}


def object_of(value: Any, kind: type[T]) -> T | None:
    """Convert a value to an object of a type: an object, the first one in a list, or a string of
    JSON.

    Returns None if it is none of these, or no field can be used.
    """
    if isinstance(value, list):
        value = next((each for each in value if isinstance(each, dict)), None)
    elif isinstance(value, str):
        words, value = value, json_object(value)
        if value is None and "content" in kind.__struct_fields__:  # a delta that is just its text
            value = {"content": words}
    if not isinstance(value, dict):
        return None
    try:
        return convert_leniently(value, kind)
    except BadResponse:
        return None


def _list_of(value: Any, kind: type[T]) -> list[T] | None:
    """Return a list of objects, leaving out other elements; a single object becomes a list of
    one.
    """
    if isinstance(value, str) and (value := json_object(value)) is None:
        return None
    listed = value if isinstance(value, list) else [value]
    found = [read for each in listed if (read := object_of(each, kind)) is not None]
    return found or ([] if value == [] or all(each is None for each in listed) else None)


def json_object(text: str) -> Any:
    """Return the object or list that `text` encodes; None if it is anything else."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def json_in(body: bytes) -> bytes:
    """Return the JSON of an error body. Some servers frame it as an event, whatever the status."""
    if body.lstrip()[:1] in (b"{", b"["):
        return body
    found = EventParser(max_event_bytes=len(body) + 2).feed(body + b"\n\n")
    return b"\n".join(event.data for event in found if type(event) is Event) or body
