"""Addresses as settings: of web pages, providers, proxies, and of what the server listens on.

Each check raises ValueError with words for the operator, which do not repeat an address that may
hold a password.
"""

import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field

from settings.values import PRINTABLE

# How `host` names a socket in the file system in place of an address.
UNIX = "unix:"

# Apps and extensions of browsers have schemes of their own, and their hosts may have capitals.
_APP_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._~-]+(:[1-9][0-9]{0,4})?")

# Origins of these kinds are told as "null", and would let in whatever somebody saved or framed.
_ANONYMOUS = ("about", "blob", "data", "file", "filesystem", "javascript")

# What would be taken off paths that never had it put before them.
_OWN_PATHS = re.compile(
    r"/(api(/(v1(/.*)?|docs|openapi\.json))?|(assets|c)(/[^/]*)?|healthz|metrics|readyz)"
)


def web_address(text: str) -> SplitResult:
    """Split an http(s) address, complaining without repeating it: it may hold a password."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not PRINTABLE.fullmatch(text):  # urlsplit passes over line ends in silence
        raise ValueError("should be an address such as https://host:port")
    return parts


def _proxy(text: str) -> str:
    parts = web_address(text)
    if parts.scheme != "http" or parts.port is None or parts.path not in ("", "/") or parts.query:
        raise ValueError("should be http://host:port or http://user:password@host:port")
    return text.removesuffix("/")


def _jwks_address(text: str) -> str:
    # Who can change the keys on their way makes everybody's tokens.
    parts = web_address(text)
    if parts.username is not None or parts.fragment:
        raise ValueError("should hold neither user, password nor fragment")
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("should be https, unless it is on this machine")
    return text


def _origin(text: str) -> str:
    # Compared whole with what the browser sends: what it would never send is a mistake.
    if text == "null" or text.partition(":")[0] in _ANONYMOUS:
        raise ValueError(
            f"{text} names nobody: every sandboxed frame or file has it. Give the app's page an "
            "origin of its own, such as capacitor://localhost"
        )
    web = re.fullmatch(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[1-9][0-9]{0,4})?", text)
    is_usual = web is not None and web[3] == {"http": ":80", "https": ":443"}[web[1]]
    is_of_an_app = _APP_ORIGIN.fullmatch(text) and not text.startswith(("http:", "https:"))
    if is_usual or not (web or is_of_an_app):
        raise ValueError(
            "an origin is written as the browser sends it, such as https://example.org: without a "
            "path, its usual port or capitals"
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
            "should be an address or a name alone, such as 0.0.0.0, ::1 or localhost: the port is "
            "a setting of its own"
        ) from None


def _base_path(text: str) -> str:
    path = text.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", path):
        raise ValueError('should be a path such as "/chat", of letters, digits, ., _, ~ and -')
    if _OWN_PATHS.fullmatch(path):  # nobody could tell whether a proxy has taken it off
        raise ValueError(f"{path} is an address of the server itself: take another one")
    return path


def is_loopback(host: str) -> bool:
    """Whether `host`, an address or a name, is on this machine for certain."""
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
