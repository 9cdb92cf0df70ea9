"""`/healthz` and `/readyz`, for supervisors, load balancers and people."""

from handlers.authorization import Access
from handlers.base import BaseHandler
from handlers.response_bodies import Health, Ready
from relay.errors import ShuttingDown


class HealthHandler(BaseHandler):
    """`GET /healthz`: the process is alive as long as its event loop runs."""

    access = Access.EVERYBODY

    def get(self) -> None:
        """Write 200."""
        self.write_json(Health())


class ReadyHandler(BaseHandler):
    """`GET /readyz`: the server is ready if questions can be asked and stored."""

    access = Access.EVERYBODY

    async def get(self) -> None:
        """Write 200 if the server is ready; raise the error that says why it is not."""
        if self.services.relay.is_draining:
            raise ShuttingDown
        await self.services.store_health.check()
        self.write_json(Ready(len(self.services.relay.live_answers)))


routes = [(r"/healthz", HealthHandler), (r"/readyz", ReadyHandler)]
