"""Who the asker is: what a client cannot read off an API key, and may not trust a token of."""

from handlers.base import BaseHandler
from handlers.response_bodies import Me


class MeHandler(BaseHandler):
    """The user for whom a request asks."""

    def get(self) -> None:
        """Name them."""
        assert self.principal is not None, "nobody gets here without"
        self.write_json(Me(self.user, self.principal.admin))


routes = [(r"/api/v1/me", MeHandler)]
