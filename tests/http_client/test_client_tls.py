"""TLS: who is trusted, under which name, and how streams end."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from http_client.client import ClientRequest, HttpClient
from http_client.errors import ConnectFailed, ConnectionLost
from tests.http_client.far_side import (
    CHUNKED,
    FIVE,
    LAST_CHUNK,
    OK,
    FarSide,
    TalksFirst,
    chunk,
    open_sockets,
)

CA = trustme.CA()


def server_context(*names: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    CA.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def ca_certs(tmp_path: Path) -> str:
    """A file that names our own CA."""
    path = tmp_path / "ca.pem"
    CA.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.mark.gen_test
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_given_ca_is_trusted_and_the_connection_kept(
    client: HttpClient, far_side: FarSide, ca_certs: str, version: ssl.TLSVersion
) -> None:
    context = server_context("localhost")
    context.maximum_version = version
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    port = await far_side.listen(context)
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    peer = None
    for _ in range(3):
        fetch = client.fetch(
            ClientRequest(
                f"https://localhost:{port}/",
                ca_certs=ca_certs,
                streaming_callback=pieces.put_nowait,
            )
        )
        peer = peer or await far_side.peer()
        assert f"\r\nHost: localhost:{port}\r\n".encode() in await peer.request()
        peer.say(CHUNKED, chunk(b"one"))
        assert b"one" == await pieces.get()
        peer.say(chunk(b"x" * 100_000), LAST_CHUNK)
        await fetch
        assert 100_000 == sum(len(pieces.get_nowait()) for _ in range(pieces.qsize()))
    assert (1, 1) == (far_side.accepted, client.connections_idle)
    assert ["localhost"] == names


@pytest.mark.gen_test
async def test_an_ip_address_is_verified_too(
    client: HttpClient, far_side: FarSide, ca_certs: str
) -> None:
    port = await far_side.listen(server_context("127.0.0.1"))
    fetch = client.fetch(ClientRequest(f"https://127.0.0.1:{port}/", ca_certs=ca_certs))
    peer = await far_side.peer()
    peer.say(FIVE)
    assert b"hello" == (await fetch).body


@pytest.mark.gen_test
async def test_a_certificate_of_an_unknown_ca_is_refused(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen(server_context("localhost"))
    with pytest.raises(ConnectFailed) as caught:
        await client.fetch(f"https://localhost:{port}/?key=secret")
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


@pytest.mark.gen_test
async def test_a_certificate_for_another_name_is_refused(
    client: HttpClient, far_side: FarSide, ca_certs: str
) -> None:
    port = await far_side.listen(server_context("other.example"))
    with pytest.raises(ConnectFailed) as caught:
        await client.fetch(ClientRequest(f"https://localhost:{port}/", ca_certs=ca_certs))
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
    assert "localhost" in str(caught.value.__cause__)


@pytest.mark.gen_test
async def test_a_ca_file_that_is_missing_trusts_nobody(client: HttpClient) -> None:
    with pytest.raises(ConnectFailed) as caught:
        await client.fetch(ClientRequest("https://localhost:1/", ca_certs="/nowhere/ca.pem"))
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.gen_test
async def test_trust_is_not_shared_between_requests(client: HttpClient, far_side: FarSide) -> None:
    """A connection made without verification must not serve a fetch that asks for it."""
    port = await far_side.listen(server_context("localhost"))
    fetch = client.fetch(ClientRequest(f"https://localhost:{port}/", validate_cert=False))
    peer = await far_side.peer()
    peer.say(FIVE)
    await fetch
    assert 1 == client.connections_idle
    with pytest.raises(ConnectFailed):
        await client.fetch(f"https://localhost:{port}/")


@pytest.mark.gen_test
async def test_a_server_without_tls_is_unreachable(client: HttpClient, far_side: FarSide) -> None:
    port = await far_side.listen()
    fetch = client.fetch(f"https://127.0.0.1:{port}/")
    peer = await far_side.peer()
    peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ConnectFailed):
        await fetch
    await peer.left()


@pytest.mark.gen_test
async def test_a_server_that_talks_first_is_unreachable(client: HttpClient) -> None:
    server = TalksFirst(b"220 mail.example ESMTP\r\n")
    before = open_sockets()
    for _ in range(5):
        with pytest.raises(ConnectFailed):
            await client.fetch(f"https://127.0.0.1:{server.port}/")
    assert open_sockets() == before + 5  # the server's
    server.close()


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_server_that_leaves_in_the_handshake_is_unreachable(
    client: HttpClient, far_side: FarSide, how: str
) -> None:
    port = await far_side.listen()
    fetch = client.fetch(f"https://127.0.0.1:{port}/")
    peer = await far_side.peer()
    await peer.read(1)
    await getattr(peer, how)()
    with pytest.raises(ConnectFailed):
        await fetch


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_stream_that_is_cut_off(
    client: HttpClient, far_side: FarSide, ca_certs: str, how: str
) -> None:
    port = await far_side.listen(server_context("localhost"))
    arrived = asyncio.Event()
    fetch = client.fetch(
        ClientRequest(
            f"https://localhost:{port}/",
            ca_certs=ca_certs,
            streaming_callback=lambda _: arrived.set(),
        )
    )
    peer = await far_side.peer()
    await peer.request()
    peer.say(OK, b"Content-Length: 9\r\n\r\nhello")
    await arrived.wait()
    await getattr(peer, how)()
    with pytest.raises(ConnectionLost):
        await fetch


@pytest.mark.gen_test
async def test_nothing_that_came_stays_inside_tls(
    client: HttpClient, far_side: FarSide, ca_certs: str
) -> None:
    """Many records in one segment: no poller tells of those that were received with the first."""
    port = await far_side.listen(server_context("localhost"))
    taken: list[bytes] = []
    came = asyncio.Event()

    def take(piece: bytes) -> None:
        taken.append(piece)
        if sum(map(len, taken)) == 50:
            came.set()

    fetch = client.fetch(
        ClientRequest(f"https://localhost:{port}/", ca_certs=ca_certs, streaming_callback=take)
    )
    peer = await far_side.peer()
    await peer.request()
    peer.say(OK, b"Content-Length: 51\r\n\r\n")
    for _ in range(50):
        peer.say(b"a")  # a record of its own each, all sent in one turn
    async with asyncio.timeout(1):
        await came.wait()
    peer.say(b"b")
    await fetch
    assert b"a" * 50 + b"b" == b"".join(taken)


@pytest.mark.gen_test
async def test_a_long_request_arrives_whole(
    client: HttpClient, far_side: FarSide, ca_certs: str
) -> None:
    port = await far_side.listen(server_context("localhost"))
    body = bytes(range(256)) * 40_000  # more than the buffers on the way hold
    fetch = client.fetch(
        ClientRequest(f"https://localhost:{port}/", method="POST", body=body, ca_certs=ca_certs)
    )
    peer = await far_side.peer()
    assert (await peer.request()).endswith(b"\r\n\r\n" + body)
    peer.say(FIVE)
    await fetch
    assert 1 == client.connections_idle


@pytest.mark.gen_test
async def test_an_idle_connection_that_the_far_side_closes_is_closed(
    client: HttpClient, far_side: FarSide, ca_certs: str
) -> None:
    port = await far_side.listen(server_context("localhost"))
    fetch = client.fetch(ClientRequest(f"https://localhost:{port}/", ca_certs=ca_certs))
    peer = await far_side.peer()
    peer.say(FIVE)
    await fetch
    assert 1 == client.connections_idle
    await peer.close()
    assert 0 == client.connections_idle
