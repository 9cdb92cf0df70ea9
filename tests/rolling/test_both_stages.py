"""A rolling restart: processes of the first stage and of this one share a database.

One of the first stage starts first, so that the store is as that stage makes it.
"""

import json
from typing import Any

import pytest

from tests import framing
from tests.fleet_steps import (
    asked_again,
    conversation,
    last_message,
    next_question_is_answered,
    read_elsewhere,
)
from tests.launching import Launcher
from tests.mongod import Stored
from tests.readers import Reader, call
from tests.rolling.stages import FINISH, OPTIONS, Stages, blocks_read, each_way, turns
from tests.steps import JSON, messages_of
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow


# Beside each other


@each_way
@pytest.mark.gen_test
async def test_an_answer_is_followed_and_stopped_at_a_process_of_the_other_stage(
    stages: Stages, upstream: ScriptedUpstream, owner_is: str
) -> None:
    owner, other = await stages.both(owner_is)
    upstream.reasoning("嗯")
    upstream.tokens("你好", "👋")
    reader = await Reader.ask(owner.url)
    back = await read_elsewhere(other, reader, "你好👋")
    upstream.raw(framing.tool_call(0, "{}", "c1", "look"))
    upstream.tokens("，世界")
    for each in (reader, back):
        await each.text("你好👋，世界")
    stopped = await call(other.url, "POST", f"/api/v1/answers/{reader.answer_id}/stop")

    assert 202 == stopped.status
    assert ["stopped"] * 2 == [(await each.end())["status"] for each in (reader, back)]
    await upstream.closed.wait()
    assert "10-end" == reader.seen[-1].id
    assert reader.seen[-1] == back.seen[-1]
    assert [
        ("reasoning", "嗯"),
        ("text", "你好👋"),
        ("tool_call", "{}"),
        ("text", "，世界"),
    ] == blocks_read(reader)
    assert blocks_read(reader) == blocks_read(back)
    kept = await last_message(owner.url, conversation(reader))
    assert ["reasoning", "text", "tool_call", "text"] == [each["type"] for each in kept["blocks"]]
    assert kept == await last_message(other.url, conversation(reader))


@pytest.mark.gen_test
async def test_what_an_ended_answer_has_that_is_new_is_no_hindrance_to_the_first_stage(
    stages: Stages, upstream: ScriptedUpstream, stored: Stored
) -> None:
    old, new = await stages.old(), await stages.new()
    upstream.tokens("Hello")
    upstream.raw(b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(FINISH).encode())
    upstream.end()
    upstream.next_request()
    upstream.fail(429, {"error": {"code": "rate_limit_exceeded"}}, Retry_After="7")
    complete = await Reader.ask(new.url)
    assert "complete" == (await complete.end())["status"]
    path = conversation(complete)
    failed = await Reader.open(new.url, "POST", f"{path}/messages", {"content": "and?"})
    assert "failed" == (await failed.end())["status"]

    one, other = (stored.message(reader.answer_id) for reader in (complete, failed))
    assert (5, 3) == (one["usage"]["cached_tokens"], one["usage"]["reasoning_tokens"])
    assert (True, 7) == (other["error"]["retryable"], other["error"]["retry_after"])
    assert [[200], [429]] == [
        [tried["http_status"] for tried in message["attempts"]] for message in (one, other)
    ]
    listed = await call(old.url, "GET", "/api/v1/conversations")
    assert [path] == [f"/api/v1/conversations/{each['id']}" for each in listed.body["data"]]
    _, shown, _, shown_failed = await messages_of(old, path)
    assert {"input_tokens": 7, "output_tokens": 11} == shown["usage"]
    assert "provider_rate_limited" == shown_failed["error"]["code"]
    for reader in (complete, failed):
        again = await Reader.come_back(old.url, reader.answer_id)
        assert reader.seen[-1].data["status"] == (await again.end())["status"]
        assert (reader.so_far, reader.seen[-1].id) == (again.so_far, again.seen[-1].id)

    next_question_is_answered(upstream, "from the old one")
    assert "from the old one" == await asked_again(old.url, complete)
    next_question_is_answered(upstream, "from the new one")
    assert "from the new one" == await asked_again(new.url, complete)
    asked = [("user", "hi"), ("assistant", "Hello"), ("user", "and?"), ("user", "go on")]
    assert asked == turns(upstream.requests[2])
    assert asked[-1:] == turns(upstream.requests[3])[-1:]
    assert [("assistant", "from the old one")] == turns(upstream.requests[3])[-2:-1]
    texts = [
        [block["text"] for message in await messages_of(each, path) for block in message["blocks"]]
        for each in (old, new)
    ]
    assert texts[0] == texts[1]
    assert "from the new one" == texts[0][-1]


