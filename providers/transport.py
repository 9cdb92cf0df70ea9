"""How requests reach a provider: timeouts, proxy, and trusted certificates."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from http_client.client import ClientRequest
from providers.dialect import OutgoingRequest


class Timeouts(NamedTuple):
    """The four timeouts of a request, in seconds."""

    connect: float
    first_token: float
    idle: float
    answer: float


class ProxyAddress(NamedTuple):
    """The address of an HTTP proxy on the way to a provider, and this server's credentials for
    it.
    """

    host: str
    port: int
    username: str | None
    password: str | None

    @classmethod
    def from_url(cls, url: str) -> "ProxyAddress":
        """Parse `http://[user:password@]host:port`."""
        parts = urlsplit(url)
        return cls(
            parts.hostname or "",
            parts.port or 0,
            unquote(parts.username) if parts.username else None,
            unquote(parts.password) if parts.password else None,
        )


class Transport(NamedTuple):
    """How requests reach the provider: timeouts, proxy, and the file of trusted certificates."""

    timeouts: Timeouts
    proxy: ProxyAddress | None = None
    ca_certs: Path | None = None

    def request(self, outgoing: OutgoingRequest) -> ClientRequest:
        """Return `outgoing` as a request for the HTTP client."""
        proxy = self.proxy or ProxyAddress("", 0, None, None)
        return ClientRequest(
            outgoing.url,
            method="POST",
            headers=outgoing.headers,
            body=outgoing.body,
            connect_timeout=self.timeouts.connect,
            request_timeout=0,
            proxy_host=proxy.host or None,
            proxy_port=proxy.port or None,
            proxy_username=proxy.username,
            proxy_password=proxy.password,
            ca_certs=str(self.ca_certs) if self.ca_certs else None,
        )
