"""HTTP/1.1 as bytes: what is written, and what is made of what comes, wherever it is cut."""

import gzip
import zlib
from collections.abc import Iterator

import pytest

from http_client.decompression import MAX_DECOMPRESSED_BYTES
from http_client.errors import ConnectionLost, InvalidResponse
from http_client.http1 import MAX_FIELDS, MAX_OVERHEAD, ResponseParser, request_head

WORDS = "data: 你好 hello\n\n".encode() * 3

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FIVE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"


def read(*received: bytes) -> tuple[ResponseParser, bytes]:
    """Feed all of `received`, as a connection does: nothing after the parser is done."""
    parser = ResponseParser()
    body = b""
    for data in received:
        if not parser.done:
            body += parser.feed(data)
    return parser, body


def cuts(whole: bytes) -> Iterator[list[bytes]]:
    yield [bytes([byte]) for byte in whole]
    for position in range(1, len(whole)):
        yield [whole[:position], whole[position:]]


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(FIVE, id="content-length"),
        pytest.param(CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", id="chunked"),
        pytest.param(CHUNKED + b'5;name="x"\r\nhello\r\n0;last\r\n\r\n', id="chunk extensions"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", id="trailers"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + FIVE, id="100 before it"),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + FIVE,
            id="103 and 102 before it",
        ),
    ],
)
def test_a_response_is_the_same_wherever_it_is_cut(received: bytes) -> None:
    for pieces in [[received], *cuts(received)]:
        parser, body = read(*pieces)
        parser.raise_for_failure()
        assert parser.head is not None
        assert (200, "OK", b"hello") == (parser.head.status, parser.head.reason, body)
        assert parser.reusable
        assert "Link" not in parser.head.headers
        assert "X-Sum" not in parser.head.headers


def test_pieces_of_one_feed_come_as_one() -> None:
    parser = ResponseParser()
    parser.feed(CHUNKED)
    assert b"hello" == parser.feed(b"2\r\nhe\r\n3\r\nllo\r\n")


def test_a_part_of_a_chunk_is_not_held_back() -> None:
    parser = ResponseParser()
    assert b"hel" == parser.feed(CHUNKED + b"5\r\nhel")


def test_fields_of_one_name_are_all_kept_and_blanks_around_values_are_not() -> None:
    parser, _ = read(
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A:  2 \t\r\nx-b:\r\nContent-Length: 0\r\n\r\n"
    )
    assert parser.head is not None
    assert ["1", "2"] == parser.head.headers.get_list("X-A")
    assert "" == parser.head.headers["X-B"]


def test_a_response_without_a_reason_phrase_is_one() -> None:
    parser, _ = read(b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")
    assert parser.head is not None
    assert (200, "") == (parser.head.status, parser.head.reason)


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body_whatever_their_length_says(status: int) -> None:
    parser, body = read(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status)
    parser.raise_for_failure()
    assert (True, b"", True) == (parser.done, body, parser.reusable)


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", id="HTTP/1.0"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", id="close"
        ),
        pytest.param(FIVE + b"HTTP/1.1 200 OK\r\n\r\n", id="a second response after it"),
        pytest.param(FIVE + b"x", id="a byte after it"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhellox",
            id="close, and a byte after it",
        ),
    ],
)
def test_such_a_response_is_the_last_of_its_connection(received: bytes) -> None:
    parser, body = read(received)
    parser.raise_for_failure()
    assert (True, b"hello", False) == (parser.done, body, parser.reusable)


def test_a_kept_http_1_0_connection_is_reusable() -> None:
    parser, _ = read(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello")
    assert parser.reusable


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    parser, body = read(UNTIL_CLOSE)
    assert not parser.done
    parser.end(OSError("closed"), in_order=True)
    parser.raise_for_failure()
    assert (b"hello", False) == (body, parser.reusable)


@pytest.mark.parametrize(
    ("received", "in_order"),
    [
        pytest.param(b"", True, id="nothing came"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", True, id="in the head"),
        pytest.param(FIVE[:-1], True, id="a byte short of the length"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n", True, id="no last chunk"),
        pytest.param(CHUNKED + b"5\r\nhello\r\n0\r\n", True, id="in the trailers"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", True, id="after 100"),
        pytest.param(UNTIL_CLOSE, False, id="reset, where closing would have been the end"),
    ],
)
def test_an_end_too_early_is_broken(received: bytes, in_order: bool) -> None:
    parser, _ = read(received)
    cause = ConnectionResetError()
    parser.end(cause, in_order=in_order)
    with pytest.raises(ConnectionLost) as caught:
        parser.raise_for_failure()
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="ssh"),
        pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", id="HTTP/2"),
        pytest.param(b"HTTP/1.1 099 Hm\r\nContent-Length: 0\r\n\r\n", id="status 99"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", id="101"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n\0\0",
            id="upgrade",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two lengths"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            id="length and chunked",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", id="transfer coding"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", id="two codings"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nhello",
            id="content coding",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", id="NUL in a value"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_OVERHEAD, id="a line without end"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MAX_FIELDS + b"X: y\r\n\r\n",
            id="too many fields",
        ),
        pytest.param(
            b"HTTP/1.1 103 Early Hints\r\n\r\n" * (1 + MAX_OVERHEAD // 28), id="1xx without end"
        ),
    ],
)
def test_what_was_not_asked_for_is_a_bad_response(received: bytes) -> None:
    pieces = [received[at : at + 16384] for at in range(0, len(received), 16384)]
    parser, body = read(*pieces)
    assert parser.done
    assert b"" == body
    with pytest.raises(InvalidResponse):
        parser.raise_for_failure()


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"deflate"])
def test_an_error_may_be_encoded_anyhow_for_its_status_says_enough(coding: bytes) -> None:
    parser, _ = read(
        b"HTTP/1.1 503 Busy\r\nContent-Encoding: %b\r\nContent-Length: 3\r\n\r\nabc" % coding
    )
    parser.raise_for_failure()
    assert parser.head is not None
    assert 503 == parser.head.status


