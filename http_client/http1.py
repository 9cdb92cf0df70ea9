"""HTTP/1.1 for a client: encodes a request and parses a response.

This is pure code, without a socket or a clock. httptools parses (its llhttp is strict about
framing); this module decides what of a response is acceptable, and limits everything that the other
side could let grow.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)
from tornado.httputil import HTTPHeaders

from http_client.decompression import Decompressor, decompressor_for
from http_client.errors import ConnectionLost, HttpClientError, InvalidResponse
from http_client.reasons import reason_of

# Bytes that may arrive without any body among them: a head and the 1xx heads before it, chunk
# extensions, trailers. Common servers allow a head of 8 to 64 KiB.
MAX_OVERHEAD = 64 * 1024
# Header fields of one response. Providers send twenty to forty; Apache allows a request 100.
MAX_FIELDS = 256

# HEAD and CONNECT are left out because their responses have no body whatever their header fields
# say, and httptools has no way to be told so.
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TARGET = re.compile(r"[\x21-\x7e]+")
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # no CR, LF or NUL; one byte per character
# Header fields that this module sets, because they decide framing and routing.
_OURS = frozenset(
    "accept-encoding connection content-length expect host te transfer-encoding upgrade".split()
)


def request_head(
    method: str, target: str, host: str, headers: Iterable[tuple[str, str]], body: bytes | None
) -> bytes:
    """Return the encoded head that goes before `body`.

    `Accept-Encoding` is always `identity`: compression would delay tokens until a block is full. A
    response that is compressed all the same is decompressed (`decompression.py`). Raises
    ValueError, which never quotes a header's value, since that may be a key.
    """
    if method not in _METHODS:
        raise ValueError(f"method {method!r} is not supported")
    if not _TARGET.fullmatch(target):
        raise ValueError("an address is percent-encoded ASCII")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity"]
    for name, value in headers:
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError("a header name has a character that no header name can carry")
        if name.lower() in _OURS:
            raise ValueError(f"header {name} is the client's to set")
        if not _FIELD_VALUE.fullmatch(value):
            raise ValueError(f"header {name} has a character that no header can carry")
        lines.append(f"{name}: {value}")
    if body is not None or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body or b'')}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class ResponseHead(NamedTuple):
    """The status line and the header fields of a final (not 1xx) response."""

    version: str
    status: int
    reason: str
    headers: HTTPHeaders


class ResponseParser:
    """Parses one response: takes bytes as they are received, returns the bytes of the body.

    `head` is set by the `feed` that completed it. Once `done` is true, nothing more is to be fed,
    and `raise_for_failure` raises unless the response was complete. `reusable` says whether the
    connection may carry another request.
    """

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.done = False
        self.reusable = False
        self._failure: HttpClientError | None = None
        self._informational = False
        self._until_close = False
        self._decompressor: Decompressor | None = None
        self._reason = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._overhead = 0
        self._body: list[bytes] = []
        self.on_body = self._body.append  # called for every piece: spares a Python call
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the body that `data` contained, in one piece; b"" if none."""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._parser_failed(error)
        body = self._body
        if body and self.head is not None:  # without a head, it has a coding that is not supported
            self._overhead = 0
            chunk = body[0] if len(body) == 1 else b"".join(body)
            body.clear()
            return chunk if self._decompressor is None else self._decompressed(chunk)
        self._overhead += len(data)
        if self._overhead > MAX_OVERHEAD and not self.done:
            self._fail(InvalidResponse(reason="head_too_long"), None)
        return b""

    def end(self, error: BaseException, *, in_order: bool) -> None:
        """The connection ended.

        `in_order` says whether the other side closed it, which ends some bodies.
        """
        if self._until_close and in_order:
            self.done = True
        else:
            where = "before_the_head" if self.head is None else "in_the_body"
            self._fail(ConnectionLost(reason=f"{reason_of(error)}_{where}"), error)

    def raise_for_failure(self) -> None:
        """Raise InvalidResponse or ConnectionLost unless the response was complete."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Drop httptools' parser, which refers to this object's methods and so forms a cycle."""
        del self._parser

    # Callbacks of httptools. It would wrap an exception raised here, so `_fail` keeps ours instead.

    def on_message_begin(self) -> None:
        if self.done:
            raise ValueError("more than the response")
        self._informational = False
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is not None:
            return  # a trailer, which is not used
        if len(self._fields) >= MAX_FIELDS:
            raise _UnsupportedHead("too_many_headers")
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if status < 100 or status == 101 or not version.startswith("1."):
            raise _UnsupportedHead("http_version" if status >= 200 else f"http_{status}")
        fields, self._fields = self._fields, []
        if status < 200:
            self._informational = True
            return
        headers = HTTPHeaders()
        for name, value in fields:
            headers.add(name.decode("latin-1"), value.decode("latin-1").strip(" \t"))
        self._until_close = _ends_with_connection(status, headers)
        try:
            self._decompressor = decompressor_for(headers.get("Content-Encoding", ""))
        except InvalidResponse as error:
            # The status of an error says more than its body does, so only the body of a success
            # must be readable.
            if status < 300:
                self._fail(error, None)
                return
        self.head = ResponseHead(version, status, self._reason.decode("latin-1"), headers)

    def on_message_complete(self) -> None:
        if not self._informational:
            self.done = True
            self.reusable = self._parser.should_keep_alive()

    def _decompressed(self, chunk: bytes) -> bytes:
        assert self.head is not None
        assert self._decompressor is not None
        try:
            return self._decompressor.feed(chunk)
        except InvalidResponse as error:
            if self.head.status < 300:
                self._fail(error, None)
            return b""

    def _parser_failed(self, error: HttpParserError | HttpParserUpgrade) -> None:
        # The exception of a callback is the context of httptools' own; the context of any other
        # error is whatever the caller is handling, such as that a connection was stale.
        is_ours = isinstance(error, HttpParserCallbackError)
        cause = error.__context__ if is_ours and error.__context__ is not None else error
        if self.done:  # bytes after the end of the response, which belong to no request
            self.reusable = False
        elif self.head is None:
            self._fail(InvalidResponse(reason=_reason(cause)), cause)
        else:
            self._fail(ConnectionLost(reason=f"{_reason(cause)}_in_the_body"), cause)

    def _fail(self, failure: HttpClientError, cause: BaseException | None) -> None:
        failure.__cause__ = cause
        self._failure = failure
        self.done = True


class _UnsupportedHead(ValueError):
    """A head that is valid HTTP but not acceptable; its text is the reason."""


def _reason(cause: BaseException) -> str:
    if isinstance(cause, HttpParserUpgrade):
        return "http_upgrade"
    return str(cause) if isinstance(cause, _UnsupportedHead) else reason_of(cause)


def _ends_with_connection(status: int, headers: HTTPHeaders) -> bool:
    """Whether only the end of the connection ends the body. Raises _UnsupportedHead."""
    coding = headers.get("Transfer-Encoding", "chunked").lower()
    if coding != "chunked":
        raise _UnsupportedHead("transfer_encoding")
    framed = "Transfer-Encoding" in headers or "Content-Length" in headers
    return not framed and status not in (204, 304)
