"""Log lines about something that fails and works again: one outage is two lines, not thousands."""

import logging
import time

from telemetry.log_event import LogEvent
from telemetry.rate_limited_log import MAX_KINDS, REPEAT_SECONDS


class OutageLog:
    """Writes a warning when an outage begins, one more for each further reason, a line at its end.

    `failing` and `working` are the words of those lines. The first has the error behind it, if one
    is given, and the reason as `reason`; the second `after_seconds` and how often it failed, as
    `times`. What comes and goes by the second is written once a minute.
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
        self._since: float | None = None  # by the clock that does not jump, as the next one
        self._logged_at = float("-inf")
        self._reasons: set[str] = set()  # those logged in this outage
        self._times = 0

    @property
    def is_ongoing(self) -> bool:
        """Whether it failed the last time."""
        return self._since is not None

    def failed(self, reason: str, error: Exception | None = None) -> None:
        """It failed for this reason, a word of ours; the text of `error` is fit for a log."""
        clock = time.monotonic()
        if self._since is None:
            self._since = clock
        self._times += 1
        if reason in self._reasons or len(self._reasons) >= MAX_KINDS:
            return
        if not self._reasons and clock < self._logged_at + REPEAT_SECONDS:
            return  # the last one has hardly ended
        self._reasons.add(reason)
        self._logged_at = clock
        message = self._failing if error is None else f"{self._failing}: {error}"
        self._log.warning(LogEvent(message, **{self._reason_name: reason}))

    def succeeded(self) -> None:
        """It works."""
        if self._since is None:
            return
        if self._reasons:
            after = int(time.monotonic() - self._since)
            event = LogEvent(self._working, after_seconds=after, **{self._times_name: self._times})
            self._log.info(event)
            self._times = 0
        self._reasons.clear()
        self._since = None
