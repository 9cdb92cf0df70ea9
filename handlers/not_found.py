"""The handler of every path that no route matches.

Most such paths are made by clients from a base URL that is not quite right: with a slash at its
end, without `/v1`, with `/v1` although the client adds that, or with the path of a route. They are
not served, as elsewhere, but the refusal names the path that was meant.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

from tornado.routing import PathMatches, Rule

from handlers.authorization import Access
from handlers.base import BaseHandler
from handlers.errors import ApiError, ErrorResponse
from handlers.page import HEADERS, index_at

# Below these are APIs only, whose errors are theirs.
_APIS = ("/api/", "/v1/")

# The paths that may be meant by others.
_MEANT: Final = re.compile(r"/(v1|api/v1|ai-sdk)/|/ag-ui\Z")

_SLASHES: Final = re.compile("/{2,}")
_ASKING: Final = "/chat/completions"


class NotFoundHandler(BaseHandler):
    """Answers requests for paths that no route matches."""

    access = Access.EVERYBODY

    async def prepare(self) -> None:
        """Refuse the request with 404: with the page to a browser, else in the API's format."""
        await super().prepare()
        words = ["This path does not exist."]
        if (meant := self._meant()) is not None:
            words.append(f"Did you mean {self.address(meant)}?")
        raise ApiError(HTTPStatus.NOT_FOUND, "not_found", " ".join(words))

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

    def _meant(self) -> str | None:
        """The path of a route that this one is a misspelling of; None if it is not."""
        rules = self.application.wildcard_router.rules
        for path in _spellings(self.request.path):
            if _MEANT.match(path) and any(_serves(rule, path) for rule in rules):
                return path
        return None


def _spellings(path: str) -> Iterator[str]:
    """What may be meant by a path."""
    plain = _SLASHES.sub("/", path).rstrip("/")
    yield plain
    yield f"/v1{plain}"
    yield plain.replace("/v1/v1/", "/v1/", 1)
    yield plain.replace(2 * _ASKING, _ASKING, 1)


def _serves(rule: Rule, path: str) -> bool:
    """Whether a rule is that of a route, and matches the path."""
    matcher = rule.matcher
    if not isinstance(matcher, PathMatches) or issubclass(rule.target, NotFoundHandler):
        return False
    return matcher.regex.match(path) is not None
