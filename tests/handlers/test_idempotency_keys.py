"""Asking again under the same Idempotency-Key: one question, one upstream call, one answer."""

import asyncio
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from storage.errors import StorageError
from tests.faults import FaultyStorage
from tests.readers import Reader, Response, call
from tests.serving import Serving
from tests.steps import JSON, LATER, SHORT_LEASE, kept_answer, new_conversation
from tests.upstreams import ScriptedUpstream

KEY = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}


def ask(url: str, path: str = "/api/v1/chat", content: str = "hi", **headers: str) -> Any:
    return call(url, "POST", path, {"content": content}, headers={**KEY, **headers})


async def ask_later(url: str, path: str = "/api/v1/chat", content: str = "hi") -> Response:
    response: Response = await ask(url, path, content, **LATER)
    return response


@pytest.mark.gen_test
async def test_a_retry_is_let_on_to_the_live_answer_from_its_beginning(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    reader = await Reader.ask(headrace.url, headers=KEY)
    await reader.text("Hel")
    again = await Reader.ask(headrace.url, headers=KEY)
    await again.text("Hel")
    upstream.tokens("lo")
    upstream.finish()
    assert await reader.end() == await again.end()
    assert "Hello" == again.so_far
    assert reader.seen[0].data == again.seen[0].data
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_retry_after_the_end_gets_the_answer_that_is_kept(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hello")
    upstream.finish()
    first = await ask(headrace.url, **JSON)
    again = await ask(headrace.url, **JSON)
    assert (200, first.body) == (again.status, again.body)
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_the_same_key_with_another_question_is_refused(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    path = await new_conversation(headrace)
    first = await ask_later(headrace.url)
    assert 202 == first.status
    for refused in (
        await ask_later(headrace.url, content="something else"),
        await ask_later(headrace.url, path=f"{path}/messages"),
    ):
        assert (422, "idempotency_key_reused") == (refused.status, refused.body["error"]["code"])
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_one_question_may_be_written_differently(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.finish()
    bodies = (b'{"content":"hi","model":null}', b'{ "content": [{"type":"text","text":"hi"}] }')
    answered = [
        await call(headrace.url, "POST", "/api/v1/chat", headers={**KEY, **JSON}, raw=body)
        for body in bodies
    ]
    assert answered[0].body == answered[1].body
    assert 1 == len(upstream.requests)


@pytest.mark.parametrize(
    ("key", "same"), [("8e03", '"8e03"'), ('a"b\\', '"a\\"b\\\\"'), ('"', '"\\""')]
)
@pytest.mark.gen_test
async def test_a_key_is_the_same_quoted_or_not(
    headrace: Server, upstream: ScriptedUpstream, key: str, same: str
) -> None:
    upstream.finish()
    answered = [
        await ask(headrace.url, **JSON, **{"Idempotency-Key": each}) for each in (key, same)
    ]
    other = await ask(headrace.url, content="other", **LATER, **{"Idempotency-Key": key})
    assert answered[0].body == answered[1].body
    assert 1 == len(upstream.requests)
    assert 422 == other.status


@pytest.mark.parametrize("second", ["one", "two", ""])
@pytest.mark.gen_test
async def test_two_keys_at_once_are_no_key(
    headrace: Server, upstream: ScriptedUpstream, second: str
) -> None:
    twice = {"Idempotency-Key": "one", "idempotency-key": second}
    refused = await call(headrace.url, "POST", "/api/v1/chat", {"content": "hi"}, headers=twice)
    assert (400, "invalid_idempotency_key") == (refused.status, refused.body["error"]["code"])
    assert [] == upstream.requests


@pytest.mark.parametrize("key", ["", '""', "x" * 256, f'"{"x" * 256}"', "schlüssel"])
@pytest.mark.gen_test
async def test_what_is_no_key_is_refused(headrace: Server, key: str) -> None:
    response = await call(
        headrace.url, "POST", "/api/v1/chat", {"content": "hi"}, headers={"Idempotency-Key": key}
    )
    assert (400, "invalid_idempotency_key") == (response.status, response.body["error"]["code"])


@pytest.mark.gen_test
async def test_what_is_no_key_is_named_before_what_is_no_position(headrace: Server) -> None:
    headers = {"Idempotency-Key": "", "Last-Event-ID": "x"}

    refused = await call(headrace.url, "POST", "/api/v1/chat", {"content": "hi"}, headers=headers)

    assert (400, "invalid_idempotency_key") == (refused.status, refused.body["error"]["code"])


@pytest.fixture(params=["sqlite", "mongo"])
def servers(
    request: pytest.FixtureRequest,
    io_loop: IOLoop,
    serve: Serving,
    providers: dict[str, dict[str, Any]],
) -> list[Server]:
    """One server on SQLite, or two on one MongoDB."""
    settings: dict[str, Any] = {"providers": providers}
    if request.param == "mongo":
        settings["storage"] = {"url": request.getfixturevalue("mongo_url")}
    count = 1 if request.param == "sqlite" else 2

    async def start() -> list[Server]:
        return [await serve.start(**settings) for _ in range(count)]

    started: list[Server] = io_loop.run_sync(start)
    return started


@pytest.mark.slow
@pytest.mark.gen_test
async def test_fifty_at_once_are_one_question_and_one_answer(
    servers: list[Server], upstream: ScriptedUpstream
) -> None:
    path = await new_conversation(servers[0])
    upstream.tokens("Hello")
    tries = [
        asyncio.create_task(ask(servers[n % len(servers)].url, f"{path}/messages", **JSON))
        for n in range(50)
    ]
    await upstream.request(0)
    upstream.finish()
    answered = await asyncio.gather(*tries)
    assert {200} == {response.status for response in answered}
    assert 1 == len({response.body["id"] for response in answered})
    assert {"Hello"} == {response.body["blocks"][0]["text"] for response in answered}
    assert 1 == len(upstream.requests)
    messages = await call(servers[-1].url, "GET", f"{path}/messages")
    assert ["user", "assistant"] == [message["role"] for message in messages.body["data"]]


@pytest.mark.gen_test
async def test_who_has_a_key_is_waited_for(headrace: Server, upstream: ScriptedUpstream) -> None:
    upstream.tokens("Hel")
    reader = await Reader.ask(headrace.url, headers=KEY)
    await reader.text("Hel")
    reader.close()
    left = headrace.open_requests.wait_for_none(timeout=5)
    await left
    again = await Reader.ask(headrace.url, headers=KEY)
    upstream.tokens("lo")
    upstream.finish()
    assert "complete" == (await again.end())["status"]
    assert "Hello" == again.so_far


@pytest.mark.gen_test
async def test_who_has_a_key_and_says_cancel_means_it(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    reader = await Reader.ask(headrace.url, headers=KEY, on_disconnect="cancel")
    await reader.text("Hel")
    reader.close()
    await upstream.closed.wait()
    again = await Reader.ask(headrace.url, headers=KEY, on_disconnect="cancel")
    assert "abandoned" == (await again.end())["status"]
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_question_that_was_refused_may_be_asked_again(
    headrace: Server, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    upstream.finish()
    unknown = await call(
        headrace.url,
        "POST",
        "/api/v1/chat",
        {"content": "hi", "model": "nobody/nothing"},
        headers={**KEY, **JSON},
    )
    assert 400 == unknown.status
    assert 200 == (await ask(headrace.url, **JSON)).status


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.gen_test
async def test_a_retry_after_trouble_with_the_store_asks_once(
    store: FaultyStorage,
    serve: Serving,
    providers: dict[str, dict[str, Any]],
    upstream: ScriptedUpstream,
    kept: bool,
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    upstream.tokens("Hello")
    upstream.finish()
    store.fail("ask", kept=kept, times=1)
    assert 503 == (await ask(server.url, **JSON)).status
    async with asyncio.timeout(5):
        while (answered := await ask(server.url, **JSON)).status != 200:
            assert "storage_unavailable" == answered.body["error"]["code"]
    assert "Hello" == answered.body["blocks"][0]["text"]
    assert 1 == sum(request.answered for request in upstream.requests)
    assert answered.body == (await ask(server.url, **JSON)).body


@pytest.mark.gen_test
async def test_the_key_itself_cannot_be_looked_up(store: FaultyStorage, headrace: Server) -> None:
    store.fail("idempotency_key", error=StorageError("away"), times=1)
    refused = await ask_later(headrace.url)
    assert (503, "storage_unavailable") == (refused.status, refused.body["error"]["code"])
    assert "Retry-After" in {name.title() for name in refused.headers}


@pytest.mark.gen_test
async def test_an_answer_that_was_deleted_is_not_asked_for_anew(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.finish()
    asked = await ask(headrace.url, **JSON)
    path = f"/api/v1/conversations/{asked.body['conversation_id']}"
    assert 204 == (await call(headrace.url, "DELETE", path)).status
    assert 404 == (await ask(headrace.url, **JSON)).status
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_server_that_drains_lets_retries_on(
    headrace: Server, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hel")
    first = await ask_later(headrace.url)
    headrace.relay.refuse_questions()
    again = await Reader.ask(headrace.url, headers=KEY)
    assert first.body["answer_id"] == (await again.start())["answer_id"]
    new = await call(headrace.url, "POST", "/api/v1/chat", {"content": "another"})
    assert (503, "shutting_down") == (new.status, new.body["error"]["code"])
    upstream.finish()
    await again.end()


@pytest.mark.gen_test
async def test_a_second_asker_who_is_to_read_later_does_not_end_it_for_the_first(
    serve: Serving, providers: dict[str, dict[str, Any]], upstream: ScriptedUpstream
) -> None:
    server = await serve.start(
        providers=providers,
        relay={"attach_seconds": 0.1, "grace_seconds": 0.1, "heartbeat_seconds": 0.2},
    )
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url, headers=KEY)
    await reader.text("Hel")
    await ask_later(server.url)
    await reader.next(until_beats=2)
    upstream.tokens("lo")
    upstream.finish()
    assert "complete" == (await reader.end())["status"]
    path = f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}"
    assert "complete" == (await kept_answer(server, path))["status"]