@pytest.mark.parametrize(
    ("coding", "compressed"),
    [
        # Of a time of their own: these bytes name the test, which every worker has to find.
        ("gzip", gzip.compress(WORDS, mtime=0)),
        ("X-Gzip", gzip.compress(WORDS[:7], mtime=0) + gzip.compress(WORDS[7:], mtime=0) + b"\0\0"),
        ("deflate", zlib.compress(WORDS)),
        ("deflate", zlib.compress(WORDS)[2:-4]),  # without header and checksum, as some have it
        ("identity", WORDS),
    ],
)
def test_what_comes_compressed_is_read_at_any_cut(coding: str, compressed: bytes) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\n".encode()
    head += b"Content-Length: %d\r\n\r\n" % len(compressed)
    for place in range(len(compressed)):
        parser, body = read(head + compressed[:place], compressed[place:])
        parser.raise_for_failure()
        assert WORDS == body
    _, body = read(head, *(bytes((byte,)) for byte in compressed))
    assert WORDS == body


def test_an_event_that_was_flushed_comes_before_the_next_is_sent() -> None:
    stream = zlib.compressobj(wbits=31)
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")

    for event in (b"data: a\n\n", b"data: b\n\n"):
        assert event == parser.feed(stream.compress(event) + stream.flush(zlib.Z_SYNC_FLUSH))


def test_what_inflates_too_far_is_a_bad_response() -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")

    assert b"" == parser.feed(gzip.compress(bytes(MAX_DECOMPRESSED_BYTES + 1)))
    with pytest.raises(InvalidResponse) as caught:
        parser.raise_for_failure()
    assert "inflates_too_far" == caught.value.reason


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(b"0\r\nX: " + b"x" * MAX_OVERHEAD, id="a trailer without end"),
        pytest.param(b"5;" + b"x" * MAX_OVERHEAD, id="a chunk extension without end"),
    ],
)
def test_what_surrounds_a_body_is_bounded(endless: bytes) -> None:
    parser = ResponseParser()
    assert b"hello" == parser.feed(CHUNKED + b"5\r\nhello\r\n")
    assert b"" == parser.feed(endless)
    with pytest.raises(InvalidResponse):
        parser.raise_for_failure()


def test_overhead_is_counted_from_the_last_piece_of_body() -> None:
    parser = ResponseParser()
    parser.feed(CHUNKED)
    for _ in range(3):
        assert b"" == parser.feed(b"5;" + b"x" * (MAX_OVERHEAD - 100))
        assert b"hello" == parser.feed(b"\r\nhello\r\n")
    parser.raise_for_failure()


def test_what_came_before_a_bad_chunk_is_handed_over() -> None:
    parser, body = read(CHUNKED + b"5\r\nhello\r\nTraceback (most recent call last):\r\n")
    assert b"hello" == body
    with pytest.raises(ConnectionLost):
        parser.raise_for_failure()


def test_a_request_is_framed_by_its_body() -> None:
    fields = [("Authorization", "Bearer k"), ("X-Name", "é")]
    head = (
        b"POST /v1?a=b HTTP/1.1\r\nHost: api.example:8443\r\nAccept-Encoding: identity\r\n"
        b"Authorization: Bearer k\r\nX-Name: \xe9\r\nContent-Length: 2\r\n\r\n"
    )
    assert head == request_head("POST", "/v1?a=b", "api.example:8443", fields, b"{}")
    assert b"Content-Length: 0\r\n" in request_head("POST", "/", "h", [], None)
    assert b"Content-Length" not in request_head("GET", "/", "h", [], None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Key", "k-1\r\nX-Other: k-1"),
        ("X-Key", "k-1\n"),
        ("X-Key", "k-1\0"),
        ("X-Key", "k-1 密钥"),
        ("X-Key: k-1\r\nX", "v-1"),
        ("X Key", "v-1"),
        ("", "v-1"),
        ("Host", "elsewhere.example"),
        ("content-length", "7"),
        ("Transfer-Encoding", "chunked"),
        ("Accept-Encoding", "gzip"),
        ("Connection", "close"),
    ],
)
def test_a_header_that_would_change_the_message_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match="header") as caught:
        request_head("POST", "/", "h", [(name, value)], b"")
    assert value not in str(caught.value)
    assert "k-1" not in str(caught.value)


@pytest.mark.parametrize("target", ["/a b", "/a\r\nX: y", "/文心", ""])
def test_a_target_that_is_not_encoded_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="percent-encoded"):
        request_head("GET", target, "h", [], None)


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "get", "GET /x HTTP/1.1\r\nX:"])
def test_a_method_whose_response_cannot_be_read_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match="method"):
        request_head(method, "/", "h", [], None)
