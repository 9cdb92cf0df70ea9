"""Normalises a request's target to a path, whichever form it has (RFC 9112, 3.2).

Clients send a path and a Host header; those made for proxies send an absolute URL, which means the
same and whose host takes precedence. The rest of the server sees paths only, with the host that was
really requested.
"""

import re

from tornado.httputil import HTTPHeaders, RequestStartLine

# A host as it is written, perhaps with a port. User information before an @ is ignored.
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::[0-9]{0,5})?"
_AUTHORITY = re.compile(_HOST)
_ADDRESS = re.compile(rf"https?://({_HOST})(/[^#]*|\?[^#]*)?", re.IGNORECASE)

# The target for the server as a whole, with OPTIONS.
WHOLE = "*"


def origin_form(
    start_line: RequestStartLine, headers: HTTPHeaders, base_path: str = ""
) -> RequestStartLine | None:
    """Return the request with a path as its target; None if the target is not one of this server.

    The host of an absolute URL replaces that in `headers`, and `base_path` is removed from the
    path.
    """
    asked = _pathed(start_line, headers)
    if asked is None or not base_path or not asked.path.startswith(f"{base_path}/"):
        return asked
    return asked._replace(path=asked.path.removeprefix(base_path))


def _pathed(start_line: RequestStartLine, headers: HTTPHeaders) -> RequestStartLine | None:
    method, target, version = start_line
    if target.startswith("/"):
        return None if "#" in target else start_line
    if target == WHOLE:
        return start_line if method == "OPTIONS" else None
    if method == "CONNECT":  # a host and a port, for tunnels, which this server does not make
        return start_line
    address = _ADDRESS.fullmatch(target)
    if address is None or not _is_host_valid(headers, version):
        return None
    headers["Host"] = address[1]
    path = address[2] or (WHOLE if method == "OPTIONS" else "/")
    return start_line._replace(path=path if path.startswith(("/", WHOLE)) else f"/{path}")


def _is_host_valid(headers: HTTPHeaders, version: str) -> bool:
    """Whether the Host header beside an absolute URL is valid; it is ignored otherwise."""
    hosts = headers.get_list("Host")
    if not hosts:
        return version == "HTTP/1.0"
    return len(hosts) == 1 and _AUTHORITY.fullmatch(hosts[0]) is not None
