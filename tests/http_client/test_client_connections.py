"""Connections: how many, when one is used again or given up, and when nothing is sent on it."""

import asyncio
import socket

import pytest
from tornado.httpclient import HTTPResponse
from tornado.ioloop import IOLoop

from http_client import connection as connection_module
from http_client.client import ClientRequest, HttpClient
from http_client.errors import ConnectFailed, ConnectionLost
from tests.http_client.far_side import (
    CHUNKED,
    FIVE,
    LAST_CHUNK,
    OK,
    FarSide,
    FixedResolver,
    FullBacklog,
    Peer,
    chunk,
    turns,
    unused_port,
)


@pytest.fixture
def url(io_loop: IOLoop, far_side: FarSide) -> str:
    """Where the far side listens."""
    port = io_loop.run_sync(far_side.listen)
    return f"http://127.0.0.1:{port}/"


async def begun(
    client: HttpClient, far_side: FarSide, url: str
) -> tuple[asyncio.Task[HTTPResponse], Peer]:
    """A fetch on a connection of its own that waits for its answer."""
    fetch = client.fetch(url)
    peer = await far_side.peer()
    await peer.request()
    return fetch, peer


async def rested(client: HttpClient, far_side: FarSide, url: str) -> Peer:
    """A connection that has served once and now rests."""
    fetch, peer = await begun(client, far_side, url)
    peer.say(FIVE)
    await fetch
    assert 1 == client.connections_idle
    return peer


async def forgotten(client: HttpClient) -> None:
    """Wait until no connection rests any more."""
    async with asyncio.timeout(1):
        while client.connections_idle:  # noqa: ASYNC110 - nobody is told, and nobody needs to be
            await asyncio.sleep(0)


@pytest.mark.gen_test
async def test_one_connection_serves_one_fetch_after_another(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    peer = await rested(client, far_side, url)
    for answer in (FIVE, CHUNKED + chunk(b"hello") + LAST_CHUNK, b"HTTP/1.1 204 No\r\n\r\n"):
        fetch = client.fetch(url, method="POST", body=b"{}")
        assert (await peer.request()).endswith(b"{}")
        peer.say(answer)
        await fetch
    assert (1, 1) == (far_side.accepted, client.connections_idle)


@pytest.mark.gen_test
async def test_the_connection_used_last_is_used_first(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    (first, early), (second, late) = [await begun(client, far_side, url) for _ in range(2)]
    for fetch, peer in ((first, early), (second, late)):
        peer.say(FIVE)
        await fetch
    again = client.fetch(url)
    await late.request()
    late.say(FIVE)
    await again


@pytest.mark.gen_test
async def test_endpoints_do_not_share_connections(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    await rested(client, far_side, url)
    fetch = client.fetch(url.replace("127.0.0.1", "localhost"))
    peer = await far_side.peer()
    await peer.request()
    peer.say(FIVE)
    await fetch
    assert 2 == client.connections_idle


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", id="close"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", id="HTTP/1.0"),
        pytest.param(FIVE + FIVE, id="more than the response"),
    ],
)
async def test_a_last_response_closes_the_connection(
    client: HttpClient, far_side: FarSide, url: str, answer: bytes
) -> None:
    fetch = client.fetch(url)
    peer = await far_side.peer()
    await peer.request()
    peer.say(answer)
    assert b"hello" == (await fetch).body
    assert b"" == await peer.left()
    assert 0 == client.connections_idle


