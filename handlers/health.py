"""Whether this process lives, and whether it can serve: for systemd, balancers and people."""

from handlers.authenticator import Access
from handlers.base import BaseHandler
from handlers.response_bodies import Health, Ready
from relay.errors import ShuttingDown


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
        await self.services.store_health.check()
        self.write_json(Ready(self.services.relay.live))


routes = [(r"/healthz", HealthHandler), (r"/readyz", ReadyHandler)]
