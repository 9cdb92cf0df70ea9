"""Variables that look like settings and are none: what Kubernetes tells every pod of its Services.

A Service named `headrace`, or `headrace-web`, makes nine and more variables that begin as ours do
(`HEADRACE_PORT=tcp://10.0.0.1:8080`, `HEADRACE_SERVICE_HOST`, …). They are known by what they are
together: those that every Service has, with the values that only a Service gives them. A
misspelt setting has no such company.
"""

import ipaddress
import re
from collections.abc import Mapping

_NUMBER = re.compile(r"[0-9]{1,5}")
_URL = re.compile(rf"(?:tcp|udp|sctp)://(.+):{_NUMBER.pattern}")

# What every Service has under its name. One of the three may be a setting (whoever sets
# HEADRACE_PORT beats the Service's), or chance; two with these values are neither.
_OF_EVERY_SERVICE = ("_SERVICE_HOST", "_SERVICE_PORT", "_PORT")
_ENOUGH = 2

# Behind a Service's name: all that it may have, and what each is the value of.
_LINK = re.compile(
    r"_SERVICE_(?P<host>HOST)"
    r"|_SERVICE_(?P<port>PORT)(?:_[A-Z0-9_]+)?"
    r"|_PORT(?P<url>)(?:_[0-9]{1,5}_(?:TCP|UDP|SCTP))?"
    r"|_PORT_[0-9]{1,5}_(?:TCP|UDP|SCTP)_(?:(?P<proto>PROTO)|(?P<number>PORT)|(?P<addr>ADDR))"
)


def service_links(environ: Mapping[str, str], prefix: str) -> frozenset[str]:
    """The names in `environ` that the Services whose names begin with `prefix` have made."""
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
    """Whether a Service has such a variable, and it such a value."""
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
