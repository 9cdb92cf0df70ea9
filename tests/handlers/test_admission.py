"""Who may ask now: refused in words, with the time to wait, and before anything is stored."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from app.server import Server
from relay import usage_counters
from storage.errors import KeyTaken, StorageError
from tests.faults import FaultyStorage
from tests.readers import Reader, Response, call
from tests.serving import Serving
from tests.steps import JSON, LATER, kept_answer, new_conversation, until
from tests.upstreams import ScriptedUpstream

KEY = {"Idempotency-Key": "k"}


@pytest.fixture
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all questions come in one minute, which does not end while the test runs."""
    later = time.time() + 3600
    monkeypatch.setattr(usage_counters, "time", SimpleNamespace(time=lambda: later))


async def ask(server: Server, content: str = "hi", **headers: str) -> Response:
    return await call(server.url, "POST", "/api/v1/chat", {"content": content}, headers=headers)


def said(response: Response) -> tuple[int, str]:
    return response.status, response.body["error"]["code"]


async def conversations(server: Server) -> int:
    listed = await call(server.url, "GET", "/api/v1/conversations")
    return len(listed.body["data"])


@pytest.mark.parametrize(
    ("limit", "status", "code"),
    [("answers", 503, "overloaded"), ("answers_per_user", 429, "too_many_answers")],
)
@pytest.mark.gen_test
async def test_no_more_answers_are_begun_than_there_may_be(
    serve: Serving,
    providers: Any,
    upstream: ScriptedUpstream,
    store: FaultyStorage,
    limit: str,
    status: int,
    code: str,
) -> None:
    server = await serve.start(providers=providers, limits={limit: 2})
    upstream.tokens("a")
    readers = [await Reader.ask(server.url), await Reader.ask(server.url)]
    store.calls.clear()

    refused = await ask(server)

    assert (status, code) == said(refused)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert [] == store.calls  # nothing was so much as read
    assert 2 == await conversations(server)
    readers[0].close()
    await until(lambda: len(server.relay.live_answers) < 2)
    again = await Reader.ask(server.url)
    await again.text("a")  # recovered


@pytest.mark.gen_test
async def test_a_rush_does_not_get_past_the_bound(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, limits={"answers": 5})
    upstream.tokens("a")
    together = await asyncio.gather(*(ask(server, str(n), **LATER) for n in range(40)))
    assert ([202] * 5 + [503] * 35) == sorted(each.status for each in together)
    assert (5, 5) == (await conversations(server), len(server.relay.live_answers))


@pytest.mark.gen_test
async def test_a_retry_is_neither_counted_nor_refused(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    limits = {"answers": 1, "answers_per_user": 1, "questions_per_minute": 1}
    server = await serve.start(providers=providers, limits=limits)
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url, headers=KEY)
    await reader.text("Hel")
    for _ in range(3):
        again = await Reader.ask(server.url, headers=KEY)
        await again.text("Hel")
    upstream.tokens("lo")
    upstream.finish()
    assert "complete" == (await reader.end())["status"]
    kept = await ask(server, **KEY, **JSON)
    assert (200, reader.answer_id) == (kept.status, kept.body["id"])


@pytest.mark.gen_test
async def test_a_refused_question_did_not_use_its_key(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, limits={"answers": 1})
    upstream.tokens("a")
    reader = await Reader.ask(server.url)
    assert (503, "overloaded") == said(await ask(server, **KEY))
    reader.close()
    await until(lambda: len(server.relay.live_answers) == 0)
    assert 202 == (await ask(server, **KEY, **LATER)).status


@pytest.mark.gen_test
async def test_a_question_that_fails_gives_its_place_back(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, limits={"answers": 1})
    upstream.finish()
    store.fail("ask", error=StorageError("the test says so"), times=1)
    body: dict[str, Any] = {"content": "hi"}
    for path, fields, status in (
        ("/api/v1/chat", {"model": "nobody/x"}, 400),
        ("/api/v1/conversations/none/messages", {}, 404),
        ("/api/v1/chat", {}, 503),
        ("/api/v1/chat", {}, 200),
        ("/api/v1/chat", {}, 200),
    ):
        answer = await call(server.url, "POST", path, body | fields, headers=JSON)
        assert status == answer.status


@pytest.mark.gen_test
async def test_refused_questions_use_up_nothing(
    serve: Serving,
    providers: Any,
    upstream: ScriptedUpstream,
    store: FaultyStorage,
    one_minute: None,
) -> None:
    limits = {"questions_per_minute": 2, "answers": 2, "answers_per_user": 2}
    limits |= {"max_question_chars": 100, "max_body_bytes": 1000}
    server = await serve.start(providers=providers, limits=limits)
    path = await new_conversation(server)
    upstream.tokens("a")
    live = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    await live.text("a")
    busy, none = f"{path}/messages", "/api/v1/conversations/none/messages"
    chat, again = "/api/v1/chat", f"/api/v1/answers/{live.answer_id}/regenerate"
    unknown = {"content": "hi", "model": "nobody/x"}
    refusals: list[tuple[str, Any, int]] = [
        (busy, {"content": "hi"}, 409),
        (again, {}, 409),
        ("/api/v1/answers/none/regenerate", {}, 404),
        (none, {"content": "hi"}, 404),
        (chat, {"content": "hi", "conversation_id": "none"}, 404),
        (chat, unknown, 400),
        (busy, {"content": "hi", "parent_id": "none"}, 400),
        (chat, {"content": " "}, 400),
        (chat, {"content": "hi", "titel": "x"}, 400),
        (f"{chat}?after=x", {"content": "hi"}, 400),
        (chat, {"content": "x" * 101}, 413),
        (chat, {"content": "x" * 1001}, 413),
    ]

    for where, body, status in refusals:
        for key in ({}, KEY):
            refused = await call(server.url, "POST", where, body, headers=key | JSON)
            assert status == refused.status
        await server.relay._admission.counts.share()  # as once a second
    for name in ("ask", "conversation", "branch"):
        store.fail(name, times=2)
        for key in ({}, KEY):
            refused = await call(server.url, "POST", busy, {"content": "hi"}, headers=key | JSON)
            assert (503, "storage_unavailable") == said(refused)
        store.heal()

    assert 202 == (await ask(server, **KEY, **LATER)).status  # its key is as it was
    assert (503, "overloaded") == said(await ask(server))
    live.close()
    await until(lambda: len(server.relay.live_answers) < 2)
    assert (429, "too_many_questions") == said(await ask(server))  # two were asked


