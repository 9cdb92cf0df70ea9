"""Retries under one key where they hurt: other settings, a store of unknown mind, promises made."""

import asyncio
from typing import Any

import pytest

from app.server import Server
from relay.ask_request import AskRequest
from storage.errors import KeyTaken
from tests.faults import FaultyStorage
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, LATER, SHORT_LEASE, messages_of, new_conversation
from tests.upstreams import ScriptedUpstream

KEY = {"Idempotency-Key": "8e03978e"}
BODY = {"content": "hi"}
Providers = dict[str, dict[str, Any]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed", [{"grace_seconds": 20}, {"on_disconnect": "finish"}], ids=" ".join
)
@pytest.mark.gen_test
async def test_the_same_question_is_the_same_to_a_process_with_other_settings(
    serve: Serving,
    providers: Providers,
    mongo_url: str,
    upstream: ScriptedUpstream,
    changed: dict[str, Any],
) -> None:
    # A rolling restart with a changed headrace.toml, and a client that retries into it.
    storage = {"url": mongo_url}
    before = await serve.start(providers=providers, storage=storage)
    after = await serve.start(providers=providers, storage=storage, relay=changed)
    upstream.finish()
    first = await call(before.url, "POST", "/api/v1/chat", BODY, headers=KEY | JSON)
    again = await call(after.url, "POST", "/api/v1/chat", BODY, headers=KEY | JSON)
    assert (200, first.body["id"]) == (again.status, again.body.get("id")), again.body


@pytest.mark.gen_test
async def test_the_same_question_is_the_same_after_a_restart_with_other_settings(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream
) -> None:
    before = await serve.start(providers=providers)
    upstream.finish()
    first = await call(before.url, "POST", "/api/v1/chat", BODY, headers=KEY | JSON)
    await serve.stop(before)
    after = await serve.start(providers=providers, relay={"grace_seconds": 20})
    again = await call(after.url, "POST", "/api/v1/chat", BODY, headers=KEY | JSON)
    assert (200, first.body["id"]) == (again.status, again.body.get("id")), again.body


@pytest.mark.gen_test
async def test_a_question_that_was_stored_unnoticed_stands_in_its_conversation_once(
    store: FaultyStorage, serve: Serving, providers: Providers, upstream: ScriptedUpstream
) -> None:
    # docs/failures.md: "the question once, or not at all".
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    path = await new_conversation(server)
    upstream.tokens("Hello")
    upstream.finish()
    store.fail("ask", kept=True, times=1)
    assert 503 == (await call(server.url, "POST", f"{path}/messages", BODY, headers=KEY)).status
    async with asyncio.timeout(5):
        while True:
            asked = await call(server.url, "POST", f"{path}/messages", BODY, headers=KEY | JSON)
            if asked.status == 200:
                break
    question, refused, answer = await messages_of(server, path)
    assert ("storage_unavailable", "complete") == (refused["error"]["code"], answer["status"])
    assert [question["id"]] * 2 == [refused["parent_id"], answer["parent_id"]]
    turns = [turn["content"] for turn in upstream.requests[-1].json["messages"]]
    assert ["hi"] == turns


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_stream_that_comes_for_what_was_refused_is_answered(
    store: FaultyStorage, serve: Serving, providers: Providers, upstream: ScriptedUpstream
) -> None:
    # docs/api.md: "A question that was refused uses up neither its key, which may be sent again".
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    upstream.tokens("Hello")
    upstream.finish()
    store.fail("ask", kept=True, times=1)
    store.fail("end_answer", times=3)  # the store is not quite well yet
    assert 503 == (await call(server.url, "POST", "/api/v1/chat", BODY, headers=KEY)).status
    again = await Reader.ask(server.url, headers=KEY)
    end = await again.end()
    assert ("complete", "Hello") == (end["status"], again.so_far), end


@pytest.mark.gen_test
async def test_who_was_told_202_has_time_to_come_though_another_asker_leaves(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream
) -> None:
    # A connection stalls; the app asks again with respond-async, gets 202, then the old one dies.
    server = await serve.start(providers=providers, relay={"attach_seconds": 5})
    upstream.tokens("a")
    reader = await Reader.ask(server.url, headers=KEY, on_disconnect="cancel")
    await reader.text("a")
    body = {**BODY, "on_disconnect": "cancel"}
    promised = await call(server.url, "POST", "/api/v1/chat", body, headers=KEY | LATER)
    assert 202 == promised.status
    reader.close()
    await server.open_requests.wait_for_none(timeout=5)
    back = await Reader.open(server.url, "GET", promised.body["events_url"])
    upstream.tokens("b")
    upstream.finish()
    assert "complete" == (await back.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_reader_who_stays_outlasts_the_wait_for_one_who_never_comes(
    serve: Serving, providers: Providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(
        providers=providers, relay={"attach_seconds": 0.2, "grace_seconds": 0.2}
    )
    upstream.tokens("a")
    reader = await Reader.ask(server.url, headers=KEY)
    await reader.text("a")
    later = await call(server.url, "POST", "/api/v1/chat", BODY, headers=KEY | LATER)
    assert 202 == later.status
    await asyncio.sleep(0.5)  # longer than both waits
    upstream.tokens("b")
    upstream.finish()
    assert "complete" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_nobody_is_waited_for_once_the_answer_is_over(
    store: FaultyStorage, headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(headrace.url, headers=KEY)
    await reader.text("a")
    generation = headrace.relay.live_answers.get(reader.answer_id)
    assert generation is not None
    gate = store.hold("end_answer")
    upstream.finish()
    await gate.reached.wait()
    again = await call(headrace.url, "POST", "/api/v1/chat", BODY, headers=KEY | LATER)
    assert 202 == again.status
    gate.open.set()
    await reader.end()
    # A timer that holds all of the answer for up to an hour (`grace`), and then asks the store.
    assert not generation.reader_timeout.is_running


@pytest.mark.gen_test
async def test_one_key_with_two_questions_at_once_answers_one_and_refuses_the_other(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    upstream.finish()
    asked = await asyncio.gather(
        *(
            call(headrace.url, "POST", "/api/v1/chat", {"content": f"q{n % 2}"}, headers=KEY | JSON)
            for n in range(20)
        )
    )
    assert [200] * 10 + [422] * 10 == sorted(response.status for response in asked)
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_key_is_its_users_own(headrace: Server, upstream: ScriptedUpstream) -> None:
    upstream.tokens("a")
    ours, _ = await headrace.relay.ask(
        AskRequest(user="ours", content="hi", idempotency_key="k", grace_seconds=None)
    )
    theirs, _ = await headrace.relay.ask(
        AskRequest(user="théirs 用户", content="hi", idempotency_key="k")
    )
    assert ours.id != theirs.id
    again, _ = await headrace.relay.ask(
        AskRequest(user="ours", content="hi", idempotency_key="k", grace_seconds=None)
    )
    assert ours is again


@pytest.mark.gen_test
async def test_a_key_that_is_lost_and_never_found_ends_in_a_refusal(
    store: FaultyStorage, headrace: Server
) -> None:
    # A store at odds with itself: it must not be asked for ever, nor its client wait for ever.
    store.fail("ask", error=KeyTaken())
    try:
        async with asyncio.timeout(3):
            refused = await call(headrace.url, "POST", "/api/v1/chat", BODY, headers=KEY)
        assert 503 == refused.status
    finally:
        store.heal()
    assert store.calls.count("ask") < 100
