"""The base of handlers that stream: a fast path from `flush` to the client's socket.

Tornado makes three futures, three callbacks and two copies for a chunk on its way through
`HTTP1Connection.write` and `IOStream.write`: 14 µs for a token whose sending takes the kernel four.
Once Tornado has sent a response's head, `flush` frames the chunk itself, and passes it to
`ClientConnection.write`, which sends it at once. Clients receive the same bytes. The end of a
response is Tornado's again, as is everything of one that is not chunked (HTTP/1.0, HEAD).
"""

from asyncio import Future
from typing import Any

from handlers.disconnect_aware import DisconnectAwareHandler
from sockets.client_connection import ClientConnection


class ChunkedHandler(DisconnectAwareHandler):
    """A handler whose response, if it says so, is chunked and sent without detours."""

    _is_chunked = False
    _stream: ClientConnection | None = None  # once the head of a chunked response was sent
    _chunk = b""  # what was written since the last flush

    def begin_chunks(self) -> None:
        """The response has a body of unknown length, so that Tornado chunks it if it can."""
        self._is_chunked = (
            self.request.version == "HTTP/1.1"
            and self.request.method != "HEAD"
            and not self.application.transforms
        )

    def write(self, chunk: str | bytes | dict[str, Any]) -> None:
        """Tornado's method; a chunked response is of bytes."""
        if self._stream is None:
            super().write(chunk)
        else:
            assert isinstance(chunk, bytes)
            self._chunk += chunk

    def flush(self, include_footers: bool = False) -> "Future[None]":
        """Tornado's method; at a response's end Tornado calls it with `include_footers`.

        Raises StreamClosedError if the connection is closed.
        """
        stream, chunk = self._stream, self._chunk
        if stream is not None and not include_footers:
            self._chunk = b""
            # An empty chunk would be the end of the response.
            return stream.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunk else b"")
        if chunk:
            super().write(chunk)
        written = super().flush(include_footers)
        if self._is_chunked and not include_footers:
            self._stream = self.connection_stream
        return written
