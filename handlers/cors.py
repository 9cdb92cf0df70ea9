"""CORS: which other origins' pages may use the API, by `cors.allow_origins`."""

import re
from collections.abc import Iterator

from tornado.httputil import HTTPServerRequest

_MAY_READ = ", ".join(
    (
        *(
            "Headrace-Conversation-Id",
            "Headrace-Error",
            "Location",
            "Preference-Applied",
            "Retry-After",
            "WWW-Authenticate",
            "X-Request-Id",
        ),
        *("X-Should-Retry", "X-RateLimit-Limit-Requests", "X-RateLimit-Limit-Tokens"),
        *("X-RateLimit-Remaining-Requests", "X-RateLimit-Remaining-Tokens"),
        *("X-RateLimit-Reset-Requests", "X-RateLimit-Reset-Tokens"),
    )
)

# The request headers that the API reads. An allowed page may send others as well: tracing libraries
# add their own (traceparent, b3, sentry-trace, …), and refusing one of them would block all
# requests of the page.
_MAY_SEND = (
    *("Authorization", "Content-Type", "Headrace-On-Disconnect", "Headrace-User"),
    *("Idempotency-Key", "Last-Event-ID", "Prefer", "X-Request-Id"),
)
_KNOWN = {name.lower() for name in _MAY_SEND}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Cors:
    """Writes the CORS headers. Pages send their key themselves, so no credentials mode is
    allowed.
    """

    def __init__(self, allow_origins: tuple[str, ...]) -> None:
        self._allow_origins = frozenset(allow_origins)

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may use the API."""
        return origin in self._allow_origins

    def headers(self, request: HTTPServerRequest) -> Iterator[tuple[str, str]]:
        """The headers that permit an allowed origin's page to send requests and read responses."""
        origin = request.headers.get("Origin")
        yield from self.read_headers(origin)
        if origin in self._allow_origins and request.method == "OPTIONS":
            yield "Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE"
            yield "Access-Control-Allow-Headers", ", ".join(_may_send(request))
            yield "Access-Control-Max-Age", "7200"  # seconds; the longest that Chromium accepts

    def read_headers(self, origin: str | None) -> Iterator[tuple[str, str]]:
        """Those of the headers that permit reading, also for errors before any handler."""
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
