"""`GET /me`: the user of the credentials, which a client cannot read off an API key, and the limits
of their questions."""

from handlers.base import BaseHandler
from handlers.response_bodies import Me


class MeHandler(BaseHandler):
    """`GET /me`: the user that a request acts for."""

    def get(self) -> None:
        """Write the user and the limits."""
        assert self.principal is not None, "nobody gets here without"
        self.write_json(Me(self.user, self.principal.admin, self.services.question_limits))


routes = [(r"/api/v1/me", MeHandler)]
