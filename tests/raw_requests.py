"""Requests as no client should send them, byte for byte, and what becomes of each.

`CORPUS` names for every case the bytes, the statuses that we answer with, in order, and the paths
of the requests that our handlers get to see. A hang-up without a response is an empty list. None of
them may leave a connection open, nor make a request of what was somebody's body.
"""

import gzip
from typing import NamedTuple

BODY = b'{"content": "q"}'  # 16 bytes
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

CHAT = "/api/v1/chat"


class Case(NamedTuple):
    data: bytes
    statuses: list[int]
    seen: list[str]


def _post(*fields: bytes, body: bytes = b"") -> bytes:
    lines = [
        b"POST /api/v1/chat HTTP/1.1",
        b"Host: localhost",
        b"Accept: application/json",
        b"Content-Type: application/json",
        *fields,
        b"",
        body,
    ]
    return b"\r\n".join(lines)


def _get(*fields: bytes, line: bytes = b"GET /healthz HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: localhost", *fields, b"", b""])


def _chunked(body: bytes, *fields: bytes) -> bytes:
    return _post(b"Transfer-Encoding: chunked", *fields, body=body)


_CHUNK = b"10\r\n" + BODY + b"\r\n"
_LENGTH = b"Content-Length: 16"
_PARTS = b'--x\r\nContent-Disposition: form-data; name="content"\r\n\r\nq\r\n--x--\r\n'
_BOMB = gzip.compress(b" " * 1_000_000 + BODY)

