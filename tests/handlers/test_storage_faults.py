"""The store fails or hangs at any step: readers get the true ending, and nothing stays busy."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from model.messages import Ending
from relay.ask_request import AskRequest
from storage.errors import Reason, StorageError, TooLarge
from tests.faults import FaultyStorage
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, SHORT_LEASE, asking_whole, kept_answer, messages_of, new_conversation
from tests.upstreams import ScriptedUpstream


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "method", "path", "body"),
    [
        ("conversation", "POST", "{path}/messages", {"content": "q"}),
        ("branch", "POST", "{path}/messages", {"content": "q"}),
        ("ask", "POST", "{path}/messages", {"content": "q"}),
        ("ask", "POST", "/api/v1/chat", {"content": "q"}),
        ("messages", "GET", "{path}/messages", None),
        ("conversation", "GET", "{path}", None),
        ("change_conversation", "PATCH", "{path}", {"title": "t"}),
        ("live_answer", "DELETE", "{path}", None),
        ("delete_conversation", "DELETE", "{path}", None),
        ("create_conversation", "POST", "/api/v1/conversations", {}),
        ("conversations", "GET", "/api/v1/conversations", None),
        ("message", "POST", "/api/v1/answers/none/stop", None),
        ("message", "POST", "/api/v1/answers/none/regenerate", None),
        ("ping", "GET", "/readyz", None),
    ],
)
@pytest.mark.gen_test
async def test_a_store_that_fails_is_told_as_503_and_the_provider_is_not_asked(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage,
    operation: str, method: str, path: str, body: object,
) -> None:  # fmt: skip
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    conversation = await new_conversation(server)
    store.fail(operation)
    refused = await call(server.url, method, path.format(path=conversation), body)
    assert (503, "storage_unavailable") == (refused.status, refused.body["error"]["code"])
    assert "retry-after" in refused.headers
    await server.relay.idle()
    assert [] == upstream.requests


@pytest.mark.gen_test
async def test_a_question_that_was_kept_although_the_store_failed_leaves_the_conversation_free(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await new_conversation(server)
    store.fail("ask", kept=True, times=1)
    refused = await call(server.url, "POST", f"{path}/messages", {"content": "q"})
    assert 503 == refused.status
    answer = await kept_answer(server, path)
    assert ("failed", "storage_unavailable") == (answer["status"], answer["error"]["code"])
    upstream.finish()
    again = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    assert "complete" == (await again.end())["status"]
    assert 1 == len(upstream.requests)


@pytest.mark.gen_test
async def test_a_question_that_was_never_kept_is_no_answer_that_lost_its_lease(
    serve: Serving, providers, store: FaultyStorage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "headrace")
    server = await serve.start(providers=providers)
    store.fail("ask", times=1)
    assert 503 == (await call(server.url, "POST", "/api/v1/chat", {"content": "q"})).status
    await server.relay.idle()
    assert "lease_lost" not in caplog.text


@pytest.mark.gen_test
async def test_whoever_is_cancelled_while_asking_leaves_the_conversation_free(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await new_conversation(server)
    gate = store.hold("ask", done=True)  # kept, but the relay was not told
    request = AskRequest(user="local", content="q", conversation_id=path.rpartition("/")[2])
    task = asyncio.create_task(server.relay.ask(request))
    await gate.reached.wait()
    task.cancel()
    await asyncio.wait([task])
    assert "live" != (await kept_answer(server, path))["status"]
    assert [] == upstream.requests


@pytest.mark.gen_test
async def test_an_answer_whose_end_could_not_be_kept_for_a_lease_does_not_block_its_conversation(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    path = await new_conversation(server)
    store.fail("end_answer")
    upstream.tokens("a")
    upstream.finish()
    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    end = await reader.end()
    assert ("interrupted", "storage_unavailable") == (end["status"], end["error"]["code"])
    store.heal()
    assert "interrupted" == (await kept_answer(server, path))["status"]
    again = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    assert 200 == again.status
    await again.end()
    assert 204 == (await call(server.url, "DELETE", path)).status


@pytest.mark.gen_test
async def test_json_never_tells_an_answer_that_ended_as_live(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    store.fail("end_answer")
    upstream.tokens("a")
    upstream.finish()
    answer = await call(server.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)
    assert (503, "storage_unavailable") == (answer.status, answer.body["error"]["code"])
    assert "interrupted" == answer.body["message"]["status"]


@pytest.mark.gen_test
async def test_json_tells_how_an_answer_ended_also_when_its_conversation_is_gone_by_then(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await new_conversation(server)
    upstream.tokens("a")
    gate = store.hold("message")
    body = {"content": "q", "conversation_id": path.rpartition("/")[2]}
    waiting = asking_whole(server, body, JSON)
    await upstream.request()
    assert 204 == (await call(server.url, "DELETE", path)).status
    gate.open.set()
    answer = await waiting
    assert (200, "stopped") == (answer.status, answer.body.get("status"))


@pytest.mark.gen_test
async def test_an_answer_ends_for_its_readers_whatever_the_store_raises(
    serve: Serving,
    providers,
    upstream: ScriptedUpstream,
    store: FaultyStorage,
    expect_log: Callable[[str, str], None],
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    store.fail("end_answer", error=OverflowError("MongoDB can only handle up to 8-byte ints"))
    expect_log("headrace.relay", "")
    upstream.tokens("a")
    upstream.finish()
    reader = await Reader.ask(server.url)
    async with asyncio.timeout(5):
        assert (await reader.end())["status"] in ("failed", "interrupted")
        await server.relay.idle()


@pytest.mark.gen_test
async def test_half_a_character_in_a_tool_calls_name_spoils_nothing(
    serve: Serving, providers, upstream: ScriptedUpstream
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    upstream.raw(
        b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"\\ud83d","function":'
        b'{"name":"\\ud83d","arguments":"{}"}}]}}]}\n\n'
    )
    reader = await Reader.ask(server.url)
    async with asyncio.timeout(5):
        await reader.start()
        assert await reader.next() is not None
        upstream.finish()
        assert "complete" == (await reader.end())["status"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "error", [UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "no"), TooLarge("past a document")]
)
@pytest.mark.gen_test
async def test_checkpoints_of_other_answers_go_on_when_one_cannot_be_written(
    serve: Serving,
    providers,
    upstream: ScriptedUpstream,
    store: FaultyStorage,
    expect_log: Callable[[str, str], None],
    error: Exception,
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    upstream.tokens("abc")
    spoiled_one = await Reader.ask(server.url)
    await spoiled_one.start()
    store.fail(
        "append_chunks",
        error=error,
        when=lambda chunks: spoiled_one.answer_id in {chunk.answer_id for chunk in chunks},
    )
    expect_log("headrace.checkpoints", "")
    path = await new_conversation(server)
    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    for grown, so_far in (("", "abc"), ("d", "abcd")):  # what comes later is written as well
        upstream.tokens(*grown)
        await reader.text(so_far)
        async with asyncio.timeout(5):
            while (await messages_of(server, path))[-1]["blocks"] != [
                {"type": "text", "text": so_far}
            ]:
                pass  # each look is a request


@pytest.mark.gen_test
async def test_questions_that_an_outage_refused_do_not_pile_up(
    serve: Serving, providers, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    store.fail("ask")
    store.fail("end_answer")
    await call(server.url, "POST", "/api/v1/chat", {"content": "q"})
    before = len(asyncio.all_tasks())
    for _ in range(50):
        assert 503 == (await call(server.url, "POST", "/api/v1/chat", {"content": "q"})).status
    assert len(asyncio.all_tasks()) < before + 10


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.gen_test
async def test_checkpoints_that_failed_lose_nothing_and_say_nothing_twice(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage, kept: bool
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    path = await new_conversation(server)
    store.fail("append_chunks", kept=kept)
    upstream.tokens("ab")
    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    await reader.text("ab")
    await store.called("append_chunks", 2)
    upstream.tokens("cd")
    await reader.text("abcd")  # streaming goes on meanwhile
    await store.called("append_chunks", store.calls.count("append_chunks") + 2)
    store.heal()
    async with asyncio.timeout(5):
        while (await messages_of(server, path))[-1]["blocks"] != [{"type": "text", "text": "abcd"}]:
            pass
    upstream.finish()
    await reader.end()
    assert [{"type": "text", "text": "abcd"}] == (await kept_answer(server, path))["blocks"]


@pytest.mark.gen_test
async def test_a_chunk_that_arrives_behind_its_answers_end_changes_nothing(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    path = await new_conversation(server)
    gate = store.hold("append_chunks")
    upstream.tokens("ab")
    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
    await gate.reached.wait()
    upstream.tokens("cd")
    upstream.finish()
    await reader.end()
    gate.open.set()
    await gate.over.wait()
    assert [{"type": "text", "text": "abcd"}] == (await kept_answer(server, path))["blocks"]


@pytest.mark.gen_test
async def test_readiness_does_not_wait_for_a_store_that_hangs(
    serve: Serving, store: FaultyStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.store_health.TIMEOUT_SECONDS", 0.02)
    server = await serve.start()
    store.hold("ping")
    assert 503 == (await call(server.url, "GET", "/readyz")).status


@pytest.mark.gen_test
async def test_what_lasts_is_not_told_as_try_again(serve: Serving, store: FaultyStorage) -> None:
    server = await serve.start()
    path = await new_conversation(server)
    for error, status, code in (
        (StorageError("damaged", reason=Reason.CORRUPT), 503, "storage_unavailable"),
        (TooLarge("past what a document holds"), 413, "too_large"),
    ):
        store.fail("ask", error=error)
        refused = await call(server.url, "POST", f"{path}/messages", {"content": "q"})
        assert (status, code) == (refused.status, refused.body["error"]["code"])
        assert "retry-after" not in refused.headers


@pytest.mark.gen_test
async def test_an_answer_that_no_store_can_hold_is_kept_as_its_text_at_once(
    serve: Serving, providers, upstream: ScriptedUpstream, store: FaultyStorage
) -> None:
    server = await serve.start(providers=providers)
    path = await new_conversation(server)
    store.fail("end_answer", error=TooLarge("past what a document holds"), times=1)
    upstream.reasoning("hm")
    upstream.tokens("a")
    upstream.finish()

    reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})

    end = await reader.end()
    assert ("failed", "answer_too_long") == (end["status"], end["error"]["code"])
    kept = await kept_answer(server, path)
    assert [{"type": "text", "text": "a"}] == kept["blocks"]
    assert "answer_too_long" == kept["error"]["code"]


@pytest.mark.slow
@pytest.mark.parametrize("error", [TooLarge("no"), StorageError("no", reason=Reason.CORRUPT)])
@pytest.mark.gen_test
async def test_one_end_that_can_never_be_kept_keeps_back_no_other(
    serve: Serving,
    providers,
    upstream: ScriptedUpstream,
    store: FaultyStorage,
    error: StorageError,
) -> None:
    server = await serve.start(providers=providers, relay=SHORT_LEASE)
    store.fail("end_answer")
    paths = [await new_conversation(server) for _ in range(2)]
    answers = []
    for path in paths:
        upstream.tokens("a")
        upstream.finish()
        reader = await Reader.open(server.url, "POST", f"{path}/messages", {"content": "q"})
        await reader.end()
        answers.append(reader.answer_id)

    def is_firsts(answer_id: str, _: str, ending: Ending) -> bool:
        is_as_it_was = ending.error is not None and ending.error.code == "storage_unavailable"
        return answer_id == answers[0] and is_as_it_was

    store.fail("end_answer", error=error, when=is_firsts)

    assert "interrupted" == (await kept_answer(server, paths[1]))["status"]
    store.heal()
    assert "live" != (await kept_answer(server, paths[0]))["status"]
