"""Cancelling a fetch in every phase it can be in: the far side sees it, and nothing is left."""

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest
import trustme
from tornado.httpclient import HTTPResponse

from http_client.client import ClientRequest, HttpClient
from http_client.streams import SocketStream
from tests.http_client.far_side import (
    CHUNKED,
    FIVE,
    LAST_CHUNK,
    FarSide,
    FixedResolver,
    FullBacklog,
    NeverResolver,
    chunk,
    open_sockets,
    turns,
)


async def cancel(fetch: asyncio.Task[HTTPResponse]) -> None:
    """Cancel `fetch` and see that it ends so, without delay."""
    fetch.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(1):
            await fetch


@asynccontextmanager
async def leaving_nothing(client: HttpClient, far_side: FarSide) -> AsyncIterator[None]:
    """What is opened inside is closed at the end: streams, descriptors, tasks, slots."""
    sockets, tasks = open_sockets(), asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() == tasks
    assert (0, 0) == (client.connections_in_use, client.connections_idle)
    streams = [thing for thing in gc.get_objects() if issubclass(type(thing), SocketStream)]
    assert {-1} >= {stream.fileno() for stream in streams}  # by us: the far side holds its ends
    await far_side.close_peers()
    assert open_sockets() == sockets


@pytest.mark.gen_test
async def test_while_queued(far_side: FarSide) -> None:
    client = HttpClient(max_connections=1)
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    async with leaving_nothing(client, far_side):
        first, second, third = (client.fetch(url) for _ in range(3))
        peer = await far_side.peer()
        await peer.request()
        await cancel(second)
        peer.say(FIVE)
        await first
        await peer.request()  # the third has its turn
        assert 1 == far_side.accepted
        await cancel(third)
        await peer.left()
    client.close()


@pytest.mark.gen_test
async def test_while_the_name_is_resolved(far_side: FarSide) -> None:
    resolver = NeverResolver()
    client = HttpClient(resolver=resolver)
    async with leaving_nothing(client, far_side):
        fetch = client.fetch("http://upstream.example/")
        await resolver.asked.wait()
        await cancel(fetch)
        assert resolver.cancelled.is_set()
    client.close()


@pytest.mark.gen_test
async def test_while_connecting(far_side: FarSide) -> None:
    full = FullBacklog()
    client = HttpClient(resolver=FixedResolver([(socket.AF_INET, ("127.0.0.1", full.port))]))
    async with leaving_nothing(client, far_side):
        sockets = open_sockets()
        fetch = client.fetch("http://upstream.example/")
        await turns(5)
        assert open_sockets() == sockets + 1
        await cancel(fetch)
    client.close()
    full.close()


@pytest.mark.gen_test
async def test_while_the_proxy_makes_the_tunnel(client: HttpClient, far_side: FarSide) -> None:
    port = await far_side.listen()
    async with leaving_nothing(client, far_side):
        fetch = client.fetch("https://upstream.example/", proxy_host="127.0.0.1", proxy_port=port)
        proxy = await far_side.peer()
        assert (await proxy.request()).startswith(b"CONNECT upstream.example:443 ")
        await cancel(fetch)
        assert b"" == await proxy.left()


@pytest.mark.gen_test
async def test_in_the_handshake_of_tls(client: HttpClient, far_side: FarSide) -> None:
    port = await far_side.listen()
    async with leaving_nothing(client, far_side):
        fetch = client.fetch(f"https://127.0.0.1:{port}/")
        peer = await far_side.peer()
        assert b"\x16" == await peer.read(1)  # a handshake record: the client's hello
        await cancel(fetch)
        await peer.left()


@pytest.mark.gen_test
async def test_before_the_request_was_cleared(client: HttpClient, far_side: FarSide) -> None:
    may_send: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    async with leaving_nothing(client, far_side):
        fetch = client.fetch(ClientRequest(url, may_send=may_send))
        peer = await far_side.peer()
        await cancel(fetch)
        assert b"" == await peer.left()
    assert not may_send.cancelled()  # others may wait for it
    may_send.set_result(None)


