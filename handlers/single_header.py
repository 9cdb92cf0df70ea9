"""Headers that may be sent once: of two values neither is the one that is meant.

Tornado joins the values of a header that came twice by commas, and a comma may stand in a user's
name or in an idempotency key: two names would be a third, and two keys one that no retry without
the second would find. A proxy that adds its own to a client's makes such requests, and so does who
hopes that two servers read different ones.
"""

from tornado.httputil import HTTPServerRequest


class RepeatedHeader(Exception):
    """The header was sent more than once."""


def single_header(request: HTTPServerRequest, name: str) -> str | None:
    """The value of a header, or None without it. Raises RepeatedHeader, also for two equal ones."""
    values = request.headers.get_list(name)
    if len(values) > 1:
        raise RepeatedHeader
    return values[0] if values else None
