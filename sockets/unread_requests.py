"""Logs requests that are refused before a handler gets them: why, and from where.

Scanners send thousands of them, so there is a line a minute for each reason.
"""

import logging

from telemetry.log_event import LogEvent
from telemetry.rate_limited_log import RateLimitedLog

log = logging.getLogger("headrace.http")


class UnreadRequestLog:
    """The log of this process' unread requests."""

    def __init__(self) -> None:
        self._log = RateLimitedLog(log, example="from")

    def write(self, reason: str, sender: str | None = None, level: int = logging.INFO) -> None:
        """Log that a request was refused for `reason`; clients at a UNIX socket have no
        `sender`.
        """
        self._log.log(LogEvent("request not read", reason=reason, **{"from": sender}), level)

    def close(self) -> None:
        """Log what was left out."""
        self._log.close()
