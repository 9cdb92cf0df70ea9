"""Which web pages of other origins a browser lets ask and read: those that the operator lists."""

import re
from collections.abc import Iterator

from tornado.httputil import HTTPServerRequest

_MAY_READ = "Location, Preference-Applied, Retry-After, WWW-Authenticate, X-Request-Id"

# What we read ourselves. Whatever else an allowed page asks for it may send too: each kind of
# tracing has headers of its own (traceparent, b3, sentry-trace, …), put in by libraries, and one
# that is refused stops every request of the page. What we do not know means nothing here.
_MAY_SEND = (
    *("Authorization", "Content-Type", "Headrace-User", "Idempotency-Key", "Last-Event-ID"),
    *("Prefer", "X-Request-Id"),
)
_KNOWN = {name.lower() for name in _MAY_SEND}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Cors:
    """Tells browsers. A page sends its key itself, so nothing says that cookies may come along."""

    def __init__(self, allow_origins: tuple[str, ...]) -> None:
        self._allow_origins = frozenset(allow_origins)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may ask."""
        return origin in self._allow_origins

    def headers(self, request: HTTPServerRequest) -> Iterator[tuple[str, str]]:
        """The headers by which a browser lets an allowed origin's page ask and read."""
        origin = request.headers.get("Origin")
        yield from self.readable(origin)
        if origin in self._allow_origins and request.method == "OPTIONS":
            yield "Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE"
            yield "Access-Control-Allow-Headers", ", ".join(_may_send(request))
            yield "Access-Control-Max-Age", "7200"  # seconds; the most that Chromium heeds

    def readable(self, origin: str | None) -> Iterator[tuple[str, str]]:
        """Those of them by which it may read, also what is refused ahead of any handler."""
        if not self._allow_origins:
            return
        yield "Vary", "Origin"
        if origin is not None and origin in self._allow_origins:
            yield "Access-Control-Allow-Origin", origin
            yield "Access-Control-Expose-Headers", _MAY_READ


def _may_send(request: HTTPServerRequest) -> Iterator[str]:
    yield from _MAY_SEND
    asked = request.headers.get("Access-Control-Request-Headers", "")
    for name in (name.strip() for name in asked.split(",")):
        if _NAME.fullmatch(name) and name.lower() not in _KNOWN:
            yield name
