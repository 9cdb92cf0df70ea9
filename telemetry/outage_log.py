"""Logs an outage in two lines, one at its start and one at its end, however often it is noticed."""

import logging
import time

from telemetry.log_event import LogEvent
from telemetry.rate_limited_log import MAX_KINDS, REPEAT_SECONDS


class OutageLog:
    """Writes a warning when an outage begins, one more for each further reason, and a line at its
    end.

    `failing` and `working` are the words of those lines. The first has the text of the error, if
    one is given, and `reason`; the second has `after_seconds`, and in `times` how often it failed.
    An outage that comes and goes every second is logged once a minute.
    """

    def __init__(
        self,
        log: logging.Logger,
        failing: str,
        working: str,
        *,
        reason: str = "reason",
        times: str = "times",
    ) -> None:
        self._log = log
        self._failing = failing
        self._working = working
        self._reason_name = reason
        self._times_name = times
        self._since: float | None = None  # by the monotonic clock, like the next one
        self._logged_at = float("-inf")
        self._reasons: set[str] = set()  # the reasons logged in this outage
        self._times = 0

    @property
    def is_ongoing(self) -> bool:
        """Whether there is an outage."""
        return self._since is not None

    def failed(self, reason: str, error: Exception | None = None) -> None:
        """Something failed for this reason; the text of `error` must be fit for the log."""
        clock = time.monotonic()
        if self._since is None:
            self._since = clock
        self._times += 1
        if reason in self._reasons or len(self._reasons) >= MAX_KINDS:
            return
        if not self._reasons and clock < self._logged_at + REPEAT_SECONDS:
            return  # the last outage ended less than a minute ago
        self._reasons.add(reason)
        self._logged_at = clock
        message = self._failing if error is None else f"{self._failing}: {error}"
        self._log.warning(LogEvent(message, **{self._reason_name: reason}))

    def succeeded(self) -> None:
        """Something worked, which ends the outage."""
        if self._since is None:
            return
        if self._reasons:
            after = int(time.monotonic() - self._since)
            event = LogEvent(self._working, after_seconds=after, **{self._times_name: self._times})
            self._log.info(event)
            self._times = 0
        self._reasons.clear()
        self._since = None
