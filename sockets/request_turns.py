"""Lets a burst of requests begin a few at a time, with turns of the event loop in between.

What is readable at the same time is read in one turn of the loop. Of 500 requests that would be a
tenth of a second or more, at every step that they take together, and open streams would wait for
each. Those that began in different turns stay apart.
"""

import asyncio
from collections import deque

# Requests that begin in one turn. A question takes half a millisecond at its longest step.
_MOST = 16


class RequestTurns:
    """Counts the requests that begin in this turn; the others wait, the first come first."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun = 0  # in this turn
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def begin(self) -> None:
        """Return when a request may begin: at once, unless others come with it."""
        if self._begun < _MOST and not self._waiting:
            self._count()
            return
        turn = self._loop.create_future()
        self._waiting.append(turn)
        await turn

    def _count(self) -> None:
        if not self._begun:
            self._loop.call_soon(self._next_turn)
        self._begun += 1

    def _next_turn(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < _MOST:
            turn = self._waiting.popleft()
            if not turn.done():  # the connection was closed meanwhile
                self._count()
                turn.set_result(None)
