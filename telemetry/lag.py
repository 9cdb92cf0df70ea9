"""How late the event loop is: the one number that says a process has more to do than it can."""

import asyncio
from collections.abc import Callable

# Seconds between two looks. A stall that falls between them is seen by the next: it is late by what
# was left of the stall. Each look costs 20 µs.
_EVERY = 0.25


async def watch_lag(tell: Callable[[float], None]) -> None:
    """Tell by how many seconds the loop was late for a timer, again and again until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _EVERY
        await asyncio.sleep(_EVERY)
        tell(max(loop.time() - due, 0.0))
