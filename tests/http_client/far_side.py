"""The other end of the upstream client's connections, on real sockets.

`FarSide` accepts and does nothing else: a test says for each connection what is sent, when, and how
it ends. What has a fault of its own has a class named for it.
"""

import asyncio
import os
import socket
import ssl
import struct
from contextlib import suppress
from typing import Any

from tornado.httpclient import HTTPResponse
from tornado.netutil import Resolver

from http_client.client import HttpClient
from tests.mongod import free_ports

OK = b"HTTP/1.1 200 OK\r\n"
FIVE = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """The next request, head and body."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        fields = head.lower().split(b"\r\n")
        lengths = [field[15:] for field in fields if field.startswith(b"content-length:")]
        return head + await self._reader.readexactly(int(lengths[0]) if lengths else 0)

    async def read(self, count: int) -> bytes:
        return await self._reader.readexactly(count)

    def say(self, *pieces: bytes) -> None:
        self._writer.write(b"".join(pieces))

    async def left(self) -> bytes:
        """Wait until the client has closed; what it had sent before."""
        try:
            return await self._reader.read()
        except ConnectionResetError:
            return b""

    async def close(self) -> None:
        """Close in order, and be closed when this returns."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def reset(self) -> None:
        """Vanish: no FIN but an RST."""
        linger = struct.pack("ii", 1, 0)
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()
        await self.close()

    def stop_reading(self) -> None:
        """Leave what the client sends where it is."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Become a TLS server, as behind a proxy's tunnel."""
        await self._writer.start_tls(context)


class FarSide:
    """Accepts connections and hands them to the test, in order."""

    def __init__(self) -> None:
        self._arrivals: asyncio.Queue[Peer] = asyncio.Queue()
        self._peers: list[Peer] = []
        self._servers: list[asyncio.Server] = []
        self.accepted = 0

    async def listen(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> int:
        """Begin to accept; the port."""
        server = await asyncio.start_server(self._accepted, host, 0, ssl=tls, limit=2**20)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def peer(self) -> Peer:
        """The next connection made to us."""
        return await self._arrivals.get()

    async def close(self) -> None:
        """Accept no more, and close what was accepted."""
        for server in self._servers:
            server.close()
        await self.close_peers()

    async def close_peers(self) -> None:
        """Close what was accepted."""
        while not self._arrivals.empty():
            self._arrivals.get_nowait()
        while self._peers:
            await self._peers.pop().close()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.accepted += 1
        self._peers.append(peer)
        self._arrivals.put_nowait(peer)


class TalksFirst:
    """Greets every client, in the same iteration of the event loop in which it accepts."""

    def __init__(self, greeting: bytes) -> None:
        self._greeting = greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepted: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        for sock in [self._listener, *self._accepted]:
            sock.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.send(self._greeting)
        self._accepted.append(connection)


class FullBacklog:
    """Listens and accepts nothing: the TCP handshake of a client that connects now has to wait."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port: int = self._listener.getsockname()[1]
        self._filler = socket.create_connection(("127.0.0.1", self.port))

    def close(self) -> None:
        self._filler.close()
        self._listener.close()


class NeverResolver(Resolver):
    """A name server that does not answer."""

    def initialize(self) -> None:
        self.asked = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def resolve(self, host: str, port: int, family: int = 0) -> list[tuple[int, Any]]:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()
        raise AssertionError("unreachable")


class TimedOutResolver(Resolver):
    """Fails as the kernel does, for reasons of its own."""

    async def resolve(self, host: str, port: int, family: int = 0) -> list[tuple[int, Any]]:
        raise TimeoutError(110, "Connection timed out")


class FixedResolver(Resolver):
    """Every name has these addresses."""

    def initialize(self, addresses: list[tuple[int, Any]]) -> None:
        self.addresses = addresses

    async def resolve(self, host: str, port: int, family: int = 0) -> list[tuple[int, Any]]:
        return self.addresses


async def turns(count: int) -> None:
    """Let the event loop run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


def unused_port() -> int:
    """A port nobody listens on, and that nobody who asks for any is given."""
    return free_ports(1)[0]


def open_sockets() -> int:
    """How many sockets this process holds."""
    return sum(_is_socket(descriptor) for descriptor in os.listdir("/proc/self/fd"))


def _is_socket(descriptor: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
    except FileNotFoundError:  # the one that listed them
        return False


async def begun(
    client: HttpClient, far_side: FarSide, url: str
) -> tuple[asyncio.Task[HTTPResponse], Peer]:
    """A fetch on a connection of its own that waits for its answer."""
    fetch = client.fetch(url)
    peer = await far_side.peer()
    await peer.request()
    return fetch, peer
