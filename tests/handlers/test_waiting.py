"""Clients that wait for an answer as JSON: signs of life, and what their leaving means."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from tests.auth_servers import AuthServers
from tests.readers import call
from tests.serving import Serving
from tests.steps import JSON, asking_whole, sending
from tests.upstreams import ScriptedUpstream

# Signs come at once, and every time that the timer looks.
SIGNS = {"first_sign_seconds": 0.001, "heartbeat_seconds": 0.1}


@pytest.fixture
def server(io_loop: IOLoop, serve: Serving, providers: dict[str, dict[str, Any]]) -> Server:
    started: Server = io_loop.run_sync(lambda: serve.start(providers=providers, relay=SIGNS))
    return started


class Waiting:
    """A client that waits, with what it gets byte by byte."""

    def __init__(self, stream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stream = stream
        self.writer = writer

    @classmethod
    async def ask(cls, server: Server, version: str = "1.1", **headers: str) -> "Waiting":
        body = json.dumps({"content": "hi"})
        fields = {"Host": urlsplit(server.url).netloc, **JSON, **headers}
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"POST /api/v1/chat HTTP/{version}\r\n{head}\r\n{body}"
        return cls(*await sending(server, request.encode()))

    async def head(self) -> str:
        return (await self.stream.readuntil(b"\r\n\r\n")).decode()

    async def rest(self) -> bytes:
        """All that comes until the server closes the connection."""
        data = await self.stream.read()
        self.writer.close()
        return data


@pytest.mark.gen_test
async def test_white_space_comes_before_the_message(
    server: Server, upstream: ScriptedUpstream
) -> None:
    waiting = await Waiting.ask(server, Connection="close")
    head = await waiting.head()
    signs = [await waiting.stream.readuntil(b"1\r\n\n\r\n") for _ in range(2)]
    upstream.tokens("Hello")
    upstream.finish()

    rest = await waiting.rest()

    assert head.startswith("HTTP/1.1 200 ")
    assert "application/json" in head
    assert {b"1\r\n\n\r\n"} == set(signs)
    assert rest.endswith(b"\r\n0\r\n\r\n")
    assert b'"status":"complete"' in rest


@pytest.mark.gen_test
async def test_a_client_reads_it_as_any_other_message(
    server: Server, upstream: ScriptedUpstream
) -> None:
    asking = asking_whole(server, {"content": "hi"}, JSON)
    async with asyncio.timeout(5):
        while not asking.done():
            await asyncio.sleep(0.2)  # a sign or two
            upstream.tokens("Hello")
            upstream.finish()

    answered = await asking

    assert (200, "Hello") == (answered.status, answered.body["blocks"][0]["text"])
    assert "content-length" not in answered.headers


@pytest.mark.gen_test
async def test_who_gets_its_answer_soon_gets_a_status_and_no_sign(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.fail(429, {"error": {"message": "slow down"}})

    failed = await call(headrace.url, "POST", "/api/v1/chat", {"content": "hi"}, headers=JSON)

    assert (503, "provider_rate_limited") == (failed.status, failed.body["error"]["code"])


@pytest.mark.gen_test
async def test_an_answer_that_fails_after_a_sign_breaks_off_and_a_retry_says_why(
    server: Server, upstream: ScriptedUpstream
) -> None:
    waiting = await Waiting.ask(server, **{"Idempotency-Key": "k"})
    await waiting.head()
    upstream.tokens("Hel")
    upstream.cut()

    rest = await waiting.rest()

    assert b'"stream_broken"' in rest
    assert not rest.endswith(b"0\r\n\r\n")
    again = await call(
        server.url,
        "POST",
        "/api/v1/chat",
        {"content": "hi"},
        headers={**JSON, "Idempotency-Key": "k"},
    )
    assert (502, "stream_broken") == (again.status, again.body["error"]["code"])


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.gen_test
async def test_to_http_1_0_the_close_is_the_end_and_an_error_is_written(
    auth_servers: AuthServers,
    providers: dict[str, dict[str, Any]],
    upstream: ScriptedUpstream,
    fails: bool,
) -> None:
    server = await auth_servers.open(providers=providers, relay=SIGNS)
    alice = await auth_servers.create_key("alice")
    waiting = await Waiting.ask(server, "1.0", Connection="keep-alive", **alice.headers)
    head = await waiting.head()
    upstream.tokens("Hel")
    if fails:
        upstream.cut()
    else:
        upstream.finish()

    body = json.loads(await waiting.rest())

    assert "chunked" not in head
    assert fails is (body["error"] is not None)
    assert "Hel" == (body["message"] if fails else body)["blocks"][0]["text"]


@pytest.mark.gen_test
async def test_no_sign_is_sent_if_the_settings_say_so(
    serve: Serving, providers: dict[str, dict[str, Any]], upstream: ScriptedUpstream
) -> None:
    relay = {"first_sign_seconds": 0, "heartbeat_seconds": 0.05}
    server = await serve.start(providers=providers, relay=relay)
    waiting = await Waiting.ask(server, Connection="close")
    await asyncio.sleep(0.2)  # in which signs would have come
    upstream.fail(429, {"error": {"message": "slow down"}})

    assert (await waiting.head()).startswith("HTTP/1.1 503 ")
    await waiting.rest()


@pytest.mark.gen_test
async def test_a_disconnect_is_noticed_before_the_first_sign(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    waiting = await Waiting.ask(headrace)
    upstream.tokens("Hel")
    await upstream.request(0)

    waiting.writer.close()

    await upstream.closed.wait()


@pytest.mark.gen_test
async def test_a_disconnect_is_noticed_after_the_first_sign(
    server: Server, upstream: ScriptedUpstream
) -> None:
    waiting = await Waiting.ask(server)
    upstream.tokens("Hel")
    await waiting.head()

    waiting.writer.close()

    await upstream.closed.wait()


@pytest.mark.gen_test
async def test_who_sent_a_key_is_waited_for(server: Server, upstream: ScriptedUpstream) -> None:
    waiting = await Waiting.ask(server, **{"Idempotency-Key": "k"})
    await waiting.head()
    upstream.tokens("Hel")
    waiting.writer.close()
    await server.open_requests.wait_for_none(timeout=5)

    upstream.tokens("lo")
    upstream.finish()
    again = await call(
        server.url,
        "POST",
        "/api/v1/chat",
        {"content": "hi"},
        headers={**JSON, "Idempotency-Key": "k"},
    )

    assert (200, "Hello") == (again.status, again.body["blocks"][0]["text"])
    assert 1 == len(upstream.requests)
