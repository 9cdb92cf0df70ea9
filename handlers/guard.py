"""Who may enter while `auth.mode` is "none": this machine's own programs and pages, nobody else.

A server without keys is an open wallet as soon as anything forwards to it. A local proxy, a
hostile web page in the user's browser and a rebound DNS name all look like loopback to the socket;
their requests give them away.
"""

import ipaddress
from http import HTTPStatus
from typing import ClassVar
from urllib.parse import urlsplit

from tornado.httputil import HTTPServerRequest

from auth.principal import LOCAL_USER, Principal
from handlers.cors import Cors
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
    """Admits requests to a server without keys."""

    asks_for_keys: ClassVar[bool] = False

    def __init__(self, cors: Cors) -> None:
        self._cors = cors

    def screen(self, request: HTTPServerRequest) -> None:
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

    async def enter(self, request: HTTPServerRequest) -> Principal:
        """It is this machine's own user, who may do everything."""
        return Principal(LOCAL_USER, admin=True)

    async def enter_with(self, ticket: str, answer_id: str) -> None:
        """Who is let in needs no ticket."""

    def _is_foreign_page(self, request: HTTPServerRequest) -> bool:
        origin = request.headers.get("Origin")
        own = f"{request.protocol}://{request.host}"
        return origin is not None and origin != own and not self._cors.allows(origin)


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
