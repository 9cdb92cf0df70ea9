"""What a connection reads from and writes to: a non-blocking socket, with TLS or without.

Both kinds have the `recv` of a socket, which raises BlockingIOError if nothing was received. What
cannot be sent at once is kept, and sent by `flush` when the socket is writable again.

TLS works on buffers in memory. So a read is one system call, and no received text stays inside
OpenSSL, where the poller could not see it.
"""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from http_client.reasons import ClosedByPeer

# Bytes of one read. A TLS record is at most this long; a streamed token has a few hundred bytes.
READ_BYTES: Final = 16 * 1024

# Bytes that go through a buffer of TLS at a time. OpenSSL does not shrink these buffers, so that
# each stream would keep two as large as its request and its longest read.
_PIECE_BYTES: Final = 1024

# Pieces that are encrypted before they are sent, so that a long request is not in memory twice.
_MOST_PIECES: Final = 64


class SocketStream:
    """A connected socket without TLS."""

    __slots__ = ("_socket", "_unsent", "send_error")

    def __init__(self, sock: socket.socket) -> None:
        self.send_error: OSError | None = None  # why nothing more can be sent
        self._socket = sock
        self._unsent: memoryview | None = None

    @property
    def recv(self) -> Callable[[int], bytes]:
        """The socket's own method, so that a read costs no other call."""
        return self._socket.recv

    @property
    def is_sending(self) -> bool:
        """Whether something is left to send."""
        return self._unsent is not None

    def fileno(self) -> int:
        """Return the socket's descriptor, -1 once it is closed."""
        return self._socket.fileno()

    def write(self, data: bytes) -> None:
        """Send `data`, now or in later calls of `flush`. Nothing else may be left to send."""
        self._unsent = memoryview(data)
        self.flush()

    def flush(self) -> None:
        """Send as much as the socket takes. A failure sets `send_error`, and reading may go on."""
        self._unsent = self._rest_of(self._unsent)

    def close(self) -> None:
        """Close the socket at once. May be called repeatedly."""
        self._unsent = None
        self._socket.close()

    def _rest_of(self, data: memoryview | None) -> memoryview | None:
        """Send as much of `data` as possible, and return the rest; None if there is none."""
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                return data
            except OSError as error:
                self.send_error = error
                return None
        return None


class TlsStream(SocketStream):
    """The client's side of TLS on a connected socket."""

    __slots__ = ("_end", "_incoming", "_outgoing", "_plain", "_tls")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, host: str) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._plain: memoryview | None = None  # the part of a request that is not encrypted yet
        self._end: OSError | bytes | None = None  # what `recv` raises or returns after the end

    @property
    def is_sending(self) -> bool:
        """Whether something is left to send."""
        return self._unsent is not None or self._plain is not None

    def shake_hands(self) -> bool:
        """Continue the handshake with what was received; returns whether it is complete.

        Raises ssl.SSLError, after sending the other side an alert, and ConnectionAbortedError if
        text came right behind the handshake: the poller could not see it, and the next read would
        take it for the response to a request.
        """
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self.flush()
        if self._decrypted():
            raise ConnectionAbortedError("the other side sent text before a request")
        return True

    def receive_handshake(self, count: int) -> None:
        """Read bytes of the handshake, if there are any. Raises OSError if the connection ended, or
        as `shake_hands` does.
        """
        try:
            data = self._socket.recv(count)
        except BlockingIOError:
            return
        if not data:
            raise ClosedByPeer
        try:
            for piece in _pieces(data):
                with suppress(ssl.SSLWantReadError):
                    self._tls.do_handshake()  # with the piece before this one
                self._incoming.write(piece)
        finally:
            self.flush()

    def write(self, data: bytes) -> None:
        """Encrypt and send `data`, now or in later calls of `flush`."""
        self._plain = memoryview(data)
        self.flush()

    def flush(self) -> None:
        """Send as much as the socket takes, and encrypt only a little more than that."""
        while True:
            super().flush()
            if self._unsent is not None:
                return
            if self.send_error is not None:
                self._plain = None
                return
            encrypted = self._encrypted()
            if not encrypted:
                return  # all was sent, or TLS 1.2 first needs the rest of a new handshake
            self._unsent = memoryview(encrypted)

    def close(self) -> None:
        """Close the socket at once. May be called repeatedly."""
        self._plain = None
        super().close()

    def recv(self, count: int) -> bytes:
        """Read up to `count` encrypted bytes and return their text; b"" at the end.

        A connection that is closed without TLS's close_notify counts as closed in order, since many
        servers do that; HTTP's framing shows whether a body is complete. Raises BlockingIOError if
        there is no text yet.
        """
        if self._end is None:
            data = self._socket.recv(count)
            if not data:
                self._incoming.write_eof()
            if text := self._decrypted(data):
                return text
        if self._end is None:
            raise BlockingIOError
        if isinstance(self._end, bytes):
            return self._end
        raise self._end

    def _encrypted(self) -> bytes:
        """Return what is to be sent next: messages of TLS itself, and a part of the request."""
        pieces = [self._outgoing.read()]
        while self._plain is not None and len(pieces) < _MOST_PIECES:
            self._encrypt()
            if not (piece := self._outgoing.read()):
                break
            pieces.append(piece)
        return b"".join(pieces)

    def _encrypt(self) -> None:
        assert self._plain is not None
        try:
            written = self._tls.write(self._plain[:_PIECE_BYTES])
        except ssl.SSLWantReadError:  # a server of TLS 1.2 asked for a new handshake
            return
        except ssl.SSLError as error:  # the other side has sent close_notify, for example
            self.send_error, self._plain = error, None
            return
        self._plain = self._plain[written:] or None

    def _decrypted(self, data: bytes = b"") -> bytes:
        """Return all text that was received, with `data` as the last. An end after it is left to
        the next `recv`.
        """
        texts: list[bytes] = []
        if not data:
            self._decrypt_into(texts)
        for piece in _pieces(data):
            self._incoming.write(piece)
            self._decrypt_into(texts)
            if self._end is not None:
                break
        if self._outgoing.pending:  # a message of TLS itself, such as a key update or an alert
            self.flush()
        if texts and self._end is not None:
            # Makes the socket readable, so that the poller reports it once more. If it fails, the
            # connection is gone, which makes it readable too.
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RD)
        return b"".join(texts) if len(texts) != 1 else texts[0]

    def _decrypt_into(self, texts: list[bytes]) -> None:
        try:
            while text := self._tls.read(READ_BYTES):
                texts.append(text)
            self._end = b""  # close_notify
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLEOFError:
            self._end = b""
        except ssl.SSLError as error:
            self._end = error


def _pieces(data: bytes) -> list[bytes]:
    """Cut `data` into pieces for a buffer of TLS."""
    if len(data) <= _PIECE_BYTES:
        return [data] if data else []
    return [data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES)]
