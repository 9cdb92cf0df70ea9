"""A fetch and its response: what is sent, what is handed over and when, and what it may not do."""

import asyncio
import json
import sys
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest
from tornado.httputil import HTTPHeaders

from http_client import client as client_module
from http_client.client import ClientRequest, HttpClient
from http_client.errors import InvalidResponse, RequestTimedOut
from tests.http_client.far_side import CHUNKED, FIVE, LAST_CHUNK, OK, FarSide, chunk


@pytest.mark.gen_test
async def test_a_request_reaches_the_far_side_as_it_was_meant(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()
    fetch = client.fetch(
        f"http://127.0.0.1:{port}/v1/chat?stream=1#part",
        method="POST",
        headers={"Authorization": "Bearer k"},
        body='{"模型":1}',
    )
    peer = await far_side.peer()
    assert await peer.request() == (
        f"POST /v1/chat?stream=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "Accept-Encoding: identity\r\nAuthorization: Bearer k\r\nUser-Agent: Headrace\r\n"
        'Content-Length: 12\r\n\r\n{"模型":1}'.encode()
    )
    peer.say(OK, b"X-Request-Id: r1\r\nContent-Length: 5\r\n\r\nhello")
    response = await fetch
    assert (200, "OK", b"hello") == (response.code, response.reason, response.body)
    assert "r1" == response.headers["X-Request-Id"]
    assert "POST" == response.request.method
    assert 0 <= response.request_time < 10


@pytest.mark.gen_test
async def test_an_ipv6_address_is_asked_by_its_name_in_brackets(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen(host="::1")
    fetch = client.fetch(f"http://[::1]:{port}/")
    peer = await far_side.peer()
    assert f"\r\nHost: [::1]:{port}\r\n".encode() in await peer.request()
    peer.say(FIVE)
    assert b"hello" == (await fetch).body


@pytest.mark.gen_test
async def test_tornados_own_request_and_its_callbacks_work(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()
    lines: list[str] = []
    pieces: list[bytes] = []
    headers = HTTPHeaders({"X-A": "1", "User-Agent": "Someone"})
    headers.add("X-A", "2")
    request = HTTPRequest(
        f"http://127.0.0.1:{port}/",
        headers=headers,
        header_callback=lines.append,
        streaming_callback=pieces.append,
    )
    fetch = client.fetch(request)
    peer = await far_side.peer()
    sent = await peer.request()
    assert b"\r\nX-A: 1\r\nX-A: 2\r\n" in sent
    assert 1 == sent.count(b"User-Agent:")
    peer.say(CHUNKED, chunk(b"hel"), chunk(b"lo"), LAST_CHUNK)
    response = await fetch
    assert ["HTTP/1.1 200 OK\r\n", "Transfer-Encoding: chunked\r\n", "\r\n"] == lines
    assert (b"hello", b"") == (b"".join(pieces), response.body)


@pytest.mark.gen_test
async def test_the_head_comes_before_the_body_and_the_body_as_it_arrives(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()
    seen: asyncio.Queue[object] = asyncio.Queue()
    fetch = client.fetch(
        ClientRequest(
            f"http://127.0.0.1:{port}/",
            on_head=lambda status, headers: seen.put_nowait((status, headers["X-A"])),
            streaming_callback=seen.put_nowait,
        )
    )
    peer = await far_side.peer()
    await peer.request()
    peer.say(b"HTTP/1.1 103 Early Hints\r\nX-A: 0\r\n\r\n")
    peer.say(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert (200, "1") == await seen.get()
    for word in (b"one", b"two"):
        peer.say(chunk(word))
        assert await seen.get() == word
    assert not fetch.done()
    peer.say(LAST_CHUNK)
    await fetch
    assert seen.empty()


@pytest.mark.gen_test
@pytest.mark.parametrize("status", [301, 307, 404, 500])
async def test_a_status_is_a_response_and_no_redirect_is_followed(
    client: HttpClient, far_side: FarSide, status: int
) -> None:
    port = await far_side.listen()
    location = f"Location: http://127.0.0.1:{port}/elsewhere\r\n".encode()
    answer = b"HTTP/1.1 %d Hm\r\n%sContent-Length: 2\r\n\r\nno" % (status, location)

    fetch = client.fetch(f"http://127.0.0.1:{port}/", raise_error=False)
    peer = await far_side.peer()
    await peer.request()
    peer.say(answer)
    response = await fetch
    assert (status, "Hm", b"no") == (response.code, response.reason, response.body)

    fetch = client.fetch(f"http://127.0.0.1:{port}/?key=secret")
    assert b"GET /?key=secret" in await peer.request()
    peer.say(answer)
    with pytest.raises(HTTPError) as caught:
        await fetch
    assert caught.value.code == status
    assert "secret" not in str(caught.value)


@pytest.mark.gen_test
async def test_a_body_that_nobody_takes_is_bounded(
    client: HttpClient, far_side: FarSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_BUFFERED_BYTES", 5)
    port = await far_side.listen()
    fetch = client.fetch(f"http://127.0.0.1:{port}/")
    peer = await far_side.peer()
    await peer.request()
    peer.say(FIVE)
    assert b"hello" == (await fetch).body
    fetch = client.fetch(f"http://127.0.0.1:{port}/")
    await peer.request()
    peer.say(CHUNKED, chunk(b"hello"), chunk(b"!"))
    with pytest.raises(InvalidResponse):
        await fetch
    await peer.left()


@pytest.mark.gen_test
async def test_request_timeout_is_for_the_whole_and_off_by_default(
    client: HttpClient, far_side: FarSide
) -> None:
    assert 0 == client.defaults["request_timeout"]
    port = await far_side.listen()
    pieces: list[bytes] = []
    fetch = client.fetch(
        ClientRequest(
            f"http://127.0.0.1:{port}/", request_timeout=0.3, streaming_callback=pieces.append
        )
    )
    peer = await far_side.peer()
    peer.say(CHUNKED, chunk(b"one"))
    with pytest.raises(RequestTimedOut):
        await fetch
    await peer.left()
    assert [b"one"] == pieces


@pytest.mark.gen_test
async def test_a_flood_leaves_others_their_turn(client: HttpClient, far_side: FarSide) -> None:
    port = await far_side.listen()
    turns = taken = 0
    longest = since = 0

    def take(piece: bytes) -> None:
        nonlocal taken, since, longest
        taken += len(piece)
        since += 1
        longest = max(longest, since)

    fetch = client.fetch(ClientRequest(f"http://127.0.0.1:{port}/", streaming_callback=take))
    peer = await far_side.peer()
    peer.say(OK, b"Content-Length: 4000000\r\n\r\n", b"x" * 4_000_000)
    while not fetch.done():
        await asyncio.sleep(0)
        turns += 1
        since = 0
    await fetch
    assert 4_000_000 == taken
    assert turns > 100
    assert longest <= 2


@pytest.mark.gen_test
async def test_a_long_request_arrives_whole(client: HttpClient, far_side: FarSide) -> None:
    port = await far_side.listen()
    body = bytes(range(256)) * 40_000  # more than the buffers on the way hold
    fetch = client.fetch(f"http://127.0.0.1:{port}/", method="POST", body=body)
    peer = await far_side.peer()
    assert (await peer.request()).endswith(b"\r\n\r\n" + body)
    peer.say(FIVE)
    await fetch
    assert 1 == client.connections_idle


@pytest.mark.gen_test
async def test_an_early_refusal_of_a_long_request_is_read(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()
    body = b"x" * 20_000_000  # more than the buffers on the way hold
    fetch = client.fetch(f"http://127.0.0.1:{port}/", method="POST", body=body, raise_error=False)
    peer = await far_side.peer()
    peer.stop_reading()
    peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    assert 413 == (await fetch).code
    assert 0 == client.connections_idle  # the rest of the request was never sent


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"url": "ftp://127.0.0.1/?key=secret"}, "begins with"),
        ({"url": "http://user:secret@127.0.0.1/"}, "credentials"),
        ({"url": "http:///path?key=secret"}, "no host"),
        ({"url": "http://文心.example/?key=secret"}, "not ASCII"),
        ({"url": "http://127.0.0.1/模型?key=secret"}, "percent-encoded"),
        ({"url": "http://127.0.0.1:99999/?key=secret"}, "[Pp]ort"),
        ({"headers": {"X-Key": "secret\r\nX-Other: 1"}}, "X-Key"),
        ({"method": "HEAD"}, "HEAD"),
        ({"follow_redirects": True}, "follow_redirects"),
        ({"decompress_response": True}, "decompress_response"),
        ({"proxy_host": "127.0.0.1"}, "proxy_port"),
        ({"proxy_host": "pro xy", "proxy_port": 1}, "host"),
    ],
)
async def test_a_request_that_cannot_be_sent_as_it_is_is_refused(
    client: HttpClient, settings: dict[str, Any], complaint: str
) -> None:
    request = ClientRequest(**{"url": "http://127.0.0.1/?key=secret", **settings})
    with pytest.raises(ValueError, match=complaint) as caught:
        await client.fetch(request)
    assert "secret" not in str(caught.value)


@pytest.mark.gen_test
async def test_every_client_is_an_instance_of_its_own() -> None:
    one, other = HttpClient(max_connections=1), HttpClient(max_connections=2)
    assert one is not other
    assert isinstance(one, AsyncHTTPClient)
    one.close()
    one.close()  # again, and nothing happens
    other.close()
    with pytest.raises(RuntimeError):
        one.fetch("http://127.0.0.1/")


@pytest.mark.gen_test
async def test_one_may_be_configured_as_tornados_client(far_side: FarSide) -> None:
    port = await far_side.listen()
    AsyncHTTPClient.configure(HttpClient, defaults={"user_agent": "Configured"})
    try:
        client = AsyncHTTPClient(force_instance=True)
        fetch = client.fetch(f"http://127.0.0.1:{port}/")
        peer = await far_side.peer()
        assert b"User-Agent: Configured" in await peer.request()
        peer.say(OK, b"Content-Length: 2\r\n\r\n{}")
        assert {} == json.loads((await fetch).body)
        client.close()
    finally:
        AsyncHTTPClient.configure(None)


@pytest.mark.gen_test
async def test_a_body_that_was_sent_is_not_held_while_the_response_comes(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()
    body = b"x" * 100_000
    held_by_the_test = sys.getrefcount(body)
    came = asyncio.Event()
    fetch = client.fetch(
        ClientRequest(
            f"http://127.0.0.1:{port}/",
            method="POST",
            body=body,
            streaming_callback=lambda _: came.set(),
        )
    )
    peer = await far_side.peer()
    await peer.request()
    held_before_the_response = sys.getrefcount(body) - held_by_the_test
    peer.say(CHUNKED, chunk(b"a"))
    await came.wait()

    held = sys.getrefcount(body) - held_by_the_test

    assert (True, 0) == (held_before_the_response > 0, held)
    peer.say(LAST_CHUNK)
    await fetch


@pytest.mark.gen_test
async def test_a_request_whose_body_is_gone_is_not_sent_without_it(
    client: HttpClient, far_side: FarSide
) -> None:
    port = await far_side.listen()
    request = ClientRequest(f"http://127.0.0.1:{port}/", method="POST", body=b"once")
    fetch = client.fetch(request)
    peer = await far_side.peer()
    await peer.request()
    peer.say(FIVE)
    await fetch

    with pytest.raises(ValueError, match="one fetch"):
        client.fetch(request)


@pytest.mark.gen_test
async def test_a_request_is_for_one_fetch(client: HttpClient, far_side: FarSide) -> None:
    request = ClientRequest(
        f"http://127.0.0.1:{await far_side.listen()}/", method="POST", body=b"x"
    )
    fetch = client.fetch(request)
    peer = await far_side.peer()
    await peer.request()
    peer.say(FIVE)
    await fetch

    with pytest.raises(ValueError, match="for one fetch"):
        client.fetch(request)
