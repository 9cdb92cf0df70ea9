"""Two servers on one database, each with a store that a test can spoil: what tears between them."""

import asyncio

import pymongo
import pytest

from relay.answer import Answer
from tests.faulty_servers import LEASE, FaultyServer, FaultyServers, followed, read_at_both
from tests.readers import Reader, call
from tests.steps import LATER, until
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.alone  # a lease of a second runs out beside another test


async def stop_reading(faulty_server: FaultyServer, answer: Answer) -> None:
    """Have its last reader leave."""
    with faulty_server.server.relay.reader(answer):
        pass
    remote_answers = faulty_server.server.relay.remote_answers
    async with asyncio.timeout(5):
        await until(lambda: remote_answers.answer("local", answer.id) is None)


def outage(faulty_server: FaultyServer) -> None:
    """Its store cannot be reached."""
    for name in (
        "renew_lease",
        "peer_requests",
        "answer_updates",
        "append_chunks",
        "message",
        "own_live_answers",
        "orphans",
    ):
        faulty_server.store.fail(name)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_outage_longer_than_a_lease_does_not_abandon_what_is_read_elsewhere(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream
) -> None:
    owner, other = two
    reader, back = await read_at_both(owner, other, upstream)
    await followed(owner, reader.answer_id)
    reader.close()
    for faulty_server in two:
        outage(faulty_server)
    await asyncio.sleep(1.5 * LEASE)  # the outage is that long
    # The store is back; the owner is the first to notice, by some of its looks.
    owner.store.heal()
    await asyncio.sleep(0.3)  # several looks of the owner, at which it must not give up
    other.store.heal()
    upstream.tokens("b")
    upstream.finish()
    assert "complete" == (await back.end())["status"]
    assert "ab" == back.so_far


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_store_that_hung_for_a_lease_without_failing_abandons_nobody_either(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream
) -> None:
    # A frozen primary: the owner's command is answered in the end, the other's lease is over.
    owner, other = two
    reader, back = await read_at_both(owner, other, upstream)
    await followed(owner, reader.answer_id)
    reader.close()
    other.store.fail("renew_lease")
    gate = owner.store.hold("peer_requests")
    await gate.reached.wait()
    await asyncio.sleep(1.5 * LEASE)  # the outage is that long
    gate.open.set()
    await asyncio.sleep(0.3)  # several looks of the owner, at which it must not give up
    other.store.heal()
    upstream.tokens("b")
    upstream.finish()
    assert "complete" == (await back.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_answer_let_go_of_does_not_take_its_successors_readers_with_it(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream
) -> None:
    owner, other = two
    upstream.tokens("a")
    reader = await Reader.ask(owner.url)
    await reader.text("a")
    relay = other.server.relay
    old = await relay.answer("local", reader.answer_id)
    await stop_reading(other, old)
    back = await Reader.come_back(other.url, reader.answer_id)
    await back.text("a")
    # A retry that was on its way between the two (`IdempotentAsks` hands the answer over a few
    # turns of the loop later), or a deletion whose renewal of the lease took long.
    with relay.reader(old) as late:
        assert late.disconnected, "it reads a record that nothing grows any more"
    upstream.tokens("b")
    upstream.finish()
    async with asyncio.timeout(5):
        assert "complete" == (await back.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_one_late_reader_does_not_strand_the_others_of_an_answer_followed_anew(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream
) -> None:
    owner, other = two
    upstream.tokens("a")
    reader = await Reader.ask(owner.url)
    await reader.text("a")
    relay = other.server.relay
    old = await relay.answer("local", reader.answer_id)
    await stop_reading(other, old)
    back = await Reader.come_back(other.url, reader.answer_id)
    await back.text("a")
    with relay.reader(old):
        pass
    upstream.tokens("b")
    upstream.finish()
    async with asyncio.timeout(5):
        assert "complete" == (await back.end())["status"]


async def followed_twice(owner: FaultyServer, other: FaultyServer) -> tuple[Reader, Reader, Reader]:
    """Two answers with a reader at each server: the owner's two, and the second's at the other."""
    strange = await Reader.ask(owner.url)
    await strange.text("a")
    reader = await Reader.ask(owner.url)
    await reader.text("a")
    for each in (strange, reader):
        back = await Reader.come_back(other.url, each.answer_id)
        await back.text("a")
        await followed(owner, each.answer_id)
    return strange, reader, back


def conversation(reader: Reader) -> str:
    """The path of the conversation that is read."""
    return f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}"


@pytest.mark.slow
@pytest.mark.gen_test
async def test_an_answer_that_cannot_be_followed_does_not_end_following_for_all(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream, expect_log
) -> None:
    expect_log("headrace.remote_answers", "")  # a bug of ours: once, and not the end
    owner, other = two
    upstream.tokens("a")
    strange, _, back = await followed_twice(owner, other)
    other.store.fail(
        "answer_updates",
        error=ValueError("a bug"),
        when=lambda positions: strange.answer_id in positions,
    )
    await other.store.called("answer_updates", other.store.calls.count("answer_updates") + 2)
    upstream.tokens("b")
    upstream.finish()
    async with asyncio.timeout(5):
        assert "complete" == (await back.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_status_that_a_later_version_wrote_is_no_end_and_in_nobodys_way(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream, mongo_url: str
) -> None:
    owner, other = two
    upstream.tokens("a")
    strange, _, back = await followed_twice(owner, other)
    with pymongo.MongoClient(mongo_url) as client:
        messages = client.get_default_database()["messages"]
        messages.update_one({"_id": strange.answer_id}, {"$set": {"status": "paused"}})
    await other.store.called("answer_updates", other.store.calls.count("answer_updates") + 2)
    kept = await call(other.url, "GET", f"{conversation(strange)}/messages")
    assert "paused" == kept.body["data"][-1]["status"]
    upstream.tokens("b")
    upstream.finish()
    async with asyncio.timeout(5):
        assert "complete" == (await back.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_who_is_promised_time_to_attach_gets_it_at_a_process_that_follows_already(
    faulty_servers: FaultyServers, upstream: ScriptedUpstream
) -> None:
    owner = await faulty_servers.start(attach_seconds=10)
    other = await faulty_servers.start(attach_seconds=1)
    upstream.tokens("a")
    key = {"Idempotency-Key": "k"}
    reader = await Reader.ask(owner.url, headers=key, on_disconnect="cancel")
    await reader.text("a")
    back = await Reader.come_back(other.url, reader.answer_id)
    await back.text("a")
    await followed(owner, reader.answer_id)
    reader.close()
    promised = await call(
        other.url,
        "POST",
        "/api/v1/chat",
        {"content": "hi", "on_disconnect": "cancel"},
        headers=key | LATER,
    )
    assert 202 == promised.status
    back.close()
    await asyncio.sleep(0.5)  # what was promised is longer, and nothing may happen in it
    again = await Reader.come_back(other.url, reader.answer_id)
    upstream.tokens("b")
    upstream.finish()
    assert "complete" == (await again.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_whoever_came_back_while_the_owner_looked_once_more_has_their_grace_anew(
    two: tuple[FaultyServer, FaultyServer], upstream: ScriptedUpstream
) -> None:
    owner, _ = two
    upstream.tokens("a")
    reader = await Reader.ask(owner.url, on_disconnect={"grace": 1})
    await reader.text("a")
    generation = owner.server.relay.live_answers.get(reader.answer_id)
    assert generation is not None
    left = asyncio.get_running_loop().time()
    reader.close()
    async with asyncio.timeout(5):
        await until(lambda: not generation.answer.readers)
    # Every look from just before the grace is over hangs: the store is slow.
    await asyncio.sleep(left + 0.9 - asyncio.get_running_loop().time())
    gates = [owner.store.hold("peer_requests") for _ in range(2)]
    async with asyncio.timeout(5):
        for gate in gates:
            await gate.reached.wait()
    assert owner.server.relay.unread_answers.is_polling  # the look before giving up
    back = await Reader.come_back(owner.url, reader.answer_id)
    await back.text("a")
    back.close()
    async with asyncio.timeout(5):
        await until(lambda: not generation.answer.readers)
    for gate in gates:
        gate.open.set()
    await asyncio.sleep(0.3)  # of the second that began when they left
    again = await Reader.come_back(owner.url, reader.answer_id)
    upstream.tokens("b")
    upstream.finish()
    assert "complete" == (await again.end())["status"]
