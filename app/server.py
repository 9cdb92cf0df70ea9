"""A running server: its address, and how it stops taking requests."""

import asyncio
from contextlib import suppress

from handlers.event_streams import EventStreams
from handlers.open_requests import OpenRequests
from relay.relay import Relay
from sockets.acceptor import Acceptor

# Seconds. Clients that were accepted just before the listener closed send their request within a
# round trip, and are served. Without this wait a rolling restart under load refused some of them.
_STRAGGLERS_SECONDS = 1.0


class Server:
    """A running server: its address, and what can be asked of it."""

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

    async def drain(self, seconds: float, *, cut_short: asyncio.Event) -> None:
        """Stop listening, take no more questions, and return once no answer is live.

        It returns after `seconds` at the latest, or when `cut_short` is set.
        """
        self.relay.start_draining()
        self.acceptor.stop()  # a supervisor's socket stays open, for the next process to use
        lingering = min(_STRAGGLERS_SECONDS, seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(lingering):
                await cut_short.wait()
        self.relay.refuse_questions()
        waits = [asyncio.create_task(self.relay.idle()), asyncio.create_task(cut_short.wait())]
        await asyncio.wait(waits, timeout=seconds - lingering, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
