"""`OPTIONS *`, which asks about the server as a whole."""

from handlers.authorization import Access
from handlers.base import BaseHandler


class ServerOptionsHandler(BaseHandler):
    """Answers `OPTIONS *`."""

    access = Access.EVERYBODY

    def options(self, *_: str) -> None:
        """List every method that some path supports."""
        super().options()
        self.set_header("Allow", "GET, HEAD, POST, DELETE, PATCH, OPTIONS")


routes = [(r"\*", ServerOptionsHandler)]
