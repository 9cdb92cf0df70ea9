"""When the things happened that an answer is timed by, noted as they happen.

The answer's stored timing, its line in the log, its metrics and its trace are made of these. Each
is noted at a turn of the answer and none for a token.
"""

import asyncio

from model.messages import Timing


class Timeline:
    """The moments of one answer, in seconds by the loop's clock; None until they come."""

    __slots__ = (
        "asked_at",
        "cancelled_at",
        "closed_at",
        "first_token_at",
        "reasoned_at",
        "reasoning_at",
        "sent_at",
    )

    def __init__(self) -> None:
        self.asked_at = _now()
        self.sent_at: float | None = None  # the question left for the provider
        self.first_token_at: float | None = None
        self.reasoning_at: float | None = None  # its first reasoning began
        self.reasoned_at: float | None = None  # ... and something else came behind it
        self.cancelled_at: float | None = None
        self.closed_at: float | None = None  # the upstream call is over

    def note_sent(self) -> None:
        """The question is leaving for the provider, for the first time or once more."""
        if self.sent_at is None:
            self.sent_at = _now()

    def note_block(self, *, is_reasoning: bool) -> None:
        """A block of the answer opens."""
        opened_at = _now()
        if self.first_token_at is None:
            self.first_token_at = opened_at
        if is_reasoning:
            if self.reasoning_at is None:
                self.reasoning_at = opened_at
        elif self.reasoning_at is not None and self.reasoned_at is None:
            self.reasoned_at = opened_at

    def note_cancelled(self) -> None:
        """The upstream call is told to stop."""
        self.cancelled_at = _now()

    def note_closed(self) -> None:
        """The upstream call is over: its connection is closed or given back."""
        self.closed_at = _now()

    def timing(self) -> Timing:
        """How long the answer took, if it ends now."""
        ended_at = _now()
        return Timing(
            first_token_ms=_milliseconds(self.asked_at, self.first_token_at),
            reasoning_ms=_milliseconds(self.reasoning_at, self.reasoned_at or ended_at),
            total_ms=int(1000 * (ended_at - self.asked_at)),
        )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _milliseconds(begin: float | None, end: float | None) -> int | None:
    """From one moment to another, if both came."""
    return None if begin is None or end is None else int(1000 * (end - begin))
