"""What a request asks for: its target, in whichever of the forms that HTTP knows (RFC 9112, 3.2).

Clients send a path and say the host beside it; whatever was made to talk to a proxy sends a whole
address, which means the same, and whose host is the one that counts. Everything behind this module
sees paths only, and with them the host that was really asked.
"""

import re

from tornado.httputil import HTTPHeaders, RequestStartLine

# A host as it is written, perhaps with a port. Who is named before an @ is nobody's business here.
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%-]+)(?::[0-9]{0,5})?"
_AUTHORITY = re.compile(_HOST)
_ADDRESS = re.compile(rf"https?://({_HOST})(/[^#]*|\?[^#]*)?", re.IGNORECASE)

# The server as such, which can be asked for its OPTIONS.
WHOLE = "*"


def origin_form(
    start_line: RequestStartLine, headers: HTTPHeaders, base_path: str = ""
) -> RequestStartLine | None:
    """The request with a path for its target; None if it has none that means anything here.

    The host of a whole address takes the place of that in `headers`. What a proxy left of the path
    below which it has us is taken off.
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
    if method == "CONNECT":  # a host and a port, by definition: there are no tunnels here
        return start_line
    address = _ADDRESS.fullmatch(target)
    if address is None or not _may_stand_aside(headers, version):
        return None
    headers["Host"] = address[1]
    path = address[2] or (WHOLE if method == "OPTIONS" else "/")
    return start_line._replace(path=path if path.startswith(("/", WHOLE)) else f"/{path}")


def _may_stand_aside(headers: HTTPHeaders, version: str) -> bool:
    """Whether the Host that comes along is one: it counts for nothing, but has to be right."""
    hosts = headers.get_list("Host")
    if not hosts:
        return version == "HTTP/1.0"
    return len(hosts) == 1 and _AUTHORITY.fullmatch(hosts[0]) is not None
