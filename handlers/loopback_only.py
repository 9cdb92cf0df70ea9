"""The authenticator for `auth.mode` "none", which admits this machine's own programs and pages
only.

A server without keys spends its operator's money for everybody whose requests are forwarded to it.
A local proxy, a hostile web page in the user's browser and a rebound DNS name all look like
loopback to the socket. Their requests are recognised by their headers, or by the user they run as.
"""

import ipaddress
from http import HTTPStatus
from typing import ClassVar, cast
from urllib.parse import urlsplit

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest

from auth.principal import LOCAL_USER, Principal
from handlers.cors import Cors
from handlers.errors import ApiError
from sockets.client_connection import ClientConnection

# Headers that proxies add and clients do not send by themselves. Those that clients send too
# (X-Request-Id, traceparent, X-Client-Version) prove nothing.
_FORWARDING = frozenset(
    {
        # for whom they forward, and by which protocol
        "client-ip",
        "forwarded",
        "front-end-https",
        "proxy-client-ip",
        "max-forwards",
        "proxy-connection",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-host",
        "x-http-host-override",
        "x-originating-ip",
        "x-rewrite-url",
        "x-scheme",
        "x-script-name",
        "x-source-ip",
        "x-true-client-ip",
        "x-url-scheme",
        # when the request arrived, and that it does not loop
        "cdn-loop",
        "surrogate-capability",
        "x-queue-start",
        "x-request-start",
        # content networks, clouds and gateways with a single header
        "disguised-host",
        "do-connecting-ip",
        "eagleid",
        "x-amz-cf-id",
        "x-cloud-trace-context",
        "x-site-deployment-id",
        "x-varnish",
        "x-waws-unencoded-url",
        # the user whom they authenticated
        "x-webauth-user",
    }
)
_FORWARDING_KINDS = (
    # of any proxy
    "x-cluster-client-",
    "x-forward",
    "x-ingress-",
    "x-original-",
    "x-prox",
    "x-real-",
    # Content networks, clouds and gateways
    "akamai-",
    "ali-cdn-",
    "cf-",
    "cloudfront-",
    "fastly-",
    "fly-",
    "incap-",
    "wl-proxy-",
    "x-akamai-",
    "x-amzn-",
    "x-appengine-",
    "x-appgw-",
    "x-arr-",
    "x-azure-",
    "x-consumer-",
    "x-envoy-",
    "x-fd-",
    "x-goog-authenticated-",
    "x-goog-iap-",
    "x-haproxy-",
    "x-kong-",
    "x-nf-",
    "x-nginx-",
    "x-sucuri-",
    "x-traefik-",
    "x-vercel-",
    # tunnels
    "ngrok-",
    "tailscale-",
    "x-ngrok-",
    # authenticating proxies that pass on the user's name
    "oidc-",
    "remote-",
    "shib-",
    "ssl-client-",
    "teleport-",
    "x-auth-request-",
    "x-authentik-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-pomerium-",
    "x-remote-",
    "x-ssl-",
)

# It shows nobody's data, and monitoring asks for it by HTTP/1.0 and as a user of its own.
_FOR_ALL_OF_THE_MACHINE = "/healthz"


class LoopbackOnly:
    """Admits requests of this machine's programs to a server without keys."""

    asks_for_keys: ClassVar[bool] = False

    def __init__(self, cors: Cors) -> None:
        self._cors = cors

    def check_request(self, request: HTTPServerRequest) -> None:
        """Return if the request may be handled; raise ApiError if not."""
        if any(map(_tells_of_a_proxy, request.headers)):
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
        if request.path != _FOR_ALL_OF_THE_MACHINE:
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


def _tells_of_a_proxy(header: str) -> bool:
    name = header.lower().replace("_", "-")
    return name in _FORWARDING or name.startswith(_FORWARDING_KINDS)


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
