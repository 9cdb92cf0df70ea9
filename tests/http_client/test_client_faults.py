"""What goes wrong on the way becomes one of our errors, with its cause and without a secret."""

import asyncio
import socket

import pytest

from http_client.client import ClientRequest, HttpClient
from http_client.errors import (
    ConnectFailed,
    ConnectionLost,
    ConnectTimedOut,
    HttpClientError,
    InvalidResponse,
)
from tests.http_client.far_side import (
    CHUNKED,
    OK,
    FarSide,
    FixedResolver,
    FullBacklog,
    NeverResolver,
    TimedOutResolver,
    chunk,
    unused_port,
)


async def failure(fetch: asyncio.Task[object]) -> HttpClientError:
    with pytest.raises(HttpClientError) as caught:
        await fetch
    assert "secret" not in str(caught.value)
    return caught.value


@pytest.mark.gen_test
async def test_nobody_listens(client: HttpClient) -> None:
    error = await failure(client.fetch(f"http://127.0.0.1:{unused_port()}/?key=secret"))
    assert type(error) is ConnectFailed
    assert isinstance(error.__cause__, ConnectionRefusedError)


@pytest.mark.gen_test
@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 64 + ".example"])
async def test_a_name_that_leads_nowhere(client: HttpClient, host: str) -> None:
    error = await failure(client.fetch(f"http://{host}/?key=secret"))
    assert type(error) is ConnectFailed
    assert error.__cause__ is not None


@pytest.mark.gen_test
async def test_a_name_without_an_address() -> None:
    client = HttpClient(resolver=FixedResolver([]))
    assert type(await failure(client.fetch("http://upstream.example/"))) is ConnectFailed
    client.close()


@pytest.mark.gen_test
async def test_an_address_of_a_family_this_system_lacks() -> None:
    client = HttpClient(resolver=FixedResolver([(12345, ("127.0.0.1", 1))]))
    assert type(await failure(client.fetch("http://upstream.example/"))) is ConnectFailed
    client.close()


@pytest.mark.gen_test
async def test_a_timeout_that_is_not_ours_is_not_called_so() -> None:
    client = HttpClient(resolver=TimedOutResolver())
    error = await failure(client.fetch("http://upstream.example/"))
    assert type(error) is ConnectFailed
    client.close()


@pytest.mark.gen_test
async def test_the_connect_timeout_covers_the_name() -> None:
    client = HttpClient(resolver=NeverResolver())
    error = await failure(
        client.fetch(ClientRequest("http://upstream.example/", connect_timeout=0.02))
    )
    assert (ConnectTimedOut, "dns_is_silent") == (type(error), error.reason)
    client.close()


@pytest.mark.gen_test
async def test_the_connect_timeout_covers_the_connection(client: HttpClient) -> None:
    full = FullBacklog()
    error = await failure(
        client.fetch(ClientRequest(f"http://127.0.0.1:{full.port}/", connect_timeout=0.02))
    )
    assert (ConnectTimedOut, "tcp_is_silent") == (type(error), error.reason)
    full.close()


@pytest.mark.gen_test
async def test_the_connect_timeout_covers_the_proxy(client: HttpClient, far_side: FarSide) -> None:
    port = await far_side.listen()
    fetch = client.fetch(
        "http://upstream.example/",
        connect_timeout=0.05,
        proxy_host="127.0.0.1",
        proxy_port=port,
    )
    proxy = await far_side.peer()
    error = await failure(fetch)
    assert (ConnectTimedOut, "by_proxy_is_silent") == (type(error), error.reason)
    await proxy.left()


@pytest.mark.gen_test
async def test_the_connect_timeout_covers_tls(client: HttpClient, far_side: FarSide) -> None:
    await failure(client.fetch(f"https://127.0.0.1:{unused_port()}/"))  # reads the CA file, once
    port = await far_side.listen()
    fetch = client.fetch(ClientRequest(f"https://127.0.0.1:{port}/", connect_timeout=0.05))
    peer = await far_side.peer()
    error = await failure(fetch)
    assert (ConnectTimedOut, "tls_is_silent") == (type(error), error.reason)
    await peer.left()


