"""Recognizes environment variables that Kubernetes sets for Services and that look like settings.

A Service named `headrace` or `headrace-web` gives every pod nine or more variables that begin like
the server's own (`HEADRACE_PORT=tcp://10.0.0.1:8080`, `HEADRACE_SERVICE_HOST`, …). They are
recognized as a set: those that every Service has, with values that only a Service has. A misspelt
setting does not come in such a set.
"""

import ipaddress
import re
from collections.abc import Mapping

_NUMBER = re.compile(r"[0-9]{1,5}")
_URL = re.compile(rf"(?:tcp|udp|sctp)://(.+):{_NUMBER.pattern}")

# The variables that every Service has. One of the three may be a setting (HEADRACE_PORT, if it is
# set explicitly) or a coincidence; two with such values are neither.
_OF_EVERY_SERVICE = ("_SERVICE_HOST", "_SERVICE_PORT", "_PORT")
_ENOUGH = 2

# The suffixes of all variables of a Service, and the kind of value that each has.
_LINK = re.compile(
    r"_SERVICE_(?P<host>HOST)"
    r"|_SERVICE_(?P<port>PORT)(?:_[A-Z0-9_]+)?"
    r"|_PORT(?P<url>)(?:_[0-9]{1,5}_(?:TCP|UDP|SCTP))?"
    r"|_PORT_[0-9]{1,5}_(?:TCP|UDP|SCTP)_(?:(?P<proto>PROTO)|(?P<number>PORT)|(?P<addr>ADDR))"
)


def service_links(environ: Mapping[str, str], prefix: str) -> frozenset[str]:
    """The names in `environ` that come from Services whose names begin with `prefix`."""
    names = [name for name in environ if name.startswith(prefix)]
    services = {
        name.removesuffix(end)
        for name in names
        for end in _OF_EVERY_SERVICE
        if name.endswith(end) and len(_signs(environ, name.removesuffix(end))) >= _ENOUGH
    }
    return frozenset(
        name
        for name in names
        for service in services
        if name.startswith(service) and _is_link(name.removeprefix(service), environ[name])
    )


def _signs(environ: Mapping[str, str], service: str) -> list[str]:
    return [
        end
        for end in _OF_EVERY_SERVICE
        if (value := environ.get(service + end)) is not None and _is_link(end, value)
    ]


def _is_link(end: str, value: str) -> bool:
    """Whether a Service has a variable of this name and its value is a Service's."""
    match = _LINK.fullmatch(end)
    if match is None:
        return False
    what = match.lastgroup
    if what in ("host", "addr"):
        return _is_address(value)
    if what in ("port", "number"):
        return _NUMBER.fullmatch(value) is not None
    if what == "proto":
        return value in ("tcp", "udp", "sctp")
    url = _URL.fullmatch(value)
    return url is not None and _is_address(url[1].strip("[]"))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
