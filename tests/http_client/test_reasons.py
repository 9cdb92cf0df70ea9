"""Why there was no connection, or why it broke: one of our words, without a quotation."""

import asyncio
import datetime
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from http_client.client import ClientRequest, HttpClient
from http_client.errors import ConnectFailed, ConnectionLost, HttpClientError, InvalidResponse
from http_client.reasons import reason_of
from tests.http_client.far_side import CHUNKED, OK, FarSide, Peer, unused_port

CA = trustme.CA()
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


async def failure(client: HttpClient, url: str, **settings: Any) -> HttpClientError:
    with pytest.raises(HttpClientError) as caught:
        await client.fetch(ClientRequest(url, **settings))
    return caught.value


@pytest.mark.parametrize(
    ("certificate", "is_known", "reason"),
    [
        (CA.issue_cert("localhost", not_after=PAST), True, "tls_certificate_expired"),
        (CA.issue_cert("other.example"), True, "tls_hostname_mismatch"),
        (CA.issue_cert("localhost"), False, "tls_unknown_ca"),
    ],
)
@pytest.mark.gen_test
async def test_what_is_wrong_with_a_certificate(
    client: HttpClient,
    far_side: FarSide,
    tmp_path: Path,
    certificate: trustme.LeafCert,
    is_known: bool,
    reason: str,
) -> None:
    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    port = await far_side.listen(context_of(certificate))
    ca_certs = str(tmp_path / "ca.pem") if is_known else None

    error = await failure(client, f"https://localhost:{port}/", ca_certs=ca_certs)

    assert (ConnectFailed, reason) == (type(error), error.reason)


@pytest.mark.gen_test
async def test_why_there_is_no_connection(client: HttpClient, tmp_path: Path) -> None:
    port = unused_port()
    nobody = await failure(client, f"http://127.0.0.1:{port}/")
    no_name = await failure(client, "http://no-such-name.invalid/")
    too_long = await failure(client, f"http://{'a' * 70}.example/")
    no_file = await failure(client, "https://localhost/", ca_certs=str(tmp_path / "gone.pem"))
    no_proxy = await failure(client, "http://x.example/", proxy_host="127.0.0.1", proxy_port=port)

    assert "refused" == nobody.reason
    assert no_name.reason in ("no_address", "name_server_silent")  # where there is no network
    assert "no_address" == too_long.reason
    assert "file_missing" == no_file.reason
    assert "by_proxy_refused" == no_proxy.reason


@pytest.mark.gen_test
async def test_a_port_that_speaks_no_tls(client: HttpClient, far_side: FarSide) -> None:
    port = await far_side.listen()
    fetch = asyncio.create_task(failure(client, f"https://127.0.0.1:{port}/"))
    peer = await far_side.peer()
    peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    error = await fetch

    assert re.fullmatch(r"tls_(wrong_version_number|record_layer_failure)", error.reason)
    await peer.left()


@pytest.mark.gen_test
async def test_a_proxy_that_says_no(client: HttpClient, far_side: FarSide) -> None:
    port = await far_side.listen()
    way = {"proxy_host": "127.0.0.1", "proxy_port": port}
    fetch = asyncio.create_task(failure(client, "http://upstream.example/", **way))
    proxy = await far_side.peer()
    await proxy.request()
    proxy.say(b"HTTP/1.1 407 Give me a password\r\nContent-Length: 0\r\n\r\n")

    assert "by_proxy_http_407" == (await fetch).reason


async def closes(peer: Peer) -> None:
    await peer.close()


async def resets(peer: Peer) -> None:
    await peer.reset()


async def stays(_: Peer) -> None:
    """It stays open: what came is enough."""