@pytest.mark.gen_test
async def test_a_body_may_end_with_its_connection(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    fetch = client.fetch(url)
    peer = await far_side.peer()
    await peer.request()
    peer.say(OK, b"\r\nhello")
    await peer.close()
    assert b"hello" == (await fetch).body
    assert 0 == client.connections_idle


@pytest.mark.gen_test
async def test_an_idle_connection_that_the_far_side_closes_is_closed(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    peer = await rested(client, far_side, url)
    await peer.close()
    await forgotten(client)


@pytest.mark.gen_test
async def test_an_idle_connection_that_speaks_is_closed(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    peer = await rested(client, far_side, url)
    peer.say(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    await peer.left()
    assert 0 == client.connections_idle


@pytest.mark.gen_test
async def test_what_came_since_the_loop_last_looked_is_seen_before_use(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    peer = await rested(client, far_side, url)
    peer.say(FIVE.replace(b"hello", b"stray"))  # in the same turn in which the fetch begins
    fetch = client.fetch(url)
    fresh = await far_side.peer()
    await fresh.request()
    fresh.say(FIVE)
    assert b"hello" == (await fetch).body


@pytest.mark.gen_test
async def test_idle_connections_are_bounded_and_the_oldest_goes(
    client: HttpClient, far_side: FarSide, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MAX_IDLE_CONNECTIONS", 2)
    exchanges = [await begun(client, far_side, url) for _ in range(3)]
    for fetch, peer in exchanges:
        peer.say(FIVE)
        await fetch
    await exchanges[0][1].left()
    assert 2 == client.connections_idle


@pytest.mark.gen_test
async def test_a_connection_does_not_rest_for_ever(
    client: HttpClient, far_side: FarSide, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MAX_IDLE_SECONDS", 0.02)
    peer = await rested(client, far_side, url)
    await peer.left()
    assert 0 == client.connections_idle


@pytest.mark.gen_test
async def test_a_connection_in_use_again_is_as_good_as_new(
    client: HttpClient, far_side: FarSide, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "MAX_IDLE_SECONDS", 0.05)
    peer = await rested(client, far_side, url)
    fetch = client.fetch(url)
    await peer.request()
    await asyncio.sleep(0.1)  # longer than it might have rested
    peer.say(FIVE)
    assert b"hello" == (await fetch).body


@pytest.mark.gen_test
async def test_closing_the_client_closes_what_rests(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    peer = await rested(client, far_side, url)
    client.close()
    assert 0 == client.connections_idle
    await peer.left()


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_request_that_met_a_closing_connection_is_sent_again_once(
    client: HttpClient, far_side: FarSide, url: str, how: str
) -> None:
    peer = await rested(client, far_side, url)
    fetch = client.fetch(url, method="POST", body=b"{}")
    await peer.request()  # it had left already when the far side made up its mind
    await getattr(peer, how)()
    fresh = await far_side.peer()
    assert (await fresh.request()).endswith(b"{}")
    await fresh.close()
    with pytest.raises(ConnectionLost):
        await fetch
    assert 2 == far_side.accepted


@pytest.mark.gen_test
async def test_nothing_is_sent_again_once_a_byte_came_back(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    peer = await rested(client, far_side, url)
    fetch = client.fetch(url)
    await peer.request()
    peer.say(b"H")
    await peer.close()
    with pytest.raises(ConnectionLost):
        await fetch
    assert 1 == far_side.accepted


@pytest.mark.gen_test
async def test_nothing_is_sent_again_to_one_that_thought_about_it(
    client: HttpClient, far_side: FarSide, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "STALE_SECONDS", 0.0)
    peer = await rested(client, far_side, url)
    fetch = client.fetch(url)
    await peer.request()
    await peer.close()
    with pytest.raises(ConnectionLost):
        await fetch
    assert 1 == far_side.accepted


@pytest.mark.gen_test
async def test_nothing_is_sent_again_after_a_first_use(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    fetch = client.fetch(url)
    peer = await far_side.peer()
    await peer.request()
    await peer.close()
    with pytest.raises(ConnectionLost):
        await fetch
    assert 1 == far_side.accepted


@pytest.mark.gen_test
async def test_connections_in_use_are_limited_and_who_waits_is_served_in_order(
    far_side: FarSide, url: str
) -> None:
    client = HttpClient(max_connections=2)
    exchanges = [await begun(client, far_side, f"{url}{name}") for name in "ab"]
    peers = [peer for _, peer in exchanges]
    fetches = [fetch for fetch, _ in exchanges] + [client.fetch(f"{url}{name}") for name in "cde"]
    await turns(5)
    assert 2 == client.connections_in_use
    for number, fetch in enumerate(fetches):
        peer = peers[number % 2]
        if number >= 2:
            assert (await peer.request()).startswith(b"GET /%c " % "abcde"[number].encode())
        assert not any(later.done() for later in fetches[number:])
        peer.say(FIVE)
        await fetch
    assert 2 == far_side.accepted
    client.close()


@pytest.mark.gen_test
async def test_waiting_for_a_slot_is_not_connecting(far_side: FarSide, url: str) -> None:
    client = HttpClient(max_connections=1)
    first = client.fetch(url)
    second = client.fetch(ClientRequest(url, connect_timeout=0.02))
    peer = await far_side.peer()
    await peer.request()
    await asyncio.sleep(0.05)
    peer.say(FIVE)
    await first
    await peer.request()
    peer.say(FIVE)
    assert 200 == (await second).code
    client.close()


@pytest.mark.gen_test
async def test_a_failed_fetch_gives_its_slot_back(far_side: FarSide, url: str) -> None:
    client = HttpClient(max_connections=1)
    refused = client.fetch(f"http://127.0.0.1:{unused_port()}/")
    fetch = client.fetch(url)
    with pytest.raises(ConnectFailed):
        await refused
    peer = await far_side.peer()
    peer.say(FIVE)
    await fetch
    client.close()


@pytest.mark.gen_test
async def test_it_connects_before_the_request_is_cleared_and_sends_nothing(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    may_send: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    fetch = client.fetch(ClientRequest(url, method="POST", body=b"{}", may_send=may_send))
    peer = await far_side.peer()
    request = asyncio.ensure_future(peer.request())
    await asyncio.wait([request], timeout=0.05)
    assert not request.done()
    may_send.set_result(None)
    assert (await request).endswith(b"{}")
    peer.say(FIVE)
    await fetch


@pytest.mark.gen_test
async def test_a_request_that_is_not_cleared_is_not_sent(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    class NotStored(Exception):
        pass

    may_send: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    fetches = [client.fetch(ClientRequest(url, may_send=may_send)) for _ in range(2)]
    peers = [await far_side.peer() for _ in fetches]
    may_send.set_exception(NotStored())
    for fetch, peer in zip(fetches, peers, strict=True):
        with pytest.raises(NotStored):
            await fetch
        assert b"" == await peer.left()


@pytest.mark.gen_test
async def test_a_clearance_that_is_cancelled_cancels_the_fetch(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    may_send: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    fetch = client.fetch(ClientRequest(url, may_send=may_send))
    peer = await far_side.peer()
    may_send.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetch
    assert fetch.cancelled()
    assert b"" == await peer.left()


@pytest.mark.gen_test
async def test_a_clearance_may_be_a_coroutine_and_ends_with_the_fetch(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    ended = asyncio.Event()

    async def clear() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    fetch = client.fetch(ClientRequest(url, may_send=clear()))
    await far_side.peer()
    await turns(5)  # until it waits
    fetch.cancel()
    await ended.wait()


@pytest.mark.gen_test
@pytest.mark.parametrize("fault", ["closed", "spoke"])
async def test_a_connection_that_closed_or_spoke_while_it_waited_is_replaced(
    client: HttpClient, far_side: FarSide, url: str, fault: str
) -> None:
    may_send: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    fetch = client.fetch(ClientRequest(url, may_send=may_send))
    impatient = await far_side.peer()
    if fault == "closed":
        await impatient.close()
    else:
        impatient.say(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    await turns(5)  # until the client has heard of it
    may_send.set_result(None)
    peer = await far_side.peer()
    await peer.request()
    peer.say(FIVE)
    assert b"hello" == (await fetch).body
    assert b"" == await impatient.left()


@pytest.mark.gen_test
async def test_an_address_that_refuses_is_followed_by_the_next(far_side: FarSide) -> None:
    port = await far_side.listen()
    addresses = [
        (socket.AF_INET6, ("::1", unused_port(), 0, 0)),
        (socket.AF_INET, ("127.0.0.1", unused_port())),
        (socket.AF_INET, ("127.0.0.1", port)),
    ]
    client = HttpClient(resolver=FixedResolver(addresses))
    fetch = client.fetch("http://upstream.example/")
    peer = await far_side.peer()
    assert b"\r\nHost: upstream.example\r\n" in await peer.request()
    peer.say(FIVE)
    await fetch
    client.close()


@pytest.mark.gen_test
async def test_an_address_that_says_nothing_gets_company(far_side: FarSide) -> None:
    full = FullBacklog()
    port = await far_side.listen()
    addresses = [
        (socket.AF_INET, ("127.0.0.1", full.port)),
        (socket.AF_INET, ("127.0.0.1", port)),
    ]
    client = HttpClient(resolver=FixedResolver(addresses))
    fetch = client.fetch(ClientRequest("http://upstream.example/", connect_timeout=5))
    peer = await far_side.peer()
    peer.say(FIVE)
    await fetch
    client.close()
    full.close()


@pytest.mark.gen_test
async def test_the_socket_sends_at_once_and_notices_a_far_side_that_vanished(
    client: HttpClient, far_side: FarSide, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[socket.socket, list[tuple[int, ...]]] = {}

    class Observed(socket.socket):
        def setsockopt(self, *args: int) -> None:  # type: ignore[override]
            options.setdefault(self, []).append(args)
            super().setsockopt(*args)

    monkeypatch.setattr(socket, "socket", Observed)
    fetch = client.fetch(url)
    peer = await far_side.peer()
    peer.say(FIVE)
    await fetch
    keepalive = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    [ours] = [found for found in options.values() if keepalive in found]  # the other is the peer's
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in ours
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30) in ours
