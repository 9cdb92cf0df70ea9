"""Measures how late the event loop is, which shows whether the process is overloaded."""

import asyncio
from collections.abc import Callable

# Seconds between two measurements, 20 µs each. A stall between them shows in the next one, less the
# part before that was due.
_EVERY = 0.25


async def watch_lag(report: Callable[[float], None]) -> None:
    """Report by how many seconds the loop was late for a timer, repeatedly, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _EVERY
        await asyncio.sleep(_EVERY)
        report(max(loop.time() - due, 0.0))
