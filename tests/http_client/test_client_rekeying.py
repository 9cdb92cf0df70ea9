"""The client against a TLS server that changes keys while a request or a response is on its way.

TLS 1.3 has key updates for that, TLS 1.2 whole new handshakes. OpenSSL's own server does either at
a line of its input, and sends all other lines to the client.
"""

import asyncio
import fcntl
import termios
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from http_client.client import ClientRequest, HttpClient
from tests.http_client.far_side import unused_port

# The protocol's version, and the line that changes keys, without and with the client's answer.
WAYS = [("-tls1_3", b"k\n"), ("-tls1_3", b"K\n"), ("-tls1_2", b"r\n")]


@pytest.fixture
def cert(tmp_path: Path) -> str:
    """A file with a key and a certificate."""
    path = tmp_path / "cert.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)


@asynccontextmanager
async def serving(program: str, cert: str, version: str) -> AsyncIterator[tuple[Process, str]]:
    """OpenSSL's server, and its address."""
    port = unused_port()
    server = await asyncio.create_subprocess_exec(
        *(program, "s_server", "-accept", f"127.0.0.1:{port}", "-cert", cert, "-key", cert),
        version,
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        await shown(server, b"ACCEPT")
        yield server, f"https://localhost:{port}/"
    finally:
        server.kill()
        await server.communicate()


async def shown(server: Process, word: bytes) -> None:
    """Wait until the server has shown `word`, which comes last of what it has to show."""
    assert server.stdout is not None
    tail = b""
    async with asyncio.timeout(20):
        while word not in tail:
            piece = await server.stdout.read(65536)
            assert piece, "the server has ended"
            tail = tail[-len(word) :] + piece


def tell(server: Process, *lines: bytes) -> None:
    assert server.stdin is not None
    server.stdin.write(b"".join(lines))


async def change_keys(server: Process, line: bytes) -> None:
    """Have the server change keys; what it reads together with the line, it would take for text."""
    assert server.stdin is not None
    tell(server, line)
    pipe = server.stdin.transport.get_extra_info("pipe")
    while any(fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(4))):  # noqa: ASYNC110 - silent
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(("version", "line"), WAYS)
@pytest.mark.gen_test
async def test_in_the_middle_of_a_response(
    client: HttpClient, needs: Callable[[str], str], cert: str, version: str, line: bytes
) -> None:
    pieces: asyncio.Queue[bytes] = asyncio.Queue()
    async with serving(needs("openssl"), cert, version) as (server, url):
        fetch = client.fetch(
            ClientRequest(url, validate_cert=False, streaming_callback=pieces.put_nowait)
        )
        await shown(server, b"\r\n\r\n")
        tell(server, b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\none\n")
        assert b"one\n" == await pieces.get()

        for _ in range(2):
            await change_keys(server, line)
            tell(server, b"two\n")
            assert b"two\n" == await asyncio.wait_for(pieces.get(), 5)

        await fetch
        assert 1 == client.connections_idle


@pytest.mark.slow
@pytest.mark.parametrize(("version", "line"), WAYS)
@pytest.mark.gen_test
async def test_while_a_long_request_is_sent(
    client: HttpClient, needs: Callable[[str], str], cert: str, version: str, line: bytes
) -> None:
    async with serving(needs("openssl"), cert, version) as (server, url):
        body = bytes(8_000_000) + b"the end"  # more than the buffers on the way hold
        fetch = client.fetch(ClientRequest(url, method="POST", body=body, validate_cert=False))
        await shown(server, b"\r\n\r\n")
        await change_keys(server, line)

        await shown(server, b"the end")
        tell(server, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\none\n")

        assert b"one\n" == (await asyncio.wait_for(fetch, 5)).body
