"""The poller: who is called back, how often in a turn, and never for another's socket."""

import asyncio
import select
import socket
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest
from tornado.ioloop import IOLoop

from http_client import poller as poller_module
from http_client.client import ClientRequest, HttpClient
from http_client.poller import READ, WRITE, SocketPoller
from tests.http_client.far_side import CHUNKED, FIVE, LAST_CHUNK, FarSide, chunk, turns

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs(io_loop: IOLoop) -> Iterator[list[Pair]]:
    """Connected sockets, ours and the other side's, in which a byte waits to be read."""
    pairs = [socket.socketpair() for _ in range(5)]
    for ours, other in pairs:
        ours.setblocking(False)
        other.send(b"x")
    yield pairs
    for pair in pairs:
        for sock in pair:
            sock.close()


@pytest.fixture(params=["epoll", "event loop"])
def _either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an epoll, and as on systems without one."""
    if request.param == "event loop":
        monkeypatch.delattr(select, "epoll")


@pytest.mark.usefixtures("_either_way")
@pytest.mark.gen_test
async def test_a_socket_is_reported_until_it_was_read(pairs: list[Pair]) -> None:
    (ours, other), *_ = pairs
    calls: list[int] = []
    with closing(SocketPoller()) as poller:
        poller.add(ours.fileno(), calls.append, READ)
        await turns(6)
        before = len(calls)
        ours.recv(1)
        await turns(6)
        assert before > 1
        assert before >= len(calls) - 1
        assert {READ} == set(calls)
        other.send(b"x")
        poller.remove(ours.fileno())
        calls.clear()
        await turns(6)
        assert [] == calls


@pytest.mark.usefixtures("_either_way")
@pytest.mark.gen_test
async def test_what_is_waited_for_may_change(pairs: list[Pair]) -> None:
    (ours, _), *_ = pairs
    calls: list[int] = []
    with closing(SocketPoller()) as poller:
        poller.add(ours.fileno(), calls.append, WRITE)
        await turns(3)
        assert {WRITE} == set(calls)
        poller.modify(ours.fileno(), READ)
        await turns(3)
        calls.clear()
        await turns(3)
        assert {READ} == set(calls)


@pytest.mark.usefixtures("_either_way")
@pytest.mark.gen_test
async def test_nobody_is_called_after_close(pairs: list[Pair]) -> None:
    (ours, _), *_ = pairs
    poller = SocketPoller()
    calls: list[int] = []
    poller.add(ours.fileno(), calls.append, READ)
    poller.close()
    poller.close()
    poller.remove(ours.fileno())
    await turns(3)
    assert [] == calls


@pytest.mark.gen_test
async def test_a_socket_that_was_removed_in_the_same_turn_is_not_reported(
    pairs: list[Pair],
) -> None:
    called: list[socket.socket] = []
    with closing(SocketPoller()) as poller:

        def remove_all(sock: socket.socket, _: int) -> None:
            called.append(sock)
            for ours, _ in pairs:
                poller.remove(ours.fileno())

        for ours, _ in pairs:
            poller.add(ours.fileno(), partial(remove_all, ours), READ)
        await turns(5)
    assert 1 == len(called)


@pytest.mark.gen_test
async def test_a_turn_serves_a_bounded_number_and_nobody_is_passed_over(
    pairs: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller_module, "_MAX_PER_TURN", 2)
    called: list[socket.socket] = []

    def note(sock: socket.socket, _: int) -> None:
        called.append(sock)

    with closing(SocketPoller()) as poller:
        for ours, _ in pairs:
            poller.add(ours.fileno(), partial(note, ours), READ)
        longest = 0
        for _ in range(20):
            before = len(called)
            await asyncio.sleep(0)
            longest = max(longest, len(called) - before)
    assert longest <= 2
    counts = [called.count(ours) for ours, _ in pairs]
    assert min(counts) >= max(counts) - 1 > 0


@pytest.mark.gen_test
async def test_a_client_works_without_epoll(
    far_side: FarSide, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(select, "epoll")
    client = HttpClient()
    taken: list[bytes] = []
    body = b"x" * 10_000_000  # more than the buffers on the way hold
    fetch = client.fetch(
        ClientRequest(url, method="POST", body=body, streaming_callback=taken.append)
    )
    peer = await far_side.peer()
    assert (await peer.request()).endswith(body)
    peer.say(CHUNKED, chunk(b"one"), LAST_CHUNK)
    await fetch
    again = client.fetch(url)
    await peer.request()
    peer.say(FIVE)
    assert (b"hello", [b"one"]) == ((await again).body, taken)
    cancelled = client.fetch(url)
    await peer.request()
    cancelled.cancel()
    assert b"" == await peer.left()
    client.close()
