"""A burst of questions is admitted in portions, between which open streams get their turns."""

import asyncio
import socket
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.serving import Serving

_COUNT = 100

# Connections, and questions, of one turn of the event loop.
_PORTION = 16

_LIMITS = {
    "questions_per_minute": 0,
    "answers_per_user": 0,
    "requests_per_user": 0,
    "streams_per_user": 0,
    "kept_bytes_per_user": 0,
}


def ask(port: int) -> socket.socket:
    """Connect and send a question, which waits until the server's event loop runs."""
    opened = socket.create_connection(("127.0.0.1", port))
    body = b'{"content": "hi"}'
    opened.sendall(
        b"POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    return opened


@pytest.mark.gen_test
async def test_no_turn_of_the_loop_begins_more_than_a_few_questions(
    serve: Serving, providers: dict[str, dict[str, Any]]
) -> None:
    server = await serve.start(providers=providers, limits=_LIMITS)  # the provider stays silent
    loop = asyncio.get_running_loop()
    port = urlsplit(server.url).port
    assert port is not None
    accepted, begun = [0], [0]
    all_begun = loop.create_future()

    def count() -> None:
        """Called once in each turn."""
        accepted.append(server.acceptor.connections)
        begun.append(len(server.relay.live_answers))
        if begun[-1] == _COUNT:
            all_begun.set_result(None)
        else:
            loop.call_soon(count)

    clients = [ask(port) for _ in range(_COUNT)]
    count()
    async with asyncio.timeout(20):
        await all_begun
    for client in clients:
        client.close()

    for counts in (accepted, begun):
        grown = [after - before for before, after in pairwise(counts)]
        assert _COUNT == sum(grown)
        assert _PORTION >= max(grown)
