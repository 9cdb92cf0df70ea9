"""Which web pages of other origins a browser lets ask and read: those that the operator lists."""

from collections.abc import Iterator

from tornado.httputil import HTTPServerRequest

_MAY_READ = "Location, Preference-Applied, Retry-After, WWW-Authenticate, X-Request-Id"
_MAY_SEND = (
    "Authorization, Content-Type, Headrace-User, Idempotency-Key, Last-Event-ID, Prefer, "
    "X-Request-Id"
)


class Cors:
    """Tells browsers. A page sends its key itself, so nothing says that cookies may come along."""

    def __init__(self, allow_origins: tuple[str, ...]) -> None:
        self._allow_origins = frozenset(allow_origins)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may ask."""
        return origin in self._allow_origins

    def headers(self, request: HTTPServerRequest) -> Iterator[tuple[str, str]]:
        """The headers by which a browser lets an allowed origin's page ask and read."""
        if not self._allow_origins:
            return
        yield "Vary", "Origin"
        origin = request.headers.get("Origin")
        if origin not in self._allow_origins:
            return
        yield "Access-Control-Allow-Origin", origin
        yield "Access-Control-Expose-Headers", _MAY_READ
        if request.method == "OPTIONS":
            yield "Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE"
            yield "Access-Control-Allow-Headers", _MAY_SEND
            yield "Access-Control-Max-Age", "7200"  # seconds; the most that Chromium heeds
