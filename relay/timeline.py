"""The moments of an answer, noted as they happen, from which its times are computed.

The stored timing, the log line, the metrics and the trace use them. They are noted at turns of the
answer, never for a token.
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
        "reasoning_began_at",
        "reasoning_ended_at",
        "sent_at",
    )

    def __init__(self) -> None:
        self.asked_at = _now()
        self.sent_at: float | None = None  # the request was sent to the provider
        self.first_token_at: float | None = None
        self.reasoning_began_at: float | None = None  # its first reasoning began
        self.reasoning_ended_at: float | None = None  # something else followed its first reasoning
        self.cancelled_at: float | None = None
        self.closed_at: float | None = None  # the provider's call is over

    def note_sent(self) -> None:
        """The request is being sent to the provider, for the first time or again."""
        if self.sent_at is None:
            self.sent_at = _now()

    def note_block(self, *, is_reasoning: bool) -> None:
        """A block of the answer was opened."""
        opened_at = _now()
        if self.first_token_at is None:
            self.first_token_at = opened_at
        if is_reasoning:
            if self.reasoning_began_at is None:
                self.reasoning_began_at = opened_at
        elif self.reasoning_began_at is not None and self.reasoning_ended_at is None:
            self.reasoning_ended_at = opened_at

    def note_cancelled(self) -> None:
        """The provider's call is being cancelled."""
        self.cancelled_at = _now()

    def note_closed(self) -> None:
        """The provider's call is over: its connection is closed or returned to the pool."""
        self.closed_at = _now()

    def timing(self) -> Timing:
        """The answer's timing, if it ends now."""
        ended_at = _now()
        return Timing(
            first_token_ms=_milliseconds(self.asked_at, self.first_token_at),
            reasoning_ms=_milliseconds(
                self.reasoning_began_at, self.reasoning_ended_at or ended_at
            ),
            total_ms=int(1000 * (ended_at - self.asked_at)),
        )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _milliseconds(begin: float | None, end: float | None) -> int | None:
    """Milliseconds between two moments; None if one of them did not come."""
    return None if begin is None or end is None else int(1000 * (end - begin))
