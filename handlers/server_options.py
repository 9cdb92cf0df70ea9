"""The server as such, which `OPTIONS *` asks about: a ping, for who knows no address of it."""

from handlers.authenticator import Access
from handlers.base import BaseHandler


class ServerOptionsHandler(BaseHandler):
    """All paths together."""

    access = Access.EVERYBODY

    def options(self, *_: str) -> None:
        """Name every method that some path takes."""
        super().options()
        self.set_header("Allow", "GET, HEAD, POST, DELETE, PATCH, OPTIONS")


routes = [(r"\*", ServerOptionsHandler)]
