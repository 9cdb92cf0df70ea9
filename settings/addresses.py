"""Addresses in settings: of web pages, providers, proxies, and of the server's own listener.

Each check raises ValueError with a message for the operator, which does not repeat an address that
may contain a password.
"""

import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field

from settings.values import PRINTABLE

# The prefix by which `host` names a Unix socket instead of an address.
UNIX = "unix:"

# Apps and browser extensions have schemes of their own, and their hosts may contain capitals.
_APP_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._~-]+(:[1-9][0-9]{0,4})?")

# Browsers send the origin of such pages as "null", which would also admit every saved or framed
# page.
_ANONYMOUS = ("about", "blob", "data", "file", "filesystem", "javascript")

# The server's own paths: as a base path they would be removed from requests that lack the base
# path.
_OWN_PATHS = re.compile(
    r"/(api(/(v1(/.*)?|docs|openapi\.json))?|(assets|c)(/[^/]*)?|healthz|metrics|readyz)"
)


def web_address(text: str) -> SplitResult:
    """Split an http(s) URL.

    Raises ValueError, which does not repeat it: it may contain a password.
    """
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not PRINTABLE.fullmatch(text):  # urlsplit ignores line ends
        raise ValueError("should be an address such as https://host:port")
    return parts


def completed_address(text: str, usual: str) -> str:
    """Return the URL that `text` means: it may lack a scheme, the host or the port, which are then
    those of `usual`.

    So the variable OLLAMA_HOST is read by Ollama's own tools. Its server reads it as well, as the
    address to listen at: one that stands for all addresses means this machine.

    Raises ValueError.
    """
    standard = urlsplit(usual)
    has_scheme = "://" in text
    parts = urlsplit(text if has_scheme else f"{standard.scheme}://{text}")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(parts.hostname or "", parts.hostname)
    host = host or standard.hostname or ""
    port = parts.port or (None if has_scheme else standard.port)
    where = f"[{host}]" if ":" in host else host
    return parts._replace(netloc=where if port is None else f"{where}:{port}").geturl()


def _proxy(text: str) -> str:
    parts = web_address(text)
    if parts.scheme != "http" or parts.port is None or parts.path not in ("", "/") or parts.query:
        raise ValueError("should be http://host:port or http://user:password@host:port")
    return text.removesuffix("/")


def _webhook_address(text: str) -> str:
    parts = web_address(text)
    if parts.username is not None or parts.fragment:
        raise ValueError("should not contain a user, password or fragment")
    return text


def _jwks_address(text: str) -> str:
    # Whoever could change the keys on the way could issue tokens for every user.
    parts = web_address(text)
    if parts.username is not None or parts.fragment:
        raise ValueError("should not contain a user, password or fragment")
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("should be https, unless it is on this machine")
    return text


def _origin(text: str) -> str:
    # It is compared as a whole with what the browser sends, so anything a browser never sends is a
    # mistake.
    if text == "null" or text.partition(":")[0] in _ANONYMOUS:
        raise ValueError(
            f"{text} identifies no page: every sandboxed frame and local file has it. Give the "
            "app's page an origin of its own, such as capacitor://localhost"
        )
    web = re.fullmatch(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[1-9][0-9]{0,4})?", text)
    is_usual = web is not None and web[3] == {"http": ":80", "https": ":443"}[web[1]]
    is_of_an_app = _APP_ORIGIN.fullmatch(text) and not text.startswith(("http:", "https:"))
    if is_usual or not (web or is_of_an_app):
        raise ValueError(
            "should be an origin as the browser sends it, such as https://example.org: without a "
            "path, the scheme's default port or capitals"
        )
    return text


def _host(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if text.startswith(UNIX) or not (re.search(r"[:/\s]", text) or bare != text):
        return text
    try:
        address = ipaddress.IPv6Address(bare)
        return str(address.ipv4_mapped or address)
    except ValueError:
        raise ValueError(
            "should be only an address or a host name, such as 0.0.0.0, ::1 or localhost: the port "
            "is a separate setting"
        ) from None


def _base_path(text: str) -> str:
    path = text.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", path):
        raise ValueError('should be a path such as "/chat", of letters, digits, ., _, ~ and -')
    if _OWN_PATHS.fullmatch(path):  # it would be unclear whether a proxy has removed it
        raise ValueError(f"{path} is one of the server's own paths: choose another one")
    return path


def is_loopback(host: str) -> bool:
    """Whether `host`, an address or a name, is certainly on this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


Host = Annotated[str, Field(min_length=1), AfterValidator(_host)]
BasePath = Annotated[str, AfterValidator(_base_path)]
Origin = Annotated[str, AfterValidator(_origin)]
ProxyAddress = Annotated[str, AfterValidator(_proxy)]
JwksAddress = Annotated[str, AfterValidator(_jwks_address)]
WebhookAddress = Annotated[str, AfterValidator(_webhook_address)]
