"""Requests that are refused before a handler sees them, as the log has them: why, and who sent it.

Scanners make thousands of them, so there is a line a minute for each reason.
"""

import logging

from telemetry.log_event import LogEvent
from telemetry.rate_limited_log import RateLimitedLog

log = logging.getLogger("headrace.http")


class UnreadRequestLog:
    """Those of this process."""

    def __init__(self) -> None:
        self._log = RateLimitedLog(log, example="from")

    def write(self, reason: str, sender: str | None = None, level: int = logging.INFO) -> None:
        """A request was not read for `reason`, a word of ours; a UNIX socket has no `sender`."""
        self._log.log(LogEvent("request not read", reason=reason, **{"from": sender}), level)

    def close(self) -> None:
        """Write what the minute has left out."""
        self._log.close()