@pytest.mark.gen_test
async def test_tries_that_find_their_key_taken_are_one_question(
    serve: Serving,
    providers: Any,
    upstream: ScriptedUpstream,
    store: FaultyStorage,
    one_minute: None,
) -> None:
    server = await serve.start(providers=providers, limits={"questions_per_minute": 1})
    upstream.finish()
    store.fail("ask", error=KeyTaken(), times=3)

    asked = await ask(server, **KEY, **JSON)

    assert 200 == asked.status
    assert (429, "too_many_questions") == said(await ask(server, **JSON))


@pytest.mark.gen_test
async def test_questions_a_minute_are_counted_whatever_becomes_of_them(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, limits={"questions_per_minute": 2})
    upstream.finish()
    assert 400 == (await ask(server, "")).status  # no question yet
    while (first := await ask(server, **JSON)).status == 200:  # a minute may begin in between
        pass
    assert (429, "too_many_questions") == said(first)
    assert 1 <= int(first.headers["retry-after"]) <= 60
    assert 200 == (await call(server.url, "GET", "/api/v1/conversations")).status


@pytest.mark.gen_test
async def test_a_days_tokens_once_spent_are_spent_at_every_process_and_start(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    limits = {"tokens_per_day": 30}
    server = await serve.start(providers=providers, limits=limits)
    upstream.finish(usage=(20, 11))
    assert 200 == (await ask(server, **JSON)).status
    refused = await ask(server, **JSON)
    assert (429, "token_budget_spent") == said(refused)
    assert 1 <= int(refused.headers["retry-after"]) <= 24 * 3600
    await serve.stop(server)

    server = await serve.start(providers=providers, limits=limits)
    assert (429, "token_budget_spent") == said(await ask(server, **JSON))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_one_process_let_in_another_counts(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, mongo_url: str
) -> None:
    given = {"storage": {"url": mongo_url}, "providers": providers}
    one = await serve.start(**given, limits={"tokens_per_day": 30})
    other = await serve.start(**given, limits={"tokens_per_day": 30})
    upstream.finish(usage=(20, 11))
    assert 200 == (await ask(one, **JSON)).status
    await serve.stop(one)  # which shares what it counted
    assert (429, "token_budget_spent") == said(await ask(other, **JSON))


@pytest.mark.gen_test
async def test_estimated_tokens_of_a_cut_off_answer_count_too(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, limits={"tokens_per_day": 30})
    upstream.tokens("x" * 400)
    reader = await Reader.ask(server.url)
    await reader.text("x" * 400)
    reader.close()
    await until(lambda: len(server.relay.live_answers) == 0)
    assert (429, "token_budget_spent") == said(await ask(server))


@pytest.mark.gen_test
async def test_tokens_of_an_answer_whose_conversation_is_deleted_count_too(
    serve: Serving, providers: Any, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, limits={"tokens_per_day": 30})
    path = await new_conversation(server)
    gate = store.hold("delete_conversation")
    deleting = asyncio.create_task(call(server.url, "DELETE", path))
    await gate.reached.wait()  # nothing is live, for all it knows
    upstream.tokens("x" * 400)
    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    await reader.text("x" * 400)
    gate.open.set()
    assert 204 == (await deleting).status
    end = await reader.end()
    assert ("stopped", None) == (end["status"], end.get("error"))
    assert (429, "token_budget_spent") == said(await ask(server))


@pytest.mark.gen_test
async def test_a_question_that_no_model_takes_is_refused_with_its_system_prompt(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, limits={"max_question_chars": 100})
    upstream.finish()
    made = await call(server.url, "POST", "/api/v1/conversations", {"system": "文" * 50})
    path = f"/api/v1/conversations/{made.body['id']}/messages"
    for content, status in (("字" * 50, 200), ("字" * 51, 413)):
        answer = await call(server.url, "POST", path, {"content": content}, headers=JSON)
        assert status == answer.status
    assert (413, "question_too_long") == said(answer)
    assert (413, "question_too_long") == said(await ask(server, "x" * 101))


@pytest.mark.gen_test
async def test_however_many_messages_there_are_so_many_go_along(
    serve: Serving, providers: Any, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, context={"max_messages": 4})
    upstream.tokens("a")
    upstream.finish()
    path = await new_conversation(server)
    for number in range(6):
        await call(server.url, "POST", f"{path}/messages", {"content": str(number)}, headers=JSON)
        await kept_answer(server, path)
    asked = (await upstream.request(5)).json["messages"]
    assert ["3", "a", "4", "a", "5"] == [message["content"] for message in asked]
