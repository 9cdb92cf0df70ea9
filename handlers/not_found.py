"""The handler of every path that no route matches."""

from http import HTTPStatus

from tornado.web import HTTPError

from handlers.authorization import Access
from handlers.base import BaseHandler


class NotFoundHandler(BaseHandler):
    """Answers requests for paths that no route matches."""

    access = Access.EVERYBODY

    async def prepare(self) -> None:
        """Refuse the request with 404 in the API's format."""
        await super().prepare()
        raise HTTPError(HTTPStatus.NOT_FOUND)
