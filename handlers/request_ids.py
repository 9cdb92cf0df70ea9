"""The ids by which a request is found again: in the log, and in a trace of the client's."""

import re

from tornado.httputil import HTTPServerRequest

from model.random_ids import random_id

# A client's own request id is used if it is short and plain, so that it can be logged.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# The hexadecimal digits of a new id: 64 random bits, so that no two requests in a log share one.
_DIGITS = 16

# W3C's Trace Context, version 00. Without a valid one the answer begins a new trace.
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def request_id(request: HTTPServerRequest) -> str:
    """The client's `X-Request-Id` if it is valid, else a new id."""
    asked = request.headers.get("X-Request-Id", "")
    return asked if _REQUEST_ID.fullmatch(asked) else random_id()[:_DIGITS]


def traceparent(request: HTTPServerRequest) -> str:
    """The client's `traceparent` if it is valid, else an empty string."""
    parent = request.headers.get("traceparent", "")
    return parent if _TRACEPARENT.fullmatch(parent) else ""