SECRET = b"sk-secret"
Leaving = Callable[[Peer], Awaitable[None]]
RESPONSES: dict[str, tuple[bytes, Leaving, type[HttpClientError], str]] = {
    "nothing": (b"", closes, ConnectionLost, "closed_before_the_head"),
    "a reset": (b"", resets, ConnectionLost, "reset_before_the_head"),
    "half": (OK + b"Content-Length: 9\r\n\r\nhel", closes, ConnectionLost, "closed_in_the_body"),
    "a reset half": (CHUNKED + b"3\r\nhel\r\n", resets, ConnectionLost, "reset_in_the_body"),
    "a broken chunk": (
        CHUNKED + SECRET + b"\r\n",
        stays,
        ConnectionLost,
        "http_invalid_character_in_chunk_size_in_the_body",
    ),
    "no http": (SECRET + b"\r\n\r\n", stays, InvalidResponse, "no_http"),
    "an odd length": (
        OK + b"Content-Length: " + SECRET + b"\r\n\r\n",
        stays,
        InvalidResponse,
        "http_invalid_character_in_content_length",
    ),
    "an odd header": (
        OK + b"X " + SECRET + b": x\r\n\r\n",
        stays,
        InvalidResponse,
        "http_invalid_header_token",
    ),
    "brotli": (OK + b"Content-Encoding: br\r\n\r\n", stays, InvalidResponse, "content_encoding_br"),
    "two codings": (
        OK + b"Content-Encoding: gzip, zstd\r\n\r\n",
        stays,
        InvalidResponse,
        "content_encoding_gzip+zstd",
    ),
    "a secret coding": (
        OK + b"Content-Encoding: " + SECRET + b"\r\n\r\n",
        stays,
        InvalidResponse,
        "content_encoding_unknown",
    ),
    "a secret transfer coding": (
        OK + b"Transfer-Encoding: " + SECRET + b"\r\n\r\n",
        stays,
        InvalidResponse,
        "transfer_encoding",
    ),
    "many headers": (OK + b"X: x\r\n" * 300 + b"\r\n", stays, InvalidResponse, "too_many_headers"),
    "a long head": (OK + b"X: " + b"x" * 70_000, stays, InvalidResponse, "head_too_long"),
    "another protocol": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        stays,
        InvalidResponse,
        "http_101",
    ),
    "no gzip": (
        OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bxx",
        stays,
        InvalidResponse,
        "not_compressed",
    ),
    "more than is kept": (
        OK + b"Content-Length: 3000000\r\n\r\n" + b"x" * 2_000_000,
        stays,
        InvalidResponse,
        "body_too_long",
    ),
}


@pytest.mark.gen_test
async def test_what_comes_in_place_of_a_connection_that_went_stale_has_its_own_reason(
    client: HttpClient, far_side: FarSide
) -> None:
    url = f"http://127.0.0.1:{await far_side.listen()}/"
    first = client.fetch(ClientRequest(url))
    peer = await far_side.peer()
    await peer.request()
    peer.say(OK + b"Content-Length: 0\r\n\r\n")
    await first

    again = asyncio.create_task(failure(client, url))
    await peer.request()
    await peer.close()
    another = await far_side.peer()
    await another.request()
    another.say(b"SSH-2.0-x\r\n")

    assert "no_http" == (await again).reason


@pytest.mark.parametrize("kind", RESPONSES)
@pytest.mark.gen_test
async def test_why_a_response_is_none(client: HttpClient, far_side: FarSide, kind: str) -> None:
    said, leave, error, reason = RESPONSES[kind]
    port = await far_side.listen()
    fetch = asyncio.create_task(failure(client, f"http://127.0.0.1:{port}/"))
    peer = await far_side.peer()
    await peer.request()
    peer.say(said)
    await asyncio.sleep(0)
    await leave(peer)

    found = await fetch

    assert type(found) is error
    assert found.reason.startswith(reason)
    assert "secret" not in f"{found!r} {found.reason}"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(socket.EAI_AGAIN, "no words of it"), "name_server_silent"),
        (socket.gaierror(socket.EAI_NONAME, "no words of it"), "no_address"),
        (TimeoutError(110, "no words of it"), "timed_out"),
        (OSError(113, "no words of it"), "no_route"),
        (OSError(24, "no words of it"), "out_of_descriptors"),
        (OSError(99999, "no words of it"), "no_connection"),
        (ssl.SSLError(1, "no words of it"), "tls_failed"),
        (RuntimeError("no words of it"), "no_connection"),
    ],
)
def test_what_no_socket_here_can_be_made_to_say(error: Exception, reason: str) -> None:
    assert reason == reason_of(error)
