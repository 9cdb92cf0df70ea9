"""The log: lines for people, or one JSON object a line for whatever collects them.

Everywhere in the server a log line has fixed words and separate values: `log.info("answer ended
status=%s total_ms=%d", …)`. So the JSON needs no second way to log: the named values become members
of their own, and the words that are left are the message.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Literal

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"

# Where a value goes in a line's words: `name=%s`, or `%s` alone. `%%` is a percent sign.
_PLACE = re.compile(r"(?P<name>\b[a-z_]+=)?(?P<spec>%(?:%|[-+ #0]*\d*(?:\.\d+)?[a-zA-Z]))")

# Of our loggers' own: no line may have a value of that name.
_RESERVED = frozenset({"time", "level", "logger", "message", "exception"})


def configure(format_: Format, level: Level) -> None:
    """Have everything logged to standard error, as `format_`.

    `level` is for our own lines. Libraries stay at INFO whatever it says: at DEBUG the database's
    driver logs what it stores, which is what people wrote.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format_ == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("headrace").setLevel(level.upper())


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the line's named values."""

    def format(self, record: logging.LogRecord) -> str:
        message, values = _parted(record)
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            **values,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _parted(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """A line's words, with the values that have no name in them, and its named values."""
    given = record.args
    words = str(record.msg)
    if not isinstance(given, tuple) or not given:
        return record.getMessage(), {}
    places = [match for match in _PLACE.finditer(words) if match["spec"] != "%%"]
    if len(places) != len(given):  # somebody else's way of writing: leave it whole
        return record.getMessage(), {}
    values: dict[str, object] = {}
    unnamed: list[object] = []
    left, done = "", 0
    for place, value in zip(places, given, strict=True):
        name = (place["name"] or "").removesuffix("=")
        if name and name not in _RESERVED:
            left += words[done : place.start()]
            done = place.end()
            values[name] = _plain(place["spec"], value)
        else:
            unnamed.append(value)
    left += words[done:]
    return " ".join((left % tuple(unnamed)).split()), values


def _plain(spec: str, value: object) -> object:
    """A value as JSON has it: `-`, which stands for nothing in a line of text, is null."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return int(value) if spec.endswith("d") else value
    text = str(value)
    return None if text == "-" else text
