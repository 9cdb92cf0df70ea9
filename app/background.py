"""Tasks that run for as long as the server does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger("headrace")

# Seconds. A task that a bug ended is begun again: without its lease, say, this process would soon
# be taken for dead. Not at once, or the log would be full of it.
_PAUSE_AFTER_A_BUG = 1.0


async def keep_running(work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, which should never end. If a bug ends it, the log says so, and it begins again."""
    while True:
        try:
            await work()
        except Exception as error:
            log.error("a chore of the server ended", exc_info=error)
        await asyncio.sleep(_PAUSE_AFTER_A_BUG)


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancel `task`, and return once it has ended."""
    task.cancel()
    await asyncio.wait({task})
