"""The handler of every path that no route matches."""

from http import HTTPStatus

from tornado.web import HTTPError

from handlers.authorization import Access
from handlers.base import BaseHandler
from handlers.errors import ErrorResponse
from handlers.page import HEADERS, index_at

# Below these are APIs only, whose errors are theirs.
_APIS = ("/api/", "/v1/")


class NotFoundHandler(BaseHandler):
    """Answers requests for paths that no route matches."""

    access = Access.EVERYBODY

    async def prepare(self) -> None:
        """Refuse the request with 404: with the page to a browser, else in the API's format."""
        await super().prepare()
        raise HTTPError(HTTPStatus.NOT_FOUND)

    def write_refusal(self, error: ErrorResponse) -> None:
        """Write the page, which says that there is nothing at this address, to who opens it."""
        index = index_at(self.request.path)
        if error.status != HTTPStatus.NOT_FOUND or index is None or not self._is_opened():
            super().write_refusal(error)
            return
        for name, value in HEADERS.items():
            self.set_header(name, value)
        self.set_header("Content-Type", index.content_type)
        self.write(index.body)

    def _is_opened(self) -> bool:
        """Whether somebody opened this address in a browser: only then HTML is asked for."""
        request = self.request
        is_read = request.method in ("GET", "HEAD")
        accepted = request.headers.get("Accept", "")
        return is_read and "text/html" in accepted and not request.path.startswith(_APIS)
