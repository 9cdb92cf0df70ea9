"""Idle connections: when one is used again or closed, and when a request is sent a second time."""

import asyncio

import pytest

from http_client import connection as connection_module
from http_client import connection_pool as pool_module
from http_client.client import HttpClient
from http_client.errors import ConnectionLost
from tests.http_client.far_side import (
    CHUNKED,
    FIVE,
    LAST_CHUNK,
    OK,
    FarSide,
    Peer,
    begun,
    chunk,
)


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
    monkeypatch.setattr(pool_module, "MAX_IDLE_CONNECTIONS", 2)
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
    monkeypatch.setattr(pool_module, "MAX_IDLE_SECONDS", 0.02)
    peer = await rested(client, far_side, url)
    await peer.left()
    assert 0 == client.connections_idle


@pytest.mark.gen_test
async def test_a_connection_in_use_again_is_as_good_as_new(
    client: HttpClient, far_side: FarSide, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MAX_IDLE_SECONDS", 0.05)
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
