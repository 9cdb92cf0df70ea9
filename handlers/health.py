"""Whether this process lives, and whether it can serve: for systemd, balancers and people."""

import asyncio

from handlers.admission import Access
from handlers.base import BaseHandler
from handlers.views import Health, Ready
from relay.errors import ShuttingDown
from storage.base import StorageError

# A balancer asks every few seconds; a store that takes longer is not ready.
_PING_SECONDS = 2.0


class HealthHandler(BaseHandler):
    """Alive: the event loop turns."""

    access = Access.EVERYBODY

    def get(self) -> None:
        """Say so."""
        self.write_json(Health())


class ReadyHandler(BaseHandler):
    """Ready: questions can be asked and kept."""

    access = Access.EVERYBODY

    async def get(self) -> None:
        """Say so, or 503 with the reason."""
        if self.services.relay.closing:
            raise ShuttingDown
        try:
            async with asyncio.timeout(_PING_SECONDS):
                await self.services.storage.ping()
        except TimeoutError as error:
            raise StorageError("the store does not answer") from error
        self.write_json(Ready(self.services.relay.live))


routes = [(r"/healthz", HealthHandler), (r"/readyz", ReadyHandler)]