@pytest.mark.gen_test
async def test_before_a_request_on_a_rested_connection_was_cleared(
    client: HttpClient, far_side: FarSide
) -> None:
    may_send: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    async with leaving_nothing(client, far_side):
        fetch = client.fetch(url)
        peer = await far_side.peer()
        await peer.request()
        peer.say(FIVE)
        await fetch
        again = client.fetch(ClientRequest(url, may_send=may_send))
        await turns(5)
        assert (1, 0) == (client.connections_in_use, client.connections_idle)
        await cancel(again)
        assert b"" == await peer.left()


@pytest.mark.gen_test
async def test_before_the_head_came(client: HttpClient, far_side: FarSide) -> None:
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    async with leaving_nothing(client, far_side):
        fetch = client.fetch(url)
        peer = await far_side.peer()
        await peer.request()
        await cancel(fetch)
        assert b"" == await peer.left()


@pytest.mark.gen_test
async def test_in_a_silence_of_the_body(client: HttpClient, far_side: FarSide) -> None:
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    async with leaving_nothing(client, far_side):
        fetch = client.fetch(ClientRequest(url, streaming_callback=pieces.put_nowait))
        peer = await far_side.peer()
        await peer.request()
        peer.say(CHUNKED, chunk(b"one"))
        assert b"one" == await pieces.get()
        await cancel(fetch)
        assert b"" == await peer.left()
    assert pieces.empty()


@pytest.mark.gen_test
@pytest.mark.parametrize("said", [b"", CHUNKED, CHUNKED + chunk(b"one")])
async def test_the_socket_is_closed_before_cancel_returns(
    client: HttpClient, far_side: FarSide, said: bytes
) -> None:
    """Under load the task wakes up late, and a provider would go on generating until then."""
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    async with leaving_nothing(client, far_side):
        fetch = client.fetch(ClientRequest(url, streaming_callback=lambda _: None))
        peer = await far_side.peer()
        await peer.request()
        peer.say(said)
        await turns(5)
        sockets = open_sockets()

        fetch.cancel()

        assert open_sockets() == sockets - 1
        await cancel(fetch)
        assert b"" == await peer.left()


@pytest.mark.gen_test
async def test_from_the_callback_itself(client: HttpClient, far_side: FarSide) -> None:
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    taken: list[bytes] = []

    def take(piece: bytes) -> None:
        taken.append(piece)
        fetch.cancel()

    async with leaving_nothing(client, far_side):
        fetch = client.fetch(ClientRequest(url, streaming_callback=take))
        peer = await far_side.peer()
        await peer.request()
        peer.say(CHUNKED, chunk(b"one"))
        await asyncio.wait([fetch])
        assert fetch.cancelled()
        peer.say(chunk(b"two"), LAST_CHUNK)
        assert b"" == await peer.left()
    assert [b"one"] == taken


@pytest.mark.gen_test
async def test_when_the_head_is_announced_nothing_of_the_body_follows(
    client: HttpClient, far_side: FarSide
) -> None:
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    taken: list[bytes] = []
    async with leaving_nothing(client, far_side):
        fetch = client.fetch(
            ClientRequest(
                url, on_head=lambda *_: fetch.cancel() and None, streaming_callback=taken.append
            )
        )
        peer = await far_side.peer()
        await peer.request()
        peer.say(FIVE)
        await asyncio.wait([fetch])
        assert fetch.cancelled()
        assert b"" == await peer.left()
    assert [] == taken


@pytest.mark.gen_test
async def test_in_a_flood(client: HttpClient, far_side: FarSide) -> None:
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    begun = asyncio.Event()
    taken: list[int] = []

    def take(piece: bytes) -> None:
        taken.append(len(piece))
        begun.set()

    async with leaving_nothing(client, far_side):
        fetch = client.fetch(ClientRequest(url, streaming_callback=take))
        peer = await far_side.peer()
        await peer.request()
        peer.say(CHUNKED, *[chunk(b"x" * 16384)] * 1000)
        await begun.wait()
        await cancel(fetch)
        so_far = len(taken)
        await peer.left()
        assert len(taken) == so_far


