"""A TCP proxy between a client and the server, whose connections a test can break.

So a network fails. A browser's offline mode prevents new connections and notifies the page, but
keeps open ones.
"""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from tornado.ioloop import IOLoop

from app.server import Server


class TcpProxy:
    """Forwards bytes in both directions."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._forwarding: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._refuses = False
        self.url = ""
        self.passed = bytearray()  # what clients were sent

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break all connections, on both sides."""
        for writer in self._writers:
            writer.transport.abort()

    def refuse(self) -> None:
        """Break all connections, and new ones as well, until `accept`."""
        self._refuses = True
        self.cut()

    def accept(self) -> None:
        """Forward new connections again."""
        self._refuses = False

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._forwarding:
            await asyncio.wait(self._forwarding)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            self._writers.add(target)
            passed = self.passed if target is writer else None
            task = asyncio.create_task(self._forward(source, target, passed))
            self._forwarding.add(task)
            task.add_done_callback(self._forwarding.discard)

    async def _forward(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        passed: bytearray | None,
    ) -> None:
        try:
            while data := await source.read(65536):
                if passed is not None:
                    passed += data
                target.write(data)
        except OSError:
            pass  # cut
        finally:
            target.close()
            self._writers.discard(target)


@pytest.fixture
def tcp_proxy(io_loop: IOLoop, headrace: Server) -> Iterator[TcpProxy]:
    """A proxy to `headrace`."""
    proxy = TcpProxy(headrace.url)
    io_loop.run_sync(proxy.start)
    yield proxy
    io_loop.run_sync(proxy.stop)
