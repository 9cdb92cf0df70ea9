"""A burst of questions is admitted in portions, between which open streams get their turns."""

import asyncio
import socket
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.serving import Serving
from tests.steps import until

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


def connect(port: int) -> socket.socket:
    """Connect; the kernel accepts it, and the server when its event loop runs."""
    return socket.create_connection(("127.0.0.1", port))


def ask(opened: socket.socket) -> None:
    """Send a question, which waits until the server's event loop runs."""
    body = b'{"content": "hi"}'
    opened.sendall(
        b"POST /api/v1/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )


async def counts_in_turns(read: Callable[[], int]) -> list[int]:
    """Return what `read` returns in each turn of the event loop until it is `_COUNT`."""
    counts = [read()]
    async with asyncio.timeout(20):
        while counts[-1] < _COUNT:
            await asyncio.sleep(0)
            counts.append(read())
    return counts


def largest_step(counts: list[int]) -> int:
    """By how many it has grown in one turn, at most."""
    return max(after - before for before, after in pairwise(counts))


@pytest.mark.slow
@pytest.mark.parametrize("is_connected", [False, True])
@pytest.mark.gen_test
async def test_no_turn_of_the_loop_begins_more_than_a_few_questions(
    serve: Serving, providers: dict[str, dict[str, Any]], is_connected: bool
) -> None:
    server = await serve.start(providers=providers, limits=_LIMITS)  # the provider stays silent
    port = urlsplit(server.url).port
    assert port is not None
    clients = [connect(port) for _ in range(_COUNT)]
    if is_connected:  # and what they ask is readable at the same time
        accepted = await counts_in_turns(lambda: server.acceptor.connections)
        assert _PORTION >= largest_step(accepted)
    for client in clients:
        ask(client)

    begun = await counts_in_turns(lambda: len(server.relay.live_answers))

    assert _PORTION >= largest_step(begun)
    for client in clients:
        client.close()
    await server.relay.idle()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_disconnects_while_waiting_for_a_turn_keeps_nobody_from_it(
    serve: Serving, providers: dict[str, dict[str, Any]]
) -> None:
    server = await serve.start(providers=providers, limits=_LIMITS)
    port = urlsplit(server.url).port
    assert port is not None
    leaving = [connect(port) for _ in range(_COUNT)]
    staying = [connect(port) for _ in range(_COUNT)]
    for client in (*leaving, *staying):
        ask(client)
    await until(lambda: server.acceptor.connections == 2 * _COUNT)
    for client in leaving:
        client.close()

    await until(lambda: server.acceptor.connections == len(server.relay.live_answers) == _COUNT)
    for client in staying:
        client.close()
    await server.relay.idle()
