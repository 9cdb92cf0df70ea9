"""A server that runs: where it is, and how it stops taking requests."""

import asyncio
from contextlib import suppress

from handlers.event_streams import EventStreams
from handlers.open_requests import OpenRequests
from relay.relay import Relay
from sockets.acceptor import Acceptor

# Whoever was accepted just before the listening ended sends a question within a round trip, and is
# answered as ever. Without this wait a rolling restart under load refused some of them.
_STRAGGLERS_SECONDS = 1.0


class Server:
    """A running server: where it listens, and what can be asked of it."""

    def __init__(
        self,
        url: str,
        acceptor: Acceptor,
        relay: Relay,
        open_requests: OpenRequests,
        event_streams: EventStreams,
        metrics_url: str | None = None,
    ) -> None:
        self.url = url
        self.metrics_url = metrics_url
        self.acceptor = acceptor
        self.relay = relay
        self.open_requests = open_requests
        self.event_streams = event_streams

    async def drain(self, seconds: float, *, hurry: asyncio.Event) -> None:
        """Listen no more, take nothing new, and return once no answer is live.

        At the latest that is after `seconds`, or when `hurry` is set.
        """
        self.relay.retire()
        self.acceptor.stop()  # a supervisor's socket stays open, for the next process to use
        lingering = min(_STRAGGLERS_SECONDS, seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(lingering):
                await hurry.wait()
        self.relay.refuse()
        waits = [asyncio.create_task(self.relay.idle()), asyncio.create_task(hurry.wait())]
        await asyncio.wait(waits, timeout=seconds - lingering, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
