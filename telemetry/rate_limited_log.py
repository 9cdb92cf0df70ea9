"""Log lines that strangers can cause at any rate, limited to one a minute for each kind.

Thousands of refusals a second must not fill a disk. A line has the number of those that were left
out, so that nothing is hidden.
"""

import asyncio
import logging

from telemetry.log_event import LogEvent, LogValue

# Seconds between two lines of one kind: often enough to see that it continues.
REPEAT_SECONDS = 60.0

# The largest number of kinds at a time. There are fewer of them in the code; beyond it all others
# count as one kind, which bounds memory and log in any case.
MAX_KINDS = 200
_OTHER = "other"

_Kind = tuple[LogValue, ...]
_REST: _Kind = (_OTHER,)


class _RecentKind:
    """A kind of line that was written within the last minute."""

    __slots__ = ("event", "left_out", "level", "timer")

    def __init__(self, event: LogEvent, level: int) -> None:
        self.event = event
        self.level = level
        self.left_out = 0
        self.timer: asyncio.TimerHandle | None = None


class RateLimitedLog:
    """Writes at most one line a minute of each kind, with `suppressed`, the number left out.

    Events are of one kind if they differ in `example` only, such as a request's id. Those left out
    are counted in a line at the end of the minute, with the last example.
    """

    def __init__(self, log: logging.Logger, *, example: str) -> None:
        self._log = log
        self._example = example
        self._recent: dict[_Kind, _RecentKind] = {}

    def log(self, event: LogEvent, level: int = logging.INFO) -> None:
        """Write `event`, or count it as left out."""
        kind = self._kind(event)
        if kind not in self._recent and len(self._recent) >= MAX_KINDS:
            kind, event = _REST, self._of_the_rest(event)
        recent = self._recent.get(kind)
        if recent is not None:
            recent.left_out += 1
            recent.event = event
            return
        self._recent[kind] = recent = _RecentKind(event, level)
        self._write(recent)
        self._wait(kind, recent)

    def close(self) -> None:
        """Write the counts of what was left out, and reset them."""
        for recent in self._recent.values():
            if recent.timer is not None:
                recent.timer.cancel()
            if recent.left_out:
                self._write(recent)
        self._recent.clear()

    def _kind(self, event: LogEvent) -> _Kind:
        fields = event.fields.items()
        return (event.message, *[value for name, value in fields if name != self._example])

    def _of_the_rest(self, event: LogEvent) -> LogEvent:
        fields = event.fields.items()
        return LogEvent(
            event.message,
            **{name: value if name == self._example else _OTHER for name, value in fields},
        )

    def _wait(self, kind: _Kind, recent: _RecentKind) -> None:
        loop = asyncio.get_running_loop()
        recent.timer = loop.call_later(REPEAT_SECONDS, self._minute_is_over, kind)

    def _minute_is_over(self, kind: _Kind) -> None:
        recent = self._recent[kind]
        if recent.left_out == 0:
            del self._recent[kind]
            return
        self._write(recent)
        self._wait(kind, recent)

    def _write(self, recent: _RecentKind) -> None:
        event = recent.event
        self._log.log(
            recent.level, LogEvent(event.message, **event.fields, suppressed=recent.left_out)
        )
        recent.left_out = 0
