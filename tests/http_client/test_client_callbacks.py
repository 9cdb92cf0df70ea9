"""Callbacks that await, and callbacks that raise."""

import asyncio
import time

import pytest

from http_client.client import ClientRequest, HttpClient
from http_client.errors import ConnectionLost
from tests.http_client.far_side import CHUNKED, FIVE, LAST_CHUNK, FarSide, chunk


@pytest.mark.gen_test
async def test_a_callback_that_awaits_holds_the_next_piece_back(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()
    begun: asyncio.Queue[bytes] = asyncio.Queue()
    go_on = asyncio.Event()

    async def take(piece: bytes) -> None:
        begun.put_nowait(piece)
        await go_on.wait()

    fetch = client.fetch(ClientRequest(f"http://127.0.0.1:{port}/", streaming_callback=take))
    peer = await far_side.peer()
    peer.say(CHUNKED, chunk(b"one"))
    assert b"one" == await begun.get()
    peer.say(chunk(b"two"), LAST_CHUNK)
    assert begun.empty()
    go_on.set()
    await fetch
    assert b"two" == await begun.get()


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_far_side_that_leaves_while_a_callback_awaits_is_noticed_after_it(
    client: HttpClient, far_side: FarSide, how: str
) -> None:
    port = await far_side.listen()
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def take(_: bytes) -> None:
        begun.set()
        await go_on.wait()

    fetch = client.fetch(ClientRequest(f"http://127.0.0.1:{port}/", streaming_callback=take))
    peer = await far_side.peer()
    peer.say(CHUNKED, chunk(b"one"))
    await begun.wait()
    await getattr(peer, how)()
    cpu = time.process_time()
    await asyncio.sleep(0.2)  # in which it could be told of it thousands of times
    cpu = time.process_time() - cpu
    assert not fetch.done()
    go_on.set()

    with pytest.raises(ConnectionLost):
        await fetch
    assert cpu < 0.1  # it is not told again and again of what it does not want to hear


@pytest.mark.gen_test
async def test_a_callback_that_awaits_may_have_the_end_already(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()

    async def take(_: bytes) -> None:
        await asyncio.sleep(0)

    for _ in range(2):
        fetch = client.fetch(ClientRequest(f"http://127.0.0.1:{port}/", streaming_callback=take))
        if far_side.accepted == 0:
            peer = await far_side.peer()
        await peer.request()
        peer.say(FIVE)
        assert 200 == (await fetch).code
    await peer.close()
    while client.connections_idle:  # noqa: ASYNC110 - nobody is told, and nobody needs to be
        await asyncio.sleep(0)


@pytest.mark.gen_test
async def test_what_a_callback_raises_ends_the_fetch_and_the_connection(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()

    class OursToRaise(Exception):
        pass

    def refuse(*_: object) -> None:
        raise OursToRaise

    for callback in ("on_head", "header_callback", "streaming_callback"):
        fetch = client.fetch(ClientRequest(f"http://127.0.0.1:{port}/", **{callback: refuse}))
        peer = await far_side.peer()
        await peer.request()
        peer.say(CHUNKED, chunk(b"one"))
        with pytest.raises(OursToRaise):
            await fetch
        await peer.left()
    assert (0, 0) == (client.connections_in_use, client.connections_idle)


@pytest.mark.gen_test
@pytest.mark.parametrize("error", [TimeoutError, OSError, asyncio.CancelledError])
async def test_what_a_callback_raises_is_not_taken_for_the_networks(
    client: HttpClient, far_side: FarSide, error: type[BaseException]
) -> None:
    port = await far_side.listen()

    def refuse(_: bytes) -> None:
        raise error("ours")

    fetch = client.fetch(
        ClientRequest(f"http://127.0.0.1:{port}/", streaming_callback=refuse, request_timeout=20)
    )
    peer = await far_side.peer()
    peer.say(FIVE)
    with pytest.raises(error):
        await fetch
    await peer.left()
