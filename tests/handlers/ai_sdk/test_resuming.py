"""Coming back to a chat: the newest answer again, and questions while an answer is live."""

import asyncio
from typing import Any

import pytest

from app.server import Server
from tests.auth_servers import AuthServers
from tests.faulty_servers import FaultyServer
from tests.handlers.ai_sdk.chats import PATH, Chat, metadata_of, one, text_of, user
from tests.readers import call
from tests.upstreams import ScriptedUpstream


@pytest.fixture
def chat(headrace: Server) -> Chat:
    return Chat(headrace.url)


def say(upstream: ScriptedUpstream, text: str) -> None:
    upstream.tokens(text)
    upstream.finish()
    upstream.next_request()


@pytest.mark.gen_test
async def test_a_live_answer_is_read_from_its_beginning(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    first = await (await chat.open(user("q"))).text("Hel")
    first.close()

    second = await (await chat.reopen()).text("Hel")
    upstream.tokens("lo")
    upstream.finish()
    chunks = await second.end()

    assert "Hello" == text_of(chunks)
    assert one(first.chunks, "start") == one(chunks, "start")
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_the_newest_answer_is_what_comes(chat: Chat, upstream: ScriptedUpstream) -> None:
    assert await chat.resume() is None
    for text in ("one", "two"):
        say(upstream, text)
        await chat.ask(user(text, text))
        resumed = await chat.resume()
        assert resumed is not None
        assert text == text_of(resumed)


@pytest.mark.gen_test
async def test_a_client_may_say_what_it_has(chat: Chat, upstream: ScriptedUpstream) -> None:
    say(upstream, "one")
    answer_id = metadata_of(await chat.ask(user("q")))["answer_id"]

    assert await chat.resume(f"?has={answer_id}") is None
    assert await chat.resume("?has=another") is not None


@pytest.mark.gen_test
async def test_heads_say_whether_there_is_something(chat: Chat, upstream: ScriptedUpstream) -> None:
    say(upstream, "one")
    path = f"{PATH}/{chat.id}/stream"

    before = await call(chat.url, "HEAD", path)
    await chat.ask(user("q"))
    after = await call(chat.url, "HEAD", path)

    assert (204, 200) == (before.status, after.status)
    assert "v1" == after.headers["x-vercel-ai-ui-message-stream"]


@pytest.mark.gen_test
async def test_a_new_question_stops_a_live_answer_that_nobody_reads(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    upstream.next_request()
    say(upstream, "two")
    first = await (await chat.open(user("1"))).text("Hel")
    first.close()

    second = await chat.ask(user("2", "u2"))

    assert "two" == text_of(second)
    path = f"/api/v1/conversations/{metadata_of(second)['conversation_id']}/messages"
    kept = (await call(chat.url, "GET", path)).body["data"]
    assert ["stopped", "complete"] == [m["status"] for m in kept if m["role"] == "assistant"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_new_question_waits_for_one_that_somebody_reads(
    chat: Chat, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    reader = await (await chat.open(user("1"))).text("Hel")

    refused = await chat.post(user("2", "u2"))
    upstream.finish()

    assert (409, "conversation_busy") == (refused.status, refused.code)
    assert "complete" == metadata_of(await reader.end())["status"]


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.gen_test
async def test_at_another_process_it_is_the_same(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream
) -> None:
    here, there = (Chat(each.url) for each in two)
    upstream.tokens("Hel")
    upstream.next_request()
    say(upstream, "two")
    first = await (await here.open(user("1"))).text("Hel")
    resumed = await (await there.reopen()).text("Hel")

    read_here = await there.post(user("2", "u2"))
    first.close()
    read_there = await there.post(user("2", "u2"))
    resumed.close()
    second = await there.ask(user("2", "u2"))

    assert [409, 409] == [read_here.status, read_there.status]
    assert "two" == text_of(second)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.gen_test
async def test_an_answer_that_is_read_at_its_owner_only_is_not_stopped_from_elsewhere(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream
) -> None:
    here, there = (Chat(each.url) for each in two)
    upstream.tokens("Hel")
    first = await (await here.open(user("1"))).text("Hel")

    refused = await there.post(user("2", "u2"))
    stopped = await there.stop()

    assert (409, "conversation_busy") == (refused.status, refused.code)
    assert 202 == stopped
    assert "stopped" == metadata_of(await first.end())["status"]


@pytest.mark.gen_test
async def test_chats_of_one_id_are_each_users_own(
    auth_servers: AuthServers, upstream: ScriptedUpstream, providers: dict[str, Any]
) -> None:
    server = await auth_servers.open(providers=providers)
    alice, bob = await auth_servers.create_key("alice"), await auth_servers.create_key("bob")
    hers = Chat(server.url, headers=alice.headers)
    upstream.tokens("a secret of alice")
    stream = await (await hers.open(user("q"))).text("a secret of alice")
    conversation_id = one(stream.chunks, "start")["messageMetadata"]["conversation_id"]

    for chat_id in (hers.id, conversation_id):
        his = Chat(server.url, chat_id, bob.headers)
        assert await his.resume() is None
        assert 204 == await his.stop()
    upstream.finish()
    assert "complete" == metadata_of(await stream.end())["status"]

    upstream.next_request()
    say(upstream, "for bob")
    his = Chat(server.url, conversation_id, bob.headers)
    asked = await asyncio.wait_for(his.ask(user("q")), 5)
    assert conversation_id != metadata_of(asked)["conversation_id"]
