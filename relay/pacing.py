"""Holds tokens for some milliseconds while the process is busy, so that they are written together.

A token that is written alone costs more than one that is written right after that of another
answer, and much more than one that shares an event with the next token of its own answer. As long
as the process has time, tokens are written as they arrive. When it has less, growth is held for a
*window*, which is the longer, the busier the process is, and all that was held is written at its
end. Without that it would wait as well, in the kernel's buffers.

Never held are the first token of an answer and of each of its blocks, and ends and errors
(`Answer.end`). Nothing is held while there are only a few answers, however fast they are.
"""

import asyncio
import time
from collections.abc import Callable, Sized
from itertools import islice

from relay.answer import Answer
from telemetry.busy_time import busy_seconds

# Seconds between two measurements, so that a burst is forgotten after this time.
_MEASURED_SECONDS = 0.05

# The busy share at which the window opens, and the one at which it is as long as it may be. Below
# one half a token is hardly ever late; a loop that is always busy delays everything.
_OPENS_AT, _FULL_AT = 0.5, 0.9

# Live answers, below which nothing is held: few answers save little by it, and whoever is alone at
# a busy process receives each token at once.
_MIN_ANSWERS = 16

# Seconds. A shorter window costs more than it saves.
_SHORTEST = 0.002

# Answers that are delivered in one call, which take some 0.3 ms. The others are delivered in the
# loop's next turns, so that a new question does not wait for all of them.
_AT_ONCE = 32


class Pacer:
    """Delivers the growth of live answers: at once, or at the end of the current window.

    max_seconds: the longest window; 0 for none ever.
    live: the live answers of this process.
    clock, busy_clock: seconds of time, and those for which the event loop was busy.
    """

    def __init__(
        self,
        max_seconds: float,
        live: Sized,
        *,
        clock: Callable[[], float] = time.monotonic,
        busy_clock: Callable[[], float] = busy_seconds,
    ) -> None:
        self._max_seconds = max_seconds
        self._live = live
        self._clock = clock
        self._busy_clock = busy_clock
        self._window = 0.0
        self._measured_at, self._busy = clock(), busy_clock()
        self._held: dict[Answer, None] = {}  # in this order

    @property
    def window(self) -> float:
        """The current window in seconds; 0 if tokens are written as they arrive."""
        now = self._clock()
        if now - self._measured_at >= _MEASURED_SECONDS:
            self._measure(now)
        return self._window

    def deliver(self, answer: Answer) -> None:
        """Hand what the answer has grown by to its readers, within the window."""
        window = self.window
        if not window or answer.has_new_block:
            answer.deliver()
            return
        if not self._held:
            asyncio.get_running_loop().call_later(window, self._release)
        self._held[answer] = None

    def _release(self) -> None:
        due = tuple(islice(self._held, _AT_ONCE))
        for answer in due:
            del self._held[answer]
        if self._held:
            asyncio.get_running_loop().call_soon(self._release)
        for answer in due:
            answer.deliver()

    def _measure(self, now: float) -> None:
        busy = self._busy_clock()
        share = (busy - self._busy) / (now - self._measured_at)
        self._measured_at, self._busy = now, busy
        fullness = min(1.0, (share - _OPENS_AT) / (_FULL_AT - _OPENS_AT))
        window = fullness * self._max_seconds
        is_open = window >= _SHORTEST and len(self._live) >= _MIN_ANSWERS
        self._window = window if is_open else 0.0
