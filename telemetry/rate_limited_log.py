"""Lines of the log that could come any number of times, limited to a few a minute.

A stranger who is refused a thousand times a second must not fill a disk, and an outage that each
request meets is one outage. Both are told with how often they were met, so that nothing is hidden.
"""

import asyncio
import logging
import time

# Seconds between two lines of one kind: often enough to see that it goes on.
SAY_AGAIN_SECONDS = 60.0

# Kinds at a time. They are made of our own words, of which there are fewer; past it all the rest
# is one kind, which bounds the memory and the log whatever they are made of.
_MOST_KINDS = 200
_OTHER = "other"


class _RecentKind:
    """A kind that was told a moment ago."""

    __slots__ = ("example", "level", "timer", "untold")

    def __init__(self, level: int) -> None:
        self.level = level
        self.untold = 0
        self.example: object = "-"
        self.timer: asyncio.TimerHandle | None = None


class RateLimitedLog:
    """One line, at most once a minute for each kind of it, with the number of those not told.

    `words` have a place for each part of a kind, one for an example, and `untold=%d`. What was not
    told is counted in a line at the end of the minute, with its last example.
    """

    def __init__(self, log: logging.Logger, words: str) -> None:
        self._log = log
        self._words = words
        self._recent: dict[tuple[str, ...], _RecentKind] = {}

    def say(self, *kind: str, example: object, level: int = logging.INFO) -> None:
        """Say it, or count it."""
        if kind not in self._recent and len(self._recent) >= _MOST_KINDS:
            kind = (_OTHER,) * len(kind)
        recent = self._recent.get(kind)
        if recent is not None:
            recent.untold += 1
            recent.example = example
            return
        self._recent[kind] = recent = _RecentKind(level)
        self._log.log(level, self._words, *kind, example, 0)
        self._wait(kind, recent)

    def close(self) -> None:
        """Say what is untold, and nothing of what comes later but as if it were new."""
        for kind, recent in self._recent.items():
            if recent.timer is not None:
                recent.timer.cancel()
            self._tell_rest(kind, recent)
        self._recent.clear()

    def _wait(self, kind: tuple[str, ...], recent: _RecentKind) -> None:
        loop = asyncio.get_running_loop()
        recent.timer = loop.call_later(SAY_AGAIN_SECONDS, self._minute_is_over, kind)

    def _minute_is_over(self, kind: tuple[str, ...]) -> None:
        recent = self._recent[kind]
        if recent.untold == 0:
            del self._recent[kind]
            return
        self._tell_rest(kind, recent)
        self._wait(kind, recent)

    def _tell_rest(self, kind: tuple[str, ...], recent: _RecentKind) -> None:
        if recent.untold:
            self._log.log(recent.level, self._words, *kind, recent.example, recent.untold)
            recent.untold = 0


class OutageLog:
    """Something that fails and works again: told when it begins, for each reason, and when it ends.

    `fails` has places for words, if there are any, and `reason=%s`; `works` for `after_seconds=%d`
    and for how often it was met. What comes and goes by the second is told once a minute.
    """

    def __init__(self, log: logging.Logger, fails: str, works: str) -> None:
        self._log = log
        self._fails = fails
        self._works = works
        self._since: float | None = None  # by the clock that does not jump, as the next one
        self._logged_at = float("-inf")
        self._told: set[str] = set()  # reasons, of this outage
        self._times = 0

    @property
    def lasts(self) -> bool:
        """Whether it was met and is not over."""
        return self._since is not None

    def met(self, reason: str, *words: object) -> None:
        """It failed for this reason, a word of ours; `words` are fit for a log."""
        clock = time.monotonic()
        if self._since is None:
            self._since = clock
        self._times += 1
        if reason in self._told or len(self._told) >= _MOST_KINDS:
            return
        if not self._told and clock < self._logged_at + SAY_AGAIN_SECONDS:
            return  # the last one has hardly ended
        self._told.add(reason)
        self._logged_at = clock
        self._log.warning(self._fails, *words, reason)

    def over(self) -> None:
        """It works."""
        if self._since is None:
            return
        if self._told:
            self._log.info(self._works, time.monotonic() - self._since, self._times)
            self._times = 0
        self._told.clear()
        self._since = None
