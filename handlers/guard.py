"""Who may enter while `auth.mode` is "none": this machine's own programs and pages, nobody else.

A server without keys is an open wallet as soon as anything forwards to it. A local proxy, a
hostile web page in the user's browser and a rebound DNS name all look like loopback to the socket;
their requests give them away.
"""

import ipaddress
from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from handlers.errors import ApiError

# What proxies, balancers and content networks add to a request, beside everything `X-Forwarded-…`.
_FORWARDING = frozenset(
    {
        "cf-connecting-ip",
        "forwarded",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-envoy-external-address",
        "x-original-forwarded-for",
        "x-real-ip",
    }
)


class Guard:
    """Admits requests to a server without keys, and tells browsers which other pages may ask."""

    def __init__(self, allow_origins: tuple[str, ...]) -> None:
        self._allow_origins = frozenset(allow_origins)

    def admit(self, request: HTTPServerRequest) -> None:
        """Return if the request may enter; raise ApiError if not."""
        if any(_tells_of_a_proxy(name.lower()) for name in request.headers):
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "forwarded_request",
                'auth.mode = "none" serves this machine only, not what a proxy forwards.',
            )
        if not _is_loopback(request.host):
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "foreign_host",
                'auth.mode = "none" answers to localhost only.',
            )
        if self._is_foreign_page(request):
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "foreign_origin",
                "Pages of this origin may not ask; cors.allow_origins lists who may.",
            )
        if request.body and not _is_json(request):
            raise ApiError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "The body must be sent as application/json.",
            )

    def cors(self, request: HTTPServerRequest) -> Iterator[tuple[str, str]]:
        """The headers by which a browser lets an allowed origin's page ask and read."""
        if not self._allow_origins:
            return
        yield "Vary", "Origin"
        origin = request.headers.get("Origin")
        if origin not in self._allow_origins:
            return
        yield "Access-Control-Allow-Origin", origin
        yield (
            "Access-Control-Expose-Headers",
            "Location, Preference-Applied, Retry-After, X-Request-Id",
        )
        if request.method == "OPTIONS":
            yield "Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE"
            yield (
                "Access-Control-Allow-Headers",
                "Content-Type, Idempotency-Key, Last-Event-ID, Prefer, X-Request-Id",
            )
            yield "Access-Control-Max-Age", "7200"  # seconds; the most that Chromium heeds

    def _is_foreign_page(self, request: HTTPServerRequest) -> bool:
        origin = request.headers.get("Origin")
        own = f"{request.protocol}://{request.host}"
        return origin is not None and origin != own and origin not in self._allow_origins


def _tells_of_a_proxy(name: str) -> bool:
    return name in _FORWARDING or name.startswith("x-forwarded-")


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_json(request: HTTPServerRequest) -> bool:
    kind, _, _ = request.headers.get("Content-Type", "").partition(";")
    return kind.strip().lower() == "application/json"
