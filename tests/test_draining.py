"""Servers on one database, of which one is asked to drain."""

import pytest

from tests.fleet_steps import read_elsewhere, refused
from tests.launching import Fleet
from tests.mongod import Stored
from tests.readers import Connection, Reader
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow


@pytest.mark.gen_test
async def test_a_drain_lets_the_answer_come_to_its_end_and_takes_nothing_new(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    server = await fleet.serve(drain_seconds=20)
    connection = await Connection.open(server.url)
    assert 200 == (await connection.call("GET", "/readyz")).status
    upstream.tokens("Hel")
    reader = await Reader.ask(server.url)
    await reader.text("Hel")
    server.terminate()
    await refused(server.url)

    ready = await connection.call("GET", "/readyz")
    assert (503, "shutting_down") == (ready.status, ready.body["error"]["code"])
    # Who was just let in is answered for a moment, here with a conversation that is busy.
    conversation = reader.seen[0].data["conversation_id"]
    messages = f"/api/v1/conversations/{conversation}/messages"
    while (asked := await connection.call("POST", messages, {"content": "hi"})).status == 409:
        pass
    assert (503, "shutting_down") == (asked.status, asked.body["error"]["code"])
    upstream.tokens("lo")
    upstream.finish()
    assert "complete" == (await reader.end())["status"]
    assert "Hello" == reader.so_far
    assert 0 == await server.process.wait()
    assert "complete" == stored.message(reader.answer_id)["status"]
    assert "Hello" == stored.text(reader.answer_id)


@pytest.mark.parametrize("drain_seconds", [0, 0.5])
@pytest.mark.gen_test
async def test_a_drain_that_takes_too_long_interrupts_and_spreads_the_coming_back(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored, drain_seconds: float
) -> None:
    server = await fleet.serve(drain_seconds=drain_seconds)
    upstream.tokens("half")
    readers = [await Reader.ask(server.url) for _ in range(5)]
    for reader in readers:
        await reader.text("half")
    server.terminate()

    pauses = {await told_to_come_back(reader) for reader in readers}
    assert 1 < len(pauses)  # all five the same by chance: never in a lifetime of the universe
    assert 0 == await server.process.wait()
    for request in upstream.requests:
        await request.closed.wait()
    for reader in readers:
        assert "interrupted" == stored.message(reader.answer_id)["status"]
        assert "half" == stored.text(reader.answer_id)


async def told_to_come_back(reader: Reader) -> int:
    """The milliseconds of `retry:` that a reader receives before its answer ends as interrupted."""
    while (seen := await reader.next()) is not None and seen.event != "end":
        pass
    assert seen is not None
    assert "interrupted" == seen.data["status"]
    _, pause = reader.retries  # one at the start, one since
    assert 1000 <= pause <= 5000
    return pause


@pytest.mark.gen_test
async def test_a_second_sigterm_ends_the_drain_and_all_is_stored(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    server = await fleet.serve(drain_seconds=600)
    upstream.tokens("half")
    reader = await Reader.ask(server.url)
    await reader.text("half")
    server.terminate()
    await refused(server.url)
    upstream.tokens(" and more")
    await reader.text("half and more")
    server.terminate()

    assert "interrupted" == (await reader.end())["status"]
    assert 0 == await server.process.wait()
    assert "interrupted" == stored.message(reader.answer_id)["status"]
    assert "half and more" == stored.text(reader.answer_id)


@pytest.mark.gen_test
async def test_a_reader_elsewhere_learns_how_a_drain_ended_the_answer(
    fleet: Fleet, upstream: ScriptedUpstream
) -> None:
    owner = await fleet.serve(drain_seconds=0)
    other = await fleet.serve()
    upstream.tokens("half")
    reader = await Reader.ask(owner.url)
    back = await read_elsewhere(other, reader, "half")
    owner.terminate()

    assert await reader.end() == await back.end()
    assert "interrupted" == back.seen[-1].data["status"]
    assert 0 == await owner.process.wait()
