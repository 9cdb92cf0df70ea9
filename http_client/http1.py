"""HTTP/1.1 as bytes, for a client: a request's bytes out, a response's bytes in.

Pure: no socket, no clock. httptools reads (its llhttp is strict about framing); what is read is
judged here, and what the other side could let grow has its bound here.
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

# Bytes that may come in a row with no body among them: a head and the 1xx heads before it, chunk
# extensions, trailers. Servers in common use allow a head 8 to 64 KiB.
MAX_OVERHEAD = 64 * 1024
# Fields of one head. Providers send twenty to forty; Apache allows a request 100.
MAX_FIELDS = 256

# HEAD and CONNECT are missing on purpose: their responses have no body whatever their fields say,
# and the parser cannot be told.
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TARGET = re.compile(r"[\x21-\x7e]+")
_FIELD_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # no CR, LF or NUL; one byte a character
# How a message is framed and where it goes is settled here, once.
_OURS = frozenset(
    "accept-encoding connection content-length expect host te transfer-encoding upgrade".split()
)


def request_head(
    method: str, target: str, host: str, headers: Iterable[tuple[str, str]], body: bytes | None
) -> bytes:
    """What goes before `body`. Raises ValueError, which never quotes a value: it may be a key.

    `Accept-Encoding` is always `identity`: tokens come as they are made, not as a block fills.
    Whoever compresses all the same is read (`decompression.py`).
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
    """The status line and the fields of a final (not 1xx) response."""

    version: str
    status: int
    reason: str
    headers: HTTPHeaders


class ResponseParser:
    """Feed what the connection brings, take the body out; one object for one response.

    `head` is there from the feed that completed it. When `done`, nothing more is wanted, and
    `raise_for_failure` raises unless that was a whole response. `reusable`: the connection may
    carry another request.
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
        self.on_body = self._body.append  # called by httptools for every piece: no frame of ours
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> bytes:
        """The body bytes that `data` brought, in one piece; b"" if none."""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._parser_failed(error)
        body = self._body
        if body and self.head is not None:  # else it is of a coding that nobody reads
            self._overhead = 0
            chunk = body[0] if len(body) == 1 else b"".join(body)
            body.clear()
            return chunk if self._decompressor is None else self._decompressed(chunk)
        self._overhead += len(data)
        if self._overhead > MAX_OVERHEAD and not self.done:
            self._fail(InvalidResponse(reason="head_too_long"), None)
        return b""

    def end(self, error: BaseException, *, in_order: bool) -> None:
        """The connection ended: `in_order` if the other side closed it, which ends some bodies."""
        if self._until_close and in_order:
            self.done = True
        else:
            where = "before_the_head" if self.head is None else "in_the_body"
            self._fail(ConnectionLost(reason=f"{reason_of(error)}_{where}"), error)

    def raise_for_failure(self) -> None:
        """Raise InvalidResponse or ConnectionLost unless the response was whole."""
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Drop httptools' parser, which holds our methods and so this object: a cycle."""
        del self._parser

    # What httptools calls. An exception raised in here would come out wrapped: `_fail` keeps ours.

    def on_message_begin(self) -> None:
        if self.done:
            raise ValueError("more than the response")
        self._informational = False
        self._reason = b""

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is not None:
            return  # a trailer: nobody asked for it
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
            # An error's status says more than its body: only a success has to be readable.
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
        # A callback's exception is the context of httptools' own; of any other error the context is
        # whatever its caller is just handling, such as a connection that was stale.
        is_ours = isinstance(error, HttpParserCallbackError)
        cause = error.__context__ if is_ours and error.__context__ is not None else error
        if self.done:  # bytes behind the end: nobody knows whose they are
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
    """A head that is HTTP, but not what was asked for; its text is the reason."""


def _reason(cause: BaseException) -> str:
    if isinstance(cause, HttpParserUpgrade):
        return "http_upgrade"
    return str(cause) if isinstance(cause, _UnsupportedHead) else reason_of(cause)


def _ends_with_connection(status: int, headers: HTTPHeaders) -> bool:
    """Whether only the connection's end ends the body. Raises _UnsupportedHead."""
    coding = headers.get("Transfer-Encoding", "chunked").lower()
    if coding != "chunked":
        raise _UnsupportedHead("transfer_encoding")
    framed = "Transfer-Encoding" in headers or "Content-Length" in headers
    return not framed and status not in (204, 304)
