"""The authenticator for `auth.mode` "none", which admits only this machine's programs and pages.

A server without API keys spends its operator's money for everyone whose requests reach it. To the
socket, a local proxy, a hostile web page in the user's browser and a rebound DNS name are all
loopback. Their requests are recognized by their headers, or by the user that their program runs as.
"""

from functools import lru_cache
from http import HTTPStatus
from typing import ClassVar, cast
from urllib.parse import urlsplit

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest

from auth.principal import LOCAL_USER, Principal
from handlers.cors import Cors
from handlers.errors import ApiError
from handlers.proxy_headers import is_added_by_a_proxy
from settings.addresses import is_loopback
from sockets.client_connection import ClientConnection

# It shows no user's data, and monitoring requests it by HTTP/1.0 and as a user of its own.
_HEALTH_CHECK = "/healthz"


class LoopbackOnly:
    """Admits requests of this machine's programs to a server without keys."""

    asks_for_keys: ClassVar[bool] = False

    def __init__(self, cors: Cors) -> None:
        self._cors = cors

    def check_request(self, request: HTTPServerRequest) -> None:
        """Return if the request may be handled; raise ApiError if not."""
        if any(map(is_added_by_a_proxy, request.headers)):
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "forwarded_request",
                "Without API keys the server does not serve requests that a proxy forwards. "
                'Connect directly, or set auth.mode = "keys".',
            )
        if not _is_loopback(request.host):
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "foreign_host",
                "Without API keys the server serves localhost only. Use http://localhost, or set "
                'auth.mode = "keys".',
            )
        if request.path != _HEALTH_CHECK:
            self._check_program(request)
        if self._is_foreign_page(request):
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "foreign_origin",
                "Pages of this origin may not use the server. cors.allow_origins lists those that "
                "may.",
            )

    async def authenticate(self, request: HTTPServerRequest) -> Principal:
        """The local user, who is an admin."""
        return Principal(LOCAL_USER, admin=True)

    async def authenticate_ticket(self, ticket: str, answer_id: str) -> None:
        """Tickets are not needed, and not verified."""

    def _check_program(self, request: HTTPServerRequest) -> None:
        """Refuse the requests of other users' programs, and of proxies that add no header."""
        peer = cast(ClientConnection, cast(HTTP1Connection, request.connection).stream).peer_user
        if peer is not None and not peer.is_ours:
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "foreign_user",
                "Without API keys the server serves programs of its own user and of root only. Run "
                'this program or proxy as that user, or set auth.mode = "keys".',
                reason="unknown" if peer.uid is None else f"uid={peer.uid}",
            )
        if request.version == "HTTP/1.0":  # as nginx speaks by default, and hardly any client
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "forwarded_request",
                "Without API keys the server does not serve HTTP/1.0, which proxies use by "
                'default. Use HTTP/1.1, or set auth.mode = "keys".',
            )

    def _is_foreign_page(self, request: HTTPServerRequest) -> bool:
        origin = request.headers.get("Origin")
        own = f"{request.protocol}://{request.host}"
        return origin is not None and origin != own and not self._cors.allows(origin)


@lru_cache(maxsize=16)  # a browser's, a program's and a health check's; splitting takes 10 µs
def _is_loopback(host: str) -> bool:
    """Whether a Host header, perhaps with a port, names this machine."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
