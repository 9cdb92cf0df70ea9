"""An HTTP proxy on the way: a tunnel for every request, and proxies that make none."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from http_client.client import HttpClient
from http_client.errors import ConnectFailed
from tests.http_client.far_side import FIVE, FarSide, Peer, unused_port

TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def through(far_side: FarSide, *credentials: str) -> dict[str, Any]:
    """The settings of a request that goes through the far side."""
    settings: dict[str, Any] = {"proxy_host": "127.0.0.1", "proxy_port": await far_side.listen()}
    return settings | dict(zip(("proxy_username", "proxy_password"), credentials, strict=False))


async def answer(peer: Peer) -> bytes:
    request = await peer.request()
    peer.say(FIVE)
    return request


@pytest.mark.gen_test
async def test_plain_http_goes_through_a_tunnel_that_is_kept(
    client: HttpClient, far_side: FarSide
) -> None:
    way = await through(far_side)
    fetch = client.fetch("http://upstream.example:8080/v1", headers={"X-Key": "k"}, **way)
    proxy = await far_side.peer()
    connect = b"CONNECT upstream.example:8080 HTTP/1.1\r\nHost: upstream.example:8080\r\n\r\n"
    assert connect == await proxy.request()
    proxy.say(TUNNEL)
    request = await answer(proxy)
    assert request.startswith(b"GET /v1 HTTP/1.1\r\nHost: upstream.example:8080\r\n")
    assert b"hello" == (await fetch).body
    again = client.fetch("http://upstream.example:8080/v2", **way)
    assert (await answer(proxy)).startswith(b"GET /v2 ")
    await again


@pytest.mark.gen_test
async def test_tls_is_spoken_with_the_provider_and_not_with_the_proxy(
    client: HttpClient, far_side: FarSide, tmp_path: Path
) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("upstream.example").configure_cert(context)
    way = await through(far_side, "headrace", "s:cret")
    fetch = client.fetch("https://upstream.example/", ca_certs=str(tmp_path / "ca.pem"), **way)
    proxy = await far_side.peer()
    connect = (
        b"CONNECT upstream.example:443 HTTP/1.1\r\nHost: upstream.example:443\r\n"
        b"Proxy-Authorization: Basic aGVhZHJhY2U6czpjcmV0\r\n\r\n"
    )
    assert connect == await proxy.request()
    proxy.say(TUNNEL)
    await proxy.start_tls(context)
    request = await answer(proxy)
    assert request.startswith(b"GET / HTTP/1.1\r\nHost: upstream.example\r\n")
    assert b"Proxy-Authorization" not in request
    assert b"hello" == (await fetch).body


@pytest.mark.gen_test
async def test_an_ipv6_address_is_in_brackets_for_the_proxy_too(
    client: HttpClient, far_side: FarSide
) -> None:
    fetch = client.fetch("http://[2001:db8::1]/", **await through(far_side))
    proxy = await far_side.peer()
    assert (await proxy.request()).startswith(b"CONNECT [2001:db8::1]:80 HTTP/1.1\r\n")
    proxy.say(TUNNEL)
    assert b"\r\nHost: [2001:db8::1]\r\n" in await answer(proxy)
    await fetch


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 OK\r\nVia: 1.1 proxy\r\n\r\n",
    ],
)
async def test_proxies_say_yes_in_many_ways(
    client: HttpClient, far_side: FarSide, said: bytes
) -> None:
    fetch = client.fetch("http://upstream.example/", **await through(far_side))
    proxy = await far_side.peer()
    await proxy.request()
    for byte in said:
        proxy.say(bytes([byte]))
    await answer(proxy)
    assert b"hello" == (await fetch).body


@pytest.mark.gen_test
@pytest.mark.parametrize("status", [301, 403, 407, 502])
async def test_a_proxy_that_refuses_is_named_in_the_cause(
    client: HttpClient, far_side: FarSide, status: int
) -> None:
    way = await through(far_side, "headrace", "secret")
    fetch = client.fetch("http://upstream.example/?key=secret", **way)
    proxy = await far_side.peer()
    await proxy.request()
    proxy.say(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % status)
    with pytest.raises(ConnectFailed) as caught:
        await fetch
    assert f"the proxy answered CONNECT with {status}" in str(caught.value.__cause__)
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    await proxy.left()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="it is no proxy"),
        pytest.param(TUNNEL + FIVE, id="it answers in the provider's place"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, id="a head without end"),
    ],
)
async def test_a_proxy_that_cannot_be_one(
    client: HttpClient, far_side: FarSide, said: bytes
) -> None:
    fetch = client.fetch("http://upstream.example/", **await through(far_side))
    proxy = await far_side.peer()
    proxy.say(said)
    with pytest.raises(ConnectFailed):
        await fetch
    await proxy.left()


@pytest.mark.gen_test
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_proxy_that_leaves(client: HttpClient, far_side: FarSide, how: str) -> None:
    fetch = client.fetch("http://upstream.example/", **await through(far_side))
    proxy = await far_side.peer()
    await proxy.request()
    await getattr(proxy, how)()
    with pytest.raises(ConnectFailed):
        await fetch


@pytest.mark.gen_test
async def test_a_proxy_that_is_not_there(client: HttpClient) -> None:
    with pytest.raises(ConnectFailed):
        await client.fetch(
            "http://upstream.example/", proxy_host="127.0.0.1", proxy_port=unused_port()
        )


@pytest.mark.gen_test
async def test_another_user_of_the_proxy_has_a_tunnel_of_his_own(
    client: HttpClient, far_side: FarSide
) -> None:
    way = await through(far_side, "one", "a")
    for user in ("one", "other"):
        fetch = client.fetch("http://upstream.example/", **way | {"proxy_username": user})
        proxy = await far_side.peer()
        await proxy.request()
        proxy.say(TUNNEL)
        await answer(proxy)
        await fetch
    assert 2 == client.connections_idle
