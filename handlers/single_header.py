"""Reads headers that must not be repeated.

Tornado joins the values of a repeated header by commas, and a comma may be part of a user's name or
an idempotency key: two names would make a third, and two keys one that a later retry does not send.
A proxy that adds its own value makes such requests, and so do attackers who hope that two servers
read different ones.
"""

from tornado.httputil import HTTPServerRequest


class RepeatedHeader(Exception):
    """The header was sent more than once."""


def single_header(request: HTTPServerRequest, name: str) -> str | None:
    """The value of a header, or None without it. Raises RepeatedHeader, also for two equal
    values.
    """
    values = request.headers.get_list(name)
    if len(values) > 1:
        raise RepeatedHeader
    return values[0] if values else None