@pytest.mark.gen_test
async def test_the_connect_timeout_does_not_cover_the_answer(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()
    fetch = client.fetch(ClientRequest(f"http://127.0.0.1:{port}/", connect_timeout=0.05))
    peer = await far_side.peer()
    await asyncio.sleep(0.1)  # longer than connecting may take
    peer.say(OK, b"Content-Length: 0\r\n\r\n")
    assert 200 == (await fetch).code


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    ("said", "taken"),
    [
        pytest.param(b"", b"", id="silent"),
        pytest.param(OK + b"Content-Len", b"", id="in the head"),
        pytest.param(OK + b"Content-Length: 9\r\n\r\nhello", b"hello", id="short of its length"),
        pytest.param(CHUNKED + b"9\r\nhello", b"hello", id="in a chunk"),
        pytest.param(CHUNKED + chunk(b"hello"), b"hello", id="between chunks"),
        pytest.param(CHUNKED + chunk(b"hello") + b"0\r\n", b"hello", id="in the last chunk"),
    ],
)
async def test_a_response_that_is_cut_off(
    client: HttpClient, far_side: FarSide, how: str, said: bytes, taken: bytes
) -> None:
    port = await far_side.listen()
    pieces: list[bytes] = []
    arrived = asyncio.Event()

    def take(piece: bytes) -> None:
        pieces.append(piece)
        arrived.set()

    fetch = client.fetch(
        ClientRequest(f"http://127.0.0.1:{port}/?key=secret", streaming_callback=take)
    )
    peer = await far_side.peer()
    await peer.request()
    peer.say(said)
    if taken:
        await arrived.wait()
    await getattr(peer, how)()
    error = await failure(fetch)
    assert type(error) is ConnectionLost
    assert isinstance(error.__cause__, OSError)
    assert b"".join(pieces) == taken


@pytest.mark.gen_test
async def test_what_came_just_before_the_cut_is_handed_over(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()
    pieces: list[bytes] = []
    fetch = client.fetch(
        ClientRequest(f"http://127.0.0.1:{port}/", streaming_callback=pieces.append)
    )
    peer = await far_side.peer()
    await peer.request()
    peer.say(CHUNKED, chunk(b"data: 1\n\n"))
    await peer.close()
    assert type(await failure(fetch)) is ConnectionLost
    assert [b"data: 1\n\n"] == pieces


@pytest.mark.gen_test
async def test_a_reset_does_not_end_a_body_that_closing_would_end(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()
    arrived = asyncio.Event()
    fetch = client.fetch(
        ClientRequest(f"http://127.0.0.1:{port}/", streaming_callback=lambda _: arrived.set())
    )
    peer = await far_side.peer()
    await peer.request()
    peer.say(OK, b"\r\nhello")
    await arrived.wait()
    await peer.reset()
    assert type(await failure(fetch)) is ConnectionLost


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("said", "error"),
    [
        pytest.param(b"220 mail.example ESMTP\r\n", InvalidResponse, id="not HTTP"),
        pytest.param(OK + b"X: " + b"x" * 100_000, InvalidResponse, id="a head without end"),
        pytest.param(
            OK + b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\n\x1f", InvalidResponse, id="br"
        ),
        pytest.param(CHUNKED + b"hello", ConnectionLost, id="a chunk without its size"),
    ],
)
async def test_a_response_that_is_none_closes_the_connection(
    client: HttpClient, far_side: FarSide, said: bytes, error: type[HttpClientError]
) -> None:
    port = await far_side.listen()
    fetch = client.fetch(f"http://127.0.0.1:{port}/?key=secret")
    peer = await far_side.peer()
    await peer.request()
    peer.say(said)
    assert type(await failure(fetch)) is error
    await peer.left()
    assert (0, 0) == (client.connections_in_use, client.connections_idle)


@pytest.mark.gen_test
async def test_no_descriptor_left(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", exhausted)
        error = await failure(client.fetch("http://127.0.0.1:1/"))
    assert type(error) is ConnectFailed
