"""Tasks that run for as long as the server does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

log = logging.getLogger("headrace")

# Seconds after which a task that a bug ended is started again: without its lease, for example, this
# process would soon count as dead. Not at once, or the log would be full of it.
_PAUSE_AFTER_A_BUG = 1.0


async def keep_running(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work`, which should never end; if a bug ends it, log that and start it again."""
    while True:
        try:
            await work()
        except Exception as error:
            log.error("a background task of the server failed", exc_info=error)
        await asyncio.sleep(_PAUSE_AFTER_A_BUG)


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancel `task`, and return once it has ended."""
    task.cancel()
    await asyncio.wait({task})
