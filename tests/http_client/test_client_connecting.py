"""Connecting: how many connections there may be, what requests wait for, which address is used."""

import asyncio
import resource
import socket

import pytest

from http_client.client import ClientRequest, HttpClient
from http_client.errors import ConnectFailed
from tests.http_client.far_side import (
    FIVE,
    FarSide,
    FixedResolver,
    FullBacklog,
    begun,
    turns,
    unused_port,
)


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
    await asyncio.sleep(0.05)  # longer than connecting may take
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
async def test_cancelling_may_send_cancels_the_fetch(
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
async def test_may_send_may_be_a_coroutine_and_ends_with_the_fetch(
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
async def test_a_process_without_free_descriptors_makes_no_connection(
    client: HttpClient, far_side: FarSide, url: str
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        with pytest.raises(ConnectFailed) as caught:
            await client.fetch(url)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "out_of_descriptors" == caught.value.reason

    fetch = client.fetch(url)
    (await far_side.peer()).say(FIVE)
    assert b"hello" == (await fetch).body


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
