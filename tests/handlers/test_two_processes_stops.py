"""Two servers on one database: stops, deletions and questions that reach both at once."""

import asyncio
from collections.abc import Callable

import pytest

from storage.errors import NotFound
from tests.faulty_servers import FaultyServer, FaultyServers, followed, read_at_both
from tests.mongod import Stored
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, LATER, kept_answer, new_conversation
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.alone  # a lease of a second runs out beside another test


@pytest.mark.slow
@pytest.mark.gen_test
async def test_one_user_can_neither_read_nor_stop_nor_delete_anothers_answer_anywhere(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream
) -> None:
    owner, other = two
    reader, back = await read_at_both(owner, other, upstream)
    conversation_id = reader.seen[0].data["conversation_id"]
    for faulty_server in two:
        relay = faulty_server.server.relay
        for attempt in (
            relay.answer("mallory", reader.answer_id),
            relay.stop("mallory", reader.answer_id),
            relay.conversations.delete("mallory", conversation_id),
        ):
            with pytest.raises(NotFound):
                await attempt
    upstream.tokens("b")
    upstream.finish()
    assert "complete" == (await back.end())["status"]
    kept = await kept_answer(owner.server, f"/api/v1/conversations/{conversation_id}")
    assert "complete" == kept["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_stop_is_not_taken_before_it_is_kept_also_when_it_was_asked_for_before(
    two: tuple[FaultyServer, FaultyServer],
    upstream: ScriptedUpstream,
    expect_log: Callable[[str, str], None],
) -> None:
    owner, other = two
    upstream.tokens("half")
    reader = await Reader.ask(owner.url)
    await reader.text("half")
    expect_log("headrace.leases", "lease not renewed: ")
    expect_log("headrace.storage", "requests are refused, the store fails: ")
    other.store.fail("renew_lease")
    path = f"/api/v1/answers/{reader.answer_id}/stop"
    assert 503 == (await call(other.url, "POST", path)).status
    renewal = other.store.hold("renew_lease")  # of the lease's own accord
    await renewal.reached.wait()

    stopping = asyncio.create_task(call(other.url, "POST", path))

    await asyncio.wait({stopping}, timeout=0.2)
    renewal.open.set()
    assert 503 == (await stopping).status
    other.store.heal()
    assert 202 == (await call(other.url, "POST", path)).status
    assert "stopped" == (await reader.end())["status"]


@pytest.mark.gen_test
async def test_who_waits_for_json_elsewhere_is_told_to_ask_again_when_that_process_goes(
    faulty_servers: FaultyServers, serve: Serving, upstream: ScriptedUpstream
) -> None:
    owner, other = await faulty_servers.start(), await faulty_servers.start()
    upstream.tokens("a")
    key = {"Idempotency-Key": "k"}
    reader = await Reader.ask(owner.url, headers=key)
    await reader.text("a")
    waiting = asyncio.create_task(
        call(other.url, "POST", "/api/v1/chat", {"content": "hi"}, headers=key | JSON)
    )
    await followed(owner, reader.answer_id)
    await serve.stop(other.server)
    told = await waiting
    assert (503, "answer_elsewhere") == (told.status, told.body["error"]["code"])
    assert "retry-after" in told.headers
    upstream.finish()
    assert "complete" == (await reader.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_stop_a_deletion_and_a_question_at_once_on_two_processes_leave_nothing_live(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream
) -> None:
    owner, other = two
    for _ in range(5):
        upstream.tokens("a")
        reader = await Reader.ask(owner.url)
        await reader.text("a")
        back = await Reader.come_back(other.url, reader.answer_id)
        conversation_id = reader.seen[0].data["conversation_id"]
        path = f"/api/v1/conversations/{conversation_id}"
        stop = f"/api/v1/answers/{reader.answer_id}/stop"
        done = await asyncio.gather(
            call(other.url, "DELETE", path),
            call(owner.url, "POST", stop),
            call(other.url, "POST", stop),
            call(owner.url, "DELETE", path),
            call(other.url, "POST", f"{path}/messages", {"content": "q"}, headers=LATER),
        )
        assert {response.status for response in done} <= {200, 202, 204, 404, 409}
        assert "stopped" == (await reader.end())["status"]
        assert (await back.end())["status"] in ("stopped", "interrupted")
        async with asyncio.timeout(10):
            await asyncio.gather(owner.server.relay.idle(), other.server.relay.idle())
        upstream.next_request()


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_question_that_slips_in_while_its_conversation_is_deleted_elsewhere_is_stopped(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream, mongo_url: str
) -> None:
    owner, other = two
    path = await new_conversation(owner.server)
    gate = other.store.hold("delete_conversation")
    deleting = asyncio.create_task(call(other.url, "DELETE", path))
    await gate.reached.wait()
    upstream.tokens("a")
    reader = await Reader.open(owner.url, "POST", f"{path}/messages", {"content": "q"})
    await reader.text("a")
    gate.open.set()
    assert 204 == (await deleting).status

    upstream.tokens("b")  # growth, which the owner saves

    assert "stopped" == (await reader.end())["status"]
    assert upstream.closed.is_set()
    for faulty_server in two:
        events = f"/api/v1/answers/{reader.answer_id}/events"
        assert 404 == (await call(faulty_server.url, "GET", events)).status
    await other.store.called("next_deletion", other.store.calls.count("next_deletion") + 1)
    with Stored.at(mongo_url) as stored:
        assert 0 == stored.count("messages") + stored.count("chunks")
