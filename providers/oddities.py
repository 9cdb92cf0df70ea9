"""What a provider does that nobody expected, told in the log: once each, by a word.

Such things are read over, or read as what they must mean. Whoever runs the server should know of
them all the same, and never by what was said: a word is ours, or a provider's own if it is fit for
a log line.
"""

import logging
import re
from typing import Final

from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.providers")

# Of one provider, in the life of a process. More say nothing new, and a provider that makes up
# words must not fill the log.
_MOST: Final = 50

_WORD: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Oddities:
    """Those of one provider."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._told: set[tuple[str, str | None]] = set()

    def note(self, what: str, word: str | None = None) -> None:
        """Tell of `what`, one of our words, and the provider's `word` for it, if there is one."""
        if word is not None and not _WORD.fullmatch(word):
            word = "?"
        if (what, word) in self._told or len(self._told) >= _MOST:
            return
        self._told.add((what, word))
        if word is None:
            log.info(LogEvent(f"odd stream {what}", provider=self._provider))
        else:
            log.info(LogEvent("odd stream", provider=self._provider, **{what: word}))
