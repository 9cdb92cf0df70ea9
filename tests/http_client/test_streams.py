"""Streams over a pair of sockets: what no server can be made to do at the right moment."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest
import trustme
from tornado.ioloop import IOLoop

from http_client.connection import Connection
from http_client.endpoints import Endpoint
from http_client.errors import ConnectionLost
from http_client.http1 import ResponseHead
from http_client.poller import SocketPoller
from http_client.streams import READ_BYTES, SocketStream, TlsStream
from tests.http_client.far_side import OK

ENDPOINT = Endpoint("upstream.example", 443, secure=True)


@pytest.fixture
def pair(io_loop: IOLoop) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our socket and the other side's."""
    ours, other = socket.socketpair()
    ours.setblocking(False)
    yield ours, other
    ours.close()
    other.close()


class TlsServer:
    """The other side's TLS, which sends its closing alert on request."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trustme.CA().issue_cert("upstream.example").configure_cert(context)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def shake_hands(self, client: TlsStream) -> None:
        for _ in range(3):
            client.shake_hands()
            self._try(self._tls.do_handshake)
            client.receive_handshake(READ_BYTES)
        assert client.shake_hands()

    def shake_hands_once(self, text: bytes = b"") -> None:
        """Answer what came, with `text` in the same segment if that ends the handshake."""
        self._incoming.write(received(self._socket))
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            self._tls.write(text)
        self._send()

    def say(self, text: bytes) -> None:
        self._tls.write(text)
        self._send()

    def say_goodbye(self) -> None:
        """Say that nothing follows, and leave the socket open."""
        self._try(self._tls.unwrap)

    def _try(self, step: Callable[[], object]) -> None:
        self._incoming.write(received(self._socket))
        with suppress(ssl.SSLError):  # more has to come first
            step()
        self._send()

    def _send(self) -> None:
        self._socket.sendall(self._outgoing.read())


def received(sock: socket.socket) -> bytes:
    """All that came."""
    sock.setblocking(False)
    pieces = []
    with suppress(BlockingIOError):
        while piece := sock.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def tls_pair(ours: socket.socket, other: socket.socket) -> tuple[TlsStream, TlsServer]:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    stream, server = TlsStream(ours, context, "upstream.example"), TlsServer(other)
    server.shake_hands(stream)
    return stream, server


@pytest.mark.gen_test
async def test_an_end_behind_a_failed_write_is_not_in_order(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """It would end a body that has no length, although some of it may be missing."""
    ours, other = pair
    heads: list[ResponseHead] = []
    pieces: list[bytes] = []
    with closing(SocketPoller()) as poller:
        connection = Connection(SocketStream(ours), ENDPOINT, poller)
        other.sendall(OK + b"\r\nhello")
        other.close()
        with pytest.raises(ConnectionLost) as caught:
            await connection.exchange(b"GET / HTTP/1.1\r\n\r\n", heads.append, pieces.append)
        connection.close()
    assert ("reset_in_the_body", [b"hello"]) == (caught.value.reason, pieces)


@pytest.mark.gen_test
async def test_a_goodbye_of_tls_behind_text_ends_the_body_while_the_socket_stays_open(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    stream, server = tls_pair(*pair)
    heads: list[ResponseHead] = []
    pieces: list[bytes] = []
    with closing(SocketPoller()) as poller:
        connection = Connection(stream, ENDPOINT, poller)
        exchange = asyncio.ensure_future(
            connection.exchange(b"GET / HTTP/1.1\r\n\r\n", heads.append, pieces.append)
        )
        await asyncio.sleep(0)
        server.say(OK + b"\r\nhello")
        server.say_goodbye()
        async with asyncio.timeout(1):
            await exchange
        assert not connection.reusable
        connection.close()
    assert [b"hello"] == pieces


def test_text_before_bytes_that_are_no_tls_is_read_before_the_error(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, other = pair
    stream, server = tls_pair(ours, other)
    server.say(b"hello")
    other.sendall(b"GET / HTTP/1.1\r\n")
    assert b"hello" == stream.recv(READ_BYTES)
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            stream.recv(READ_BYTES)


def test_text_right_behind_the_handshake_fails_it(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """It would be taken for the response to the first request."""
    ours, other = pair
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # the server has the last word
    stream, server = TlsStream(ours, context, "upstream.example"), TlsServer(other)
    assert not stream.shake_hands()
    server.shake_hands_once()
    stream.receive_handshake(READ_BYTES)
    assert not stream.shake_hands()
    server.shake_hands_once(b"HTTP/1.1 200 OK\r\n\r\n")
    stream.receive_handshake(READ_BYTES)
    with pytest.raises(ConnectionAbortedError):
        stream.shake_hands()


def test_a_record_that_is_cut_is_waited_for(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, other = pair
    stream, server = tls_pair(ours, other)
    server.say(b"hello" * 100)
    with pytest.raises(BlockingIOError):
        stream.recv(10)
    assert b"hello" * 100 == stream.recv(READ_BYTES)
    with pytest.raises(BlockingIOError):
        stream.recv(READ_BYTES)


def test_a_request_is_encrypted_as_the_socket_takes_it(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, other = pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    stream, _ = tls_pair(ours, other)
    stream.write(bytes(1_000_000))
    flushes, count = 0, 0
    while stream.is_sending:
        count += len(received(other))
        stream.flush()
        flushes += 1
    count += len(received(other))
    assert flushes > 10
    assert 1_000_000 < count < 1_025_000  # a record of each kilobyte, with 22 bytes of its own