@pytest.mark.gen_test
async def test_while_a_callback_awaits(client: HttpClient, far_side: FarSide) -> None:
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    begun = asyncio.Event()

    async def take(_: bytes) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with leaving_nothing(client, far_side):
        fetch = client.fetch(ClientRequest(url, streaming_callback=take))
        peer = await far_side.peer()
        await peer.request()
        peer.say(CHUNKED, chunk(b"one"))
        await begun.wait()
        await cancel(fetch)
        await peer.left()


@pytest.mark.gen_test
async def test_from_a_callback_whose_coroutine_is_not_awaited_then(
    client: HttpClient, far_side: FarSide
) -> None:
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    taken: list[bytes] = []

    async def keep(piece: bytes) -> None:
        taken.append(piece)

    def take(piece: bytes) -> Awaitable[None]:
        fetch.cancel()
        return keep(piece)

    async with leaving_nothing(client, far_side):
        fetch = client.fetch(ClientRequest(url, streaming_callback=take))
        peer = await far_side.peer()
        await peer.request()
        peer.say(FIVE)
        await asyncio.wait([fetch])
        assert fetch.cancelled()
        gc.collect()  # Python warns of a coroutine that is neither awaited nor closed
    assert [] == taken


@pytest.mark.gen_test
async def test_on_a_connection_that_had_rested(client: HttpClient, far_side: FarSide) -> None:
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    async with leaving_nothing(client, far_side):
        fetch = client.fetch(url)
        peer = await far_side.peer()
        await peer.request()
        peer.say(FIVE)
        await fetch
        again = client.fetch(url)
        await peer.request()
        await cancel(again)
        assert b"" == await peer.left()
        assert 1 == far_side.accepted


@pytest.mark.gen_test
async def test_closing_the_client_cancels_what_runs(far_side: FarSide) -> None:
    client = HttpClient(max_connections=2)
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    async with leaving_nothing(client, far_side):
        fetch = client.fetch(url)
        peer = await far_side.peer()
        peer.say(FIVE)
        await fetch
        running = [client.fetch(url) for _ in range(4)]
        peers = [peer, await far_side.peer()]
        client.close()
        await asyncio.wait(running)
        assert all(fetch.cancelled() for fetch in running)
        for each in peers:
            await each.left()


@pytest.mark.gen_test
async def test_closing_the_client_from_a_callback(far_side: FarSide) -> None:
    client = HttpClient()
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    async with leaving_nothing(client, far_side):
        fetch = client.fetch(ClientRequest(url, streaming_callback=lambda _: client.close()))
        peer = await far_side.peer()
        await peer.request()
        peer.say(FIVE)
        await asyncio.wait([fetch])
        assert b"" == await peer.left()


@pytest.mark.gen_test
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_in_the_very_turn_in_which_a_connection_came_about(
    far_side: FarSide, scheme: str
) -> None:
    """Between a success and its being heard lies a turn of the loop: a cancel may fall into it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("upstream.example").configure_cert(context)
    port = await far_side.listen(context if scheme == "https" else None)
    client = HttpClient(resolver=FixedResolver([(socket.AF_INET, ("127.0.0.1", port))]))
    async with leaving_nothing(client, far_side):
        for number in range(60):
            fetch = client.fetch(f"{scheme}://upstream.example/", validate_cert=False)
            await turns(number % 30)
            await cancel(fetch)
            await turns(5)
    client.close()


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_thousand_at_once(client: HttpClient, far_side: FarSide) -> None:
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    async with leaving_nothing(client, far_side):
        fetches = []
        peers = []
        for _ in range(10):  # the far side's backlog is a hundred
            fetches += [client.fetch(url) for _ in range(100)]
            peers += [await far_side.peer() for _ in range(100)]
        assert 1000 == client.connections_in_use
        for fetch in fetches:
            fetch.cancel()
        async with asyncio.timeout(5):
            for peer in peers:
                await peer.left()
        assert all(fetch.cancelled() for fetch in fetches)
