"""Fixtures of the HTTP client's tests: a `client`, the `far_side` of its connections, its `url`."""

from collections.abc import Iterator

import pytest
from tornado.ioloop import IOLoop

from http_client.client import HttpClient
from tests.http_client.far_side import FarSide


@pytest.fixture
def client(io_loop: IOLoop) -> Iterator[HttpClient]:
    """A client with the limits it has by default."""
    client = HttpClient()
    yield client
    client.close()


@pytest.fixture
def far_side(io_loop: IOLoop) -> Iterator[FarSide]:
    """A server that does what the test says, and nothing else."""
    far_side = FarSide()
    yield far_side
    io_loop.run_sync(far_side.close)


@pytest.fixture
def url(io_loop: IOLoop, far_side: FarSide) -> str:
    """Where the far side listens."""
    port = io_loop.run_sync(far_side.listen)
    return f"http://127.0.0.1:{port}/"
