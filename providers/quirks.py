"""Logs the quirks of a provider, each once, by a word.

A quirk is a deviation from the standard that is skipped, or read by its likely meaning. Operators
should know of it, but the log must not quote an answer: a word is this server's, or the provider's
if it has the form of a word.
"""

import logging
import re
from typing import Final

from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.providers")

# Quirks that a process logs per provider. More would say nothing new, and a provider that makes up
# words must not fill the log.
_MOST: Final = 50

_WORD: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class QuirkLog:
    """The quirks of one provider that have been logged."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._logged: set[tuple[str, str | None]] = set()

    def note(self, what: str, word: str | None = None) -> None:
        """Log `what`, a word of this server, and the provider's own `word` if there is one."""
        if word is not None and not _WORD.fullmatch(word):
            word = "?"
        if (what, word) in self._logged or len(self._logged) >= _MOST:
            return
        self._logged.add((what, word))
        if word is None:
            log.info(LogEvent(f"odd stream {what}", provider=self._provider))
        else:
            log.info(LogEvent("odd stream", provider=self._provider, **{what: word}))
