"""The quirks of a provider, in the log: once each, by a word.

A quirk is what the standard does not have, and is skipped or read as what it must mean. Whoever
runs the server should know of it all the same, and never by the text of an answer: a word is ours,
or a provider's own if it is fit for a log line.
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


class QuirkLog:
    """The quirks of one provider."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._logged: set[tuple[str, str | None]] = set()

    def note(self, what: str, word: str | None = None) -> None:
        """Log `what`, one of our words, and the provider's `word` for it, if there is one."""
        if word is not None and not _WORD.fullmatch(word):
            word = "?"
        if (what, word) in self._logged or len(self._logged) >= _MOST:
            return
        self._logged.add((what, word))
        if word is None:
            log.info(LogEvent(f"odd stream {what}", provider=self._provider))
        else:
            log.info(LogEvent("odd stream", provider=self._provider, **{what: word}))
