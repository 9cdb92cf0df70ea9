"""Servers on one database, of which one is killed or frozen."""

import asyncio
from typing import Any

import pytest

from tests.faults import FaultyStorage
from tests.fleet_steps import (
    GRACE,
    asked_again,
    conversation,
    followed,
    grace_is_over,
    last_message,
    next_question_is_answered,
    read_elsewhere,
)
from tests.launching import Fleet
from tests.mongod import Stored
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, kept_answer, until
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow


# Killed


@pytest.mark.gen_test
async def test_kill_9_in_the_middle_of_a_deletion_leaves_the_rest_to_another(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    deleting, other = await fleet.two()
    upstream.tokens("a")
    upstream.finish()
    asked = await call(deleting.url, "POST", "/api/v1/chat", {"content": "q"}, headers=JSON)
    of = asked.body["conversation_id"]
    kept = stored.message(asked.body["id"])
    many = [
        kept | {"_id": f"{of}-{ordinal:032x}", "ordinal": ordinal} for ordinal in range(2, 20_000)
    ]
    stored.database["messages"].insert_many(many)

    gone = await call(deleting.url, "DELETE", f"/api/v1/conversations/{of}")
    assert 204 == gone.status
    while stored.count("messages") == 20_000:  # each look is a request
        pass
    await deleting.kill()
    assert 0 < stored.count("messages")

    for answer_id in (asked.body["id"], many[-1]["_id"]):
        events = await call(other.url, "GET", f"/api/v1/answers/{answer_id}/events")
        assert 404 == events.status
    async with asyncio.timeout(30):
        while stored.count("messages"):  # noqa: ASYNC110 - the other process tells nobody
            await asyncio.sleep(0.1)


@pytest.mark.gen_test
async def test_kill_9_of_the_owner_interrupts_its_answer_once_and_frees_the_conversation(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    owner, other, third = await fleet.three()
    upstream.tokens("你好", "，世界")
    reader = await Reader.ask(owner.url)
    await reader.start()
    back = await Reader.come_back(other.url, reader.answer_id)
    await back.text("你好，世界")  # so it was checkpointed
    upstream.tokens("!")
    await reader.text("你好，世界!")
    await owner.kill()

    assert "interrupted" == (await back.end())["status"]
    assert back.so_far in ("你好，世界", "你好，世界!")
    assert back.so_far == stored.text(reader.answer_id)
    kept = await last_message(third.url, conversation(reader))
    assert ("interrupted", True) == (kept["status"], kept["usage"]["estimated"])
    assert 1 == await fleet.logged(f"its process died answer={reader.answer_id}", other, third)
    next_question_is_answered(upstream, "again")
    assert "again" == await asked_again(other.url, reader)


@pytest.mark.gen_test
async def test_kill_9_of_the_owner_is_found_out_by_who_asks_next(
    fleet: Fleet, upstream: ScriptedUpstream
) -> None:
    owner, other = await fleet.two()
    upstream.tokens("half")
    reader = await Reader.ask(owner.url)
    await reader.text("half")
    await owner.kill()
    next_question_is_answered(upstream, "again")

    path = f"{conversation(reader)}/messages"
    async with asyncio.timeout(20):
        while True:
            answered = await call(other.url, "POST", path, {"content": "go on"}, headers=JSON)
            if answered.status == 200:
                break
            assert "conversation_busy" == answered.body["error"]["code"]
    assert "again" == answered.body["blocks"][0]["text"]
    back = await Reader.come_back(other.url, reader.answer_id)
    assert "interrupted" == (await back.end())["status"]


@pytest.mark.gen_test
async def test_kill_9_of_a_readers_process_leaves_them_the_rest_of_its_lease(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    owner = await fleet.serve()
    other = await fleet.serve(lease_seconds=10)
    upstream.tokens("a")
    reader = await Reader.ask(owner.url, on_disconnect=GRACE)
    back = await read_elsewhere(other, reader, "a")
    await followed(stored, reader)
    reader.close()
    await other.kill()
    await grace_is_over(owner, upstream)

    again = await Reader.come_back(owner.url, reader.answer_id, back.seen[-1].id)
    upstream.tokens("b")
    upstream.finish()
    assert "complete" == (await again.end())["status"]
    assert "b" == again.so_far


@pytest.mark.gen_test
async def test_who_died_with_their_process_has_left_once_its_lease_is_over(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    owner, other = await fleet.two()
    upstream.tokens("a")
    reader = await Reader.ask(owner.url, on_disconnect=GRACE)
    await read_elsewhere(other, reader, "a")
    readers_process = await followed(stored, reader)
    reader.close()
    await other.kill()

    await upstream.closed.wait()
    assert "abandoned" == (await kept_answer(owner, conversation(reader)))["status"]
    lease = stored.process(readers_process)
    assert lease["lease_until"] <= stored.message(reader.answer_id)["ended_at"]


# Frozen


@pytest.mark.gen_test
async def test_an_owner_that_sleeps_past_its_lease_ends_its_answer_as_the_others_did(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    owner, other = await fleet.two()
    upstream.tokens("stored")
    reader = await Reader.ask(owner.url)
    back = await read_elsewhere(other, reader, "stored")
    await reader.text("stored")
    owner.freeze()
    upstream.tokens(", not stored")  # it is read when the owner wakes up
    assert "interrupted" == (await back.end())["status"]
    ended = stored.message(reader.answer_id)
    owner.thaw()

    assert "interrupted" == (await reader.end())["status"]
    await upstream.closed.wait()
    assert "stored, not stored" == reader.so_far
    assert [("reset", "6"), ("end", "6-end")] == [
        (seen.event, seen.id) for seen in reader.seen[-2:]
    ]
    assert [{"type": "text", "text": "stored"}] == reader.seen[-2].data["blocks"]
    next_question_is_answered(upstream, "again")
    assert "again" == await asked_again(owner.url, reader)
    assert ended == stored.message(reader.answer_id)
    assert 6 == max(stored.chunk_ends(reader.answer_id))


@pytest.mark.gen_test
async def test_a_lease_that_was_lost_is_looked_into_before_anything_more_is_written(
    serve: Serving,
    store: FaultyStorage,
    providers: dict[str, dict[str, Any]],
    mongo_url: str,
    upstream: ScriptedUpstream,
    stored: Stored,
) -> None:
    # In the test's own process: between a lease and a look there is a millisecond otherwise.
    times = {"checkpoint_seconds": 0.05, "lease_seconds": 0.5}
    server = await serve.start(providers=providers, storage={"url": mongo_url}, relay=times)
    upstream.tokens("stored")
    reader = await Reader.ask(server.url)
    await reader.text("stored")
    await until(lambda: bool(stored.chunk_ends(reader.answer_id)))
    store.fail("renew_lease")
    await until(lambda: not stored.alive())
    stored.end(reader.answer_id, "interrupted", "stored")
    upstream.tokens(", not stored")
    await reader.text("stored, not stored")
    looking = store.hold("own_live_answers")
    store.fail("renew_lease", times=0)

    await looking.reached.wait()
    await store.called("peer_requests", store.calls.count("peer_requests") + 5)  # as many ticks
    assert [6] == stored.chunk_ends(reader.answer_id)
    looking.open.set()
    assert "interrupted" == (await reader.end())["status"]
    assert "reset" == reader.seen[-2].event
