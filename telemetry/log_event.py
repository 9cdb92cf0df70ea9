"""A log line as a value: fixed words and named values.

    log.info(LogEvent("answer ended", status=answer.status, chars=answer.position))

`logging` takes any object as a message and asks it for its text; `telemetry/logs.py` takes its
values for JSON. So a line is written once, and nothing parses it. Structlog does this and more, but
would have to be the logger of every room.

Lines without values are plain strings. Every room may import this module: it imports none.
"""

LogValue = str | int | float | None


class LogEvent:
    """What happened, in words that never change, and the values of this occurrence.

    As text it is `answer ended status=complete chars=12`; None is written `-`. No value may be
    called `time`, `level`, `logger`, `message` or `exception`: every JSON line has those.
    """

    __slots__ = ("fields", "message")

    def __init__(self, message: str, /, **fields: LogValue) -> None:
        self.message = message
        self.fields = fields

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LogEvent):
            return NotImplemented
        return self.message == other.message and self.fields == other.fields

    def __hash__(self) -> int:
        return hash((self.message, *self.fields.items()))

    def __str__(self) -> str:
        named = [f"{name}={'-' if value is None else value}" for name, value in self.fields.items()]
        return " ".join([self.message, *named])

    def __repr__(self) -> str:
        return f"<LogEvent {self}>"
