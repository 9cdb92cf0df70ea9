"""Error responses in the API's format to requests that never reach a handler.

The connection is closed after them, unless the caller removes that header.
"""

import msgspec
from tornado.httputil import HTTPHeaders


def error_response(
    status: str, code: str, message: str, *, retry_after: int | None = None
) -> bytes:
    """A whole error response: its head and its body."""
    headers, body = error_headers_and_body(code, message, retry_after=retry_after)
    return response_head(status, headers) + body


def response_head(status: str, headers: HTTPHeaders) -> bytes:
    """The bytes before a response's body."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.get_all())]
    return "\r\n".join([*lines, "", ""]).encode()


def error_headers_and_body(
    code: str, message: str, *, retry_after: int | None = None
) -> tuple[HTTPHeaders, bytes]:
    """The headers and the body of an error response."""
    body = msgspec.json.encode({"error": {"code": code, "message": message, "request_id": None}})
    headers = HTTPHeaders(
        {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Connection": "close",
        }
    )
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return headers, body
