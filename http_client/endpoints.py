"""Where a connection leads, from a URL and the settings of a proxy."""

import re
from base64 import b64encode
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

_HOST = re.compile(r"[0-9A-Za-z_:][0-9A-Za-z_:.%\-]*")


class TunnelProxy(NamedTuple):
    """An HTTP proxy that opens tunnels (CONNECT)."""

    host: str
    port: int
    authorization: str | None  # the value of the header Proxy-Authorization

    @classmethod
    def of(cls, host: str, port: int, username: str | None, password: str | None) -> "TunnelProxy":
        """Build a proxy's address, with Basic credentials if there is a user.

        Raises ValueError if `host` is not a host name.
        """
        if username is None:
            return cls(_checked(host), port, None)
        credentials = f"{username}:{password or ''}".encode()
        return cls(_checked(host), port, "Basic " + b64encode(credentials).decode())


class Endpoint(NamedTuple):
    """Where a connection leads, and how.

    A connection may be reused for any request to an equal endpoint.
    """

    host: str
    port: int
    secure: bool
    validate_cert: bool = True
    ca_certs: str | None = None  # None: certifi's certificates
    proxy: TunnelProxy | None = None

    @property
    def authority(self) -> str:
        """`host:port`, with an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The authority, without the port if it is the scheme's default."""
        return self.authority.removesuffix(":443" if self.secure else ":80")

    def __repr__(self) -> str:  # the fields hold the proxy's password
        return f"<Endpoint {'https' if self.secure else 'http'}://{self.authority}>"


@lru_cache(maxsize=64)  # providers have few; some put the model into it, or a token
def parse_url(url: str) -> tuple[Endpoint, str]:
    """Return the endpoint and the request target of `url`.

    Raises ValueError, which does not quote the URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("an address begins with http:// or https://")
    if parts.username is not None:
        raise ValueError("credentials belong in a header, not in the address")
    secure = parts.scheme == "https"
    port = parts.port if parts.port is not None else 443 if secure else 80
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(_checked(parts.hostname or ""), port, secure), target


def _checked(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise ValueError("the address has no host, or one that is not ASCII")
    return host