CORPUS = {
    # Two lengths, or none that is one
    "two lengths": Case(_post(_LENGTH, b"Content-Length: 17", body=BODY + b" "), [400], []),
    "the same length twice": Case(_post(_LENGTH, _LENGTH, body=BODY), [200], [CHAT]),
    "a list of lengths": Case(_post(b"Content-Length: 16, 17", body=BODY + b" "), [400], []),
    "a signed length": Case(_post(b"Content-Length: +16", body=BODY), [400], []),
    "a negative length": Case(_post(b"Content-Length: -1", body=BODY), [400], []),
    "a hexadecimal length": Case(_post(b"Content-Length: 0x10", body=BODY), [400], []),
    "a length of other digits": Case(_post(b"Content-Length: \xb9\xb6", body=BODY), [400], []),
    "a length past all bounds": Case(_post(b"Content-Length: " + b"9" * 400), [400], []),
    "an empty length": Case(_post(b"Content-Length:", body=BODY), [400], []),
    "a space before the colon": Case(_post(b"Content-Length : 16", body=BODY), [400], []),
    "a length after a NUL": Case(_post(b"X: a\x00", _LENGTH, body=BODY), [400], []),
    "a length after a lone CR": Case(_post(b"X: a\rContent-Length: 16", body=BODY), [400], []),
    "a length on a folded line": Case(_post(b"X: a", b" Content-Length: 16", body=b""), [400], []),
    "a request in a body": Case(
        _get(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED, [415], ["/healthz"]
    ),
    "a request after a body": Case(
        _post(_LENGTH, body=BODY) + _get(), [200, 200], [CHAT, "/healthz"]
    ),
    # A length and chunks
    "a length and chunks": Case(_chunked(_CHUNK + b"0\r\n\r\n", _LENGTH), [400], []),
    "a length of nothing and chunks": Case(
        _chunked(b"0\r\n\r\n" + SMUGGLED, b"Content-Length: 4"), [400], []
    ),
    "chunks twice": Case(_chunked(_CHUNK + b"0\r\n\r\n", b"Transfer-Encoding: chunked"), [400], []),
    "chunks and then identity": Case(
        _chunked(_CHUNK + b"0\r\n\r\n", b"Transfer-Encoding: identity"), [400], []
    ),
    "a coding that only looks like chunks": Case(
        _post(b"Transfer-Encoding: xchunked", _LENGTH, body=BODY), [400], []
    ),
    "a coding after a tab": Case(
        _post(b"Transfer-Encoding:\tchunked", body=_CHUNK + b"0\r\n\r\n"), [200], [CHAT]
    ),
    "a coding after a vertical tab": Case(
        _post(b"Transfer-Encoding:\x0bchunked", body=_CHUNK + b"0\r\n\r\n"), [400], []
    ),
    "a coding on a folded line": Case(
        _post(b"Transfer-Encoding:", b" chunked", body=_CHUNK + b"0\r\n\r\n"), [400], []
    ),
    "a coding in capitals": Case(
        _post(b"Transfer-Encoding: CHUNKED", body=_CHUNK + b"0\r\n\r\n"), [200], [CHAT]
    ),
    "a coding of gzip": Case(_post(b"Transfer-Encoding: gzip, chunked", body=_CHUNK), [400], []),
    "chunks in HTTP/1.0": Case(
        _chunked(_CHUNK + b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0", 1) + SMUGGLED, [400], []
    ),
    # Chunks
    "chunks": Case(_chunked(_CHUNK + b"0\r\n\r\n"), [200], [CHAT]),
    "a request after chunks": Case(
        _chunked(_CHUNK + b"0\r\n\r\n") + _get(), [200, 200], [CHAT, "/healthz"]
    ),
    "a chunk of signed size": Case(_chunked(b"+10\r\n" + BODY + b"\r\n0\r\n\r\n"), [400], []),
    "a chunk of prefixed size": Case(_chunked(b"0x10\r\n" + BODY + b"\r\n0\r\n\r\n"), [400], []),
    "a chunk of grouped size": Case(_chunked(b"1_0\r\n" + BODY + b"\r\n0\r\n\r\n"), [400], []),
    "a chunk of negative size": Case(_chunked(b"-10\r\n" + BODY + b"\r\n0\r\n\r\n"), [400], []),
    "a chunk of padded size": Case(_chunked(b"10 \r\n" + BODY + b"\r\n0\r\n\r\n"), [400], []),
    "a chunk of no size": Case(_chunked(b"\r\n" + BODY + b"\r\n0\r\n\r\n"), [400], []),
    "a chunk past all bounds": Case(_chunked(b"f" * 20 + b"\r\n" + BODY), [400], []),
    "a chunk with an extension": Case(_chunked(b"10;a=b\r\n" + BODY + b"\r\n0\r\n\r\n"), [400], []),
    "a chunk with an endless extension": Case(_chunked(b"10;" + b"a" * 10_000), [], []),
    "a chunk longer than its size": Case(_chunked(b"f\r\n" + BODY + b"\r\n0\r\n\r\n"), [400], []),
    "a chunk whose size ends in LF": Case(_chunked(b"10\n" + BODY + b"\r\n0\r\n\r\n"), [400], []),
    "a chunk that ends in LF": Case(_chunked(b"10\r\n" + BODY + b"\n0\r\n\r\n"), [400], []),
    "trailers": Case(_chunked(_CHUNK + b"0\r\nX: y\r\n\r\n"), [400], []),
    "no last chunk": Case(_chunked(_CHUNK), [], []),
    # Request lines
    "two spaces": Case(_get(line=b"GET  /healthz HTTP/1.1"), [400], []),
    "no version": Case(b"GET /healthz\r\n\r\n", [400], []),
    "a version to come": Case(_get(line=b"GET /healthz HTTP/9.9"), [400], []),
    "HTTP/2": Case(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400], []),
    "HTTP/2 by upgrade": Case(
        _get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
        [200],
        ["/healthz"],
    ),
    "TLS": Case(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), [], []),
    "a whole address": Case(
        _get(line=b"GET http://localhost/healthz HTTP/1.1"), [200], ["/healthz"]
    ),
    "a whole address and another host": Case(
        _get(line=b"GET http://localhost/healthz HTTP/1.1").replace(b": localhost", b": x"),
        [200],
        ["/healthz"],
    ),
    "a whole address and no host": Case(
        b"GET http://localhost/healthz HTTP/1.1\r\n\r\n", [400], []
    ),
    "a whole address and two hosts": Case(
        _get(b"Host: localhost", line=b"GET http://localhost/healthz HTTP/1.1"), [400], []
    ),
    "a whole address with a user": Case(
        _get(line=b"GET http://u:p@localhost/healthz HTTP/1.1"), [400], []
    ),
    "a whole address of another kind": Case(
        _get(line=b"GET ftp://localhost/healthz HTTP/1.1"), [400], []
    ),
    "a path that begins nowhere": Case(_get(line=b"GET healthz HTTP/1.1"), [400], []),
    "a path with a fragment": Case(_get(line=b"GET /healthz#x HTTP/1.1"), [400], []),
    "a host alone": Case(_get(line=b"GET localhost:80 HTTP/1.1"), [400], []),
    "somebody else's address": Case(
        _get(line=b"GET http://example.org/healthz HTTP/1.1"), [403], ["/healthz"]
    ),
    "a tunnel": Case(_get(line=b"CONNECT example.org:443 HTTP/1.1"), [405], ["example.org:443"]),
    "a method in small letters": Case(_get(line=b"get /healthz HTTP/1.1"), [405], ["/healthz"]),
    "a method of no use": Case(_get(line=b"TRACE /healthz HTTP/1.1"), [405], ["/healthz"]),
    "the server as such": Case(_get(line=b"OPTIONS * HTTP/1.1"), [204], ["*"]),
    "the server as such, to be read": Case(_get(line=b"GET * HTTP/1.1"), [400], []),
    "the server at an address": Case(_get(line=b"OPTIONS http://localhost HTTP/1.1"), [204], ["*"]),
    "a path that climbs": Case(
        _get(line=b"GET /api/../../etc/passwd HTTP/1.1"), [404], ["/api/../../etc/passwd"]
    ),
    "a path with a line end in it": Case(
        _get(line=b"GET /healthz%0d%0aX: HTTP/1.1"), [404], ["/healthz%0d%0aX:"]
    ),
    "a path of bytes": Case(_get(line=b"GET /\xff\xfe HTTP/1.1"), [404], ["/\xff\xfe"]),
    "a path with a NUL": Case(_get(line=b"GET /\x00 HTTP/1.1"), [400], []),
    "empty lines first": Case(b"\r\n\r\n" + _get(), [400], []),
    # Heads
    "no host": Case(b"GET /healthz HTTP/1.1\r\n\r\n", [400], []),
    "two hosts": Case(_get(b"Host: example.org"), [400], []),
    "a list of hosts": Case(b"GET /healthz HTTP/1.1\r\nHost: localhost, x\r\n\r\n", [400], []),
    "a name with a space": Case(_get(b"X Y: z"), [400], []),
    "a name of nothing": Case(_get(b": z"), [400], []),
    "a line without a colon": Case(_get(b"X"), [400], []),
    "LF alone": Case(_get().replace(b"\r\n", b"\n"), [400], []),
    "one LF alone": Case(b"GET /healthz HTTP/1.1\r\nHost: localhost\n\r\n", [400], []),
    "a request hidden after LF": Case(_post(b"X: y\n", _LENGTH, body=BODY), [400], []),
    "too many fields": Case(_get(*[b"X-%d: y" % number for number in range(101)]), [431], []),
    "a field that is too long": Case(_get(b"X: " + b"y" * 40_000), [431], []),
    # Bodies
    "a body that was to be announced": Case(
        _post(_LENGTH, b"Expect: 100-continue", body=BODY), [100, 200], [CHAT]
    ),
    "a body that is not wanted": Case(_post(b"Content-Length: 99999999"), [413], []),
    "a body that is not wanted, announced": Case(
        _post(b"Content-Length: 99999999", b"Expect: 100-continue"), [413], []
    ),
    "a compressed body": Case(
        _post(b"Content-Encoding: gzip", b"Content-Length: %d" % len(_BOMB), body=_BOMB),
        [415],
        [CHAT],
    ),
    "a body that is compressed twice": Case(
        _post(b"Content-Encoding: identity, BR", _LENGTH, body=BODY), [415], [CHAT]
    ),
    "a body that is not compressed": Case(
        _post(b"Content-Encoding: Identity", _LENGTH, body=BODY), [200], [CHAT]
    ),
    "a form": Case(
        _post(b"Content-Length: 9", body=b"content=q").replace(b"json", b"x-www-form-urlencoded"),
        [415],
        [CHAT],
    ),
    "parts": Case(
        _post(b"Content-Length: %d" % len(_PARTS), body=_PARTS).replace(
            b"application/json\r\nCon", b"multipart/form-data; boundary=x\r\nCon"
        ),
        [415],
        [CHAT],
    ),
    # One after the other
    "two at once": Case(_get() + _get(), [200, 200], ["/healthz", "/healthz"]),
    "twenty at once": Case(_get() * 20, [200] * 20, ["/healthz"] * 20),
    "a request after the last": Case(_get(b"Connection: close") + SMUGGLED, [200], ["/healthz"]),
    "a request after a refused one": Case(_get(b"X Y: z") + SMUGGLED, [400], []),
    "a request after a stream": Case(
        _post(_LENGTH, body=BODY).replace(b"application/json", b"text/event-stream", 1) + _get(),
        [200, 200],
        [CHAT, "/healthz"],
    ),
    "nothing": Case(b"", [], []),
    "half a head": Case(b"GET /healthz HTTP/1.1\r\nHost: local", [], []),
    "half a body": Case(_post(_LENGTH, body=BODY[:8]), [], []),
    "noise": Case(bytes(range(256)) * 10 + b"\r\n\r\n", [400], []),
}
