"""A wire between a browser and the server, for a test to cut.

A browser's offline switch keeps new connections from being made and tells the page; it leaves those
that are open as they are. A network that goes takes them with it: that is the wire's part.
"""

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from tornado.ioloop import IOLoop

from app.server import Server


class Wire:
    """Passes bytes on, both ways."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break every connection, for both sides."""
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._passing:
            await asyncio.wait(self._passing)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            self._writers.add(target)
            task = asyncio.create_task(self._pass(source, target))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
        except OSError:
            pass  # cut
        finally:
            target.close()
            self._writers.discard(target)


@pytest.fixture
def wire(io_loop: IOLoop, headrace: Server) -> Iterator[Wire]:
    """A wire to `headrace`."""
    laid = Wire(headrace.url)
    io_loop.run_sync(laid.start)
    yield laid
    io_loop.run_sync(laid.stop)