@each_way
@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["plain", "all options"])
@pytest.mark.gen_test
async def test_a_retry_at_a_process_of_the_other_stage_is_let_on_to_the_same_answer(
    stages: Stages,
    upstream: ScriptedUpstream,
    stored: Stored,
    owner_is: str,
    options: dict[str, Any],
) -> None:
    owner, other = await stages.both(owner_is)
    key = {"Idempotency-Key": "8e03978e"}
    upstream.tokens("Hel")
    reader = await Reader.ask(owner.url, headers=key, **options)
    await reader.text("Hel")
    again = await Reader.ask(other.url, headers=key, **options)
    await again.text("Hel")
    upstream.tokens("lo")
    upstream.finish()

    assert await reader.end() == await again.end()
    assert reader.answer_id == again.answer_id
    assert ("Hello", "5-end") == (again.so_far, again.seen[-1].id)
    for each in (owner, other):
        body = {"content": "hi", **options}
        retried = await call(each.url, "POST", "/api/v1/chat", body, headers={**key, **JSON})
        assert (200, reader.answer_id) == (retried.status, retried.body["id"])
        body["content"] = "something else"
        reused = await call(each.url, "POST", "/api/v1/chat", body, headers={**key, **JSON})
        assert (422, "idempotency_key_reused") == (reused.status, reused.body["error"]["code"])
    assert 1 == len(upstream.requests)
    assert (1, 2, 1) == tuple(
        stored.count(name) for name in ("conversations", "messages", "idempotency_keys")
    )


# Drained, and killed


@each_way
@pytest.mark.gen_test
async def test_an_answer_of_a_process_that_drains_is_read_to_its_end_at_the_other_stage(
    stages: Stages, upstream: ScriptedUpstream, owner_is: str
) -> None:
    owner, other = await stages.both(owner_is)
    upstream.tokens("你好")
    reader = await Reader.ask(owner.url, on_disconnect={"grace": 30})
    await reader.text("你好")
    reader.close()
    owner.terminate()
    back = await Reader.come_back(other.url, reader.answer_id, reader.seen[-1].id)
    upstream.tokens("，世界")
    await back.text("，世界")
    upstream.finish()

    assert "complete" == (await back.end())["status"]
    assert "5-end" == back.seen[-1].id
    assert 0 == await owner.process.wait()
    next_question_is_answered(upstream, "again")
    assert "again" == await asked_again(other.url, reader)
    assert ("assistant", "你好，世界") == turns(upstream.requests[1])[1]


@each_way
@pytest.mark.gen_test
async def test_kill_9_is_swept_up_by_the_other_stage_where_the_conversation_goes_on(
    stages: Stages, upstream: ScriptedUpstream, owner_is: str
) -> None:
    owner, other = await stages.both(owner_is)
    upstream.reasoning("嗯")
    upstream.tokens("half", "👋")
    upstream.raw(framing.tool_call(0, "{", "c1", "look"))
    reader = await Reader.ask(owner.url)
    back = await read_elsewhere(other, reader, "half👋")
    while back.seen[-1].id != "8":
        assert await back.next() is not None
    await owner.kill()

    assert "interrupted" == (await back.end())["status"]
    assert "8-end" == back.seen[-1].id
    assert 1 == await stages.logged(f"its process died answer={reader.answer_id}", other)
    kept = await last_message(other.url, conversation(reader))
    assert ("interrupted", True) == (kept["status"], kept["usage"]["estimated"])
    assert [
        {"type": "reasoning", "text": "嗯"},
        {"type": "text", "text": "half👋"},
        {"type": "tool_call", "id": "c1", "name": "look", "arguments": "{"},
    ] == kept["blocks"]
    third = await stages.like_owner(owner_is)
    assert kept == await last_message(third.url, conversation(reader))
    for each in (other, third):
        next_question_is_answered(upstream, "again")
        assert "again" == await asked_again(each.url, reader)
    asked = [("user", "hi"), ("assistant", "half👋"), ("user", "go on"), ("assistant", "again")]
    assert [*asked, ("user", "go on")] == turns(upstream.requests[2])


@pytest.mark.gen_test
async def test_a_migration_beside_processes_of_both_stages_disturbs_neither(
    stages: Stages, launcher: Launcher, upstream: ScriptedUpstream
) -> None:
    old, new = await stages.old(), await stages.new()
    upstream.tokens("Hel")
    readers = [await Reader.ask(each.url) for each in (old, new)]
    for reader in readers:
        await reader.text("Hel")
    migration = await launcher.start("--config", str(launcher.settings), "migrate")
    said, complaint = await migration.communicate()

    assert (0, b"") == (migration.returncode, complaint)
    assert said.startswith(b"changed: ")
    upstream.tokens("lo")
    upstream.finish()
    for reader, other in zip(readers, (new, old), strict=True):
        assert "complete" == (await reader.end())["status"]
        next_question_is_answered(upstream, "again")
        assert "again" == await asked_again(other.url, reader)
