"""JSON within texts: the arguments that models write, and the results that tools return."""

from typing import Any

import msgspec

# Deeper than what any tool takes. A value is encoded again as a part of something else, where less
# of Python's stack may be left than here, and that has room for some 900 levels.
_MAX_DEPTH = 256


def embedded_json(text: str) -> Any:
    """Return the value that `text` is the JSON of; it can be encoded again.

    Raises ValueError if it is no JSON, or too deep, or has numbers beyond all bounds.
    """
    try:
        value = msgspec.json.decode(text)
    except RecursionError as error:
        raise ValueError(_too_deep(_MAX_DEPTH)) from error
    check_depth(value, _MAX_DEPTH)
    return value


def check_depth(value: object, most: int) -> None:
    """Raise ValueError if objects and lists are more than `most` deep within each other."""
    level = [value]
    for _ in range(most + 1):
        level = [each for each in level if isinstance(each, dict | list)]
        if not level:
            return
        level = [inner for outer in level for inner in values_within(outer)]
    raise ValueError(_too_deep(most))


def values_within(value: object) -> list[Any]:
    """The values of an object, or the items of a list."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _too_deep(most: int) -> str:
    return f"Objects and lists are more than {most} deep"
