"""Configures the log: lines for people, or one JSON object a line for log collectors.

Lines of the server are events (`telemetry/log_event.py`), whose values become members of the
object. Lines of libraries, and lines without values, have a message only.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from telemetry.log_event import LogEvent

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def configure(format_: Format, level: Level) -> None:
    """Log everything to standard error, in the given format.

    `level` is that of the server's own lines. Libraries stay at INFO, since at DEBUG the database's
    driver logs what it stores, which is private.
    """
    # No line shows them, and each line would ask the system for the process.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format_ == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("headrace").setLevel(level.upper())


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the event's values."""

    def format(self, record: logging.LogRecord) -> str:
        event = record.msg if isinstance(record.msg, LogEvent) else LogEvent(record.getMessage())
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": event.message,
            **event.fields,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
