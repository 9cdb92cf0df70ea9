"""How answers of a chat end, and that each ending is seen for what it is."""

import asyncio
from typing import Any

import pytest

from app.server import Server
from tests.auth_servers import AuthServers
from tests.handlers.ai_sdk.chats import Chat, Chunk, chunks_in, metadata_of, text_of, types_of, user
from tests.readers import call
from tests.serving import Serving
from tests.steps import post, sending
from tests.upstreams import ScriptedUpstream


@pytest.fixture
def chat(headrace: Server) -> Chat:
    return Chat(headrace.url)


def ending(chunks: list[Chunk]) -> list[str]:
    """The types of the chunks after the step."""
    kinds = types_of(chunks)
    return kinds[kinds.index("finish-step") + 1 :]


@pytest.mark.gen_test
async def test_an_answer_that_is_too_long_says_so(chat: Chat, upstream: ScriptedUpstream) -> None:
    upstream.tokens("Hel")
    upstream.finish("length")

    chunks = await chat.ask(user("q"))

    assert ["finish"] == ending(chunks)
    assert "length" == chunks[-1]["finishReason"]


@pytest.mark.gen_test
async def test_a_failed_answer_ends_by_an_error_after_its_status(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    upstream.cut()

    chunks = await chat.ask(user("q"))

    assert ["message-metadata", "error"] == ending(chunks)
    told = metadata_of(chunks)
    assert ("failed", "stream_broken") == (told["status"], told["error"]["code"])
    assert told["error"]["message"] == chunks[-1]["errorText"]


@pytest.mark.gen_test
async def test_a_stop_reaches_the_server_and_every_reader(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    stream = await (await chat.open(user("q"))).text("Hel")
    other = await (await chat.reopen()).text("Hel")

    statuses = [await chat.stop(), await chat.stop()]
    ended = [await each.end() for each in (stream, other)]
    resumed = await chat.resume()

    assert [204, 204] == statuses
    await upstream.closed.wait()
    for chunks in (*ended, resumed):
        assert chunks is not None
        assert ["message-metadata", "abort", "finish"] == ending(chunks)
        assert "stopped" == metadata_of(chunks)["status"]
        assert "Hel" == text_of(chunks)


@pytest.mark.gen_test
async def test_an_answer_that_nobody_read_says_so_when_its_client_comes_back(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    stream = await (await chat.open(user("q"), on_disconnect={"grace": 0.01})).text("Hel")

    stream.close()
    await upstream.closed.wait()
    resumed = await chat.resume()

    assert resumed is not None
    assert ["message-metadata", "error"] == ending(resumed)
    assert "abandoned" == metadata_of(resumed)["status"]


@pytest.mark.gen_test
async def test_a_shutdown_ends_an_answer_as_interrupted(
    serve: Serving, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await serve.start(providers=providers, relay={"drain_seconds": 0})
    upstream.tokens("Hel")
    stream = await (await Chat(server.url).open(user("q"))).text("Hel")

    stopping = asyncio.create_task(serve.stop(server))
    chunks = await stream.end()
    await stopping

    assert ["message-metadata", "error"] == ending(chunks)
    assert "interrupted" == metadata_of(chunks)["status"]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.gen_test
async def test_a_stream_that_ends_before_its_answer_does_not_look_whole(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any], version: str
) -> None:
    server = await auth_servers.open(providers=providers)
    alice = await auth_servers.create_key("alice")
    upstream.tokens("Hel")
    body = b'{"id":"c1","message":{"role":"user","parts":[{"type":"text","text":"q"}]}}'
    request = post(body, version=version, key=alice.key, path="/ai-sdk/chat")
    stream, writer = await sending(server, request)
    received = await stream.readuntil(b'"Hel"}\n\n')
    [generation] = server.relay.live_answers

    generation.answer.disconnect_readers()  # as when another process has it, and this one stops
    received += await stream.read()
    writer.close()
    await writer.wait_closed()

    if version == "1.0":
        *_, told = chunks_in(received.partition(b"\r\n\r\n")[2])
        assert "error" == told["type"]
    else:
        assert b"error" not in received
        assert not received.endswith(b"0\r\n\r\n")  # the connection broke


@pytest.mark.gen_test
async def test_refusals_are_text_for_people(chat: Chat) -> None:
    refused = await chat.post(user("q"), model="none/none")
    nothing = await chat.post(user(" "))
    neither = await call(chat.url, "POST", "/ai-sdk/chat", {"id": "c1"})

    assert (400, "unknown_model") == (refused.status, refused.code)
    assert refused.body.startswith(b"This server has no such model.")
    assert "text/plain; charset=utf-8" == refused.headers["content-type"]
    assert (400, "invalid_body") == (nothing.status, nothing.code) == (neither.status, neither.code)
    assert await chat.resume() is None
