"""Several servers on one database, as processes of their own: killed, frozen, drained and raced."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults import FaultyStorage
from tests.launching import Fleet, Launched, Launcher
from tests.mongod import Stored
from tests.readers import Connection, Reader, call
from tests.serving import Serving
from tests.steps import JSON, kept_answer, until
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow

GRACE = {"grace": 0.5}


@pytest.fixture
def fleet(launcher: Launcher, mongo_url: str, upstream: ScriptedUpstream) -> Fleet:
    return Fleet(launcher, mongo_url, upstream)


@pytest.fixture
def stored(mongo_url: str) -> Iterator[Stored]:
    with Stored.at(mongo_url) as looking:
        yield looking


def conversation(reader: Reader) -> str:
    """The path of the conversation that is read."""
    return f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}"


async def last_message(url: str, path: str) -> dict[str, Any]:
    message: dict[str, Any] = (await call(url, "GET", f"{path}/messages")).body["data"][-1]
    return message


async def asked_again(url: str, reader: Reader) -> str:
    """The text of the answer to a new question in the conversation that is read."""
    body = {"content": "go on"}
    answered = await call(url, "POST", f"{conversation(reader)}/messages", body, headers=JSON)
    assert 200 == answered.status
    text: str = answered.body["blocks"][0]["text"]
    return text


async def read_elsewhere(other: Launched, reader: Reader, text: str) -> Reader:
    """A second reader of the answer, who has read `text`: so it is stored."""
    await reader.start()
    back = await Reader.come_back(other.url, reader.answer_id)
    await back.text(text)
    return back


async def followed(stored: Stored, reader: Reader) -> str:
    """Wait until the owner can know of a reader elsewhere; the process where that one is."""
    owner = stored.message(reader.answer_id)["owner"]
    while not (wanting := await asyncio.to_thread(stored.wanting, owner)):
        pass  # each look is a request
    return wanting[0]


async def grace_is_over(owner: Launched, upstream: ScriptedUpstream) -> None:
    """Wait until whoever left before this was called has been waited for: by another's case."""
    number = len(upstream.requests)
    reader = await Reader.ask(owner.url, on_disconnect=GRACE)
    request = await upstream.request(number)
    reader.close()
    await request.closed.wait()


async def refused(url: str) -> None:
    """Wait until nobody listens."""
    while True:
        try:
            connection = await Connection.open(url)
        except (ConnectionRefusedError, ConnectionResetError):  # reset: while it was closing
            return
        connection.close()


def next_question_is_answered(upstream: ScriptedUpstream, text: str) -> None:
    upstream.next_request()
    upstream.tokens(text)
    upstream.finish()


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
    logs = fleet.log(other) + fleet.log(third)
    assert 1 == logs.count(f"its process died answer={reader.answer_id}")
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


# Drained


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
    assert 0 == upstream.open
    for reader in readers:
        assert "interrupted" == stored.message(reader.answer_id)["status"]
        assert "half" == stored.text(reader.answer_id)


async def told_to_come_back(reader: Reader) -> int:
    """The ms that a reader is told to wait before their answer ends as interrupted."""
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


# Raced


@pytest.mark.gen_test
async def test_fifty_retries_at_two_processes_are_one_question_and_one_answer(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    servers = await fleet.two()
    upstream.tokens("Hello")
    key = {"Idempotency-Key": "8e03978e", **JSON}
    tries = [
        asyncio.create_task(
            call(servers[n % 2].url, "POST", "/api/v1/chat", {"content": "hi"}, headers=key)
        )
        for n in range(50)
    ]
    await upstream.request(0)
    upstream.finish()

    answered = await asyncio.gather(*tries)
    assert [200] * 50 == [response.status for response in answered]
    assert 1 == len({response.body["id"] for response in answered})
    assert {"Hello"} == {response.body["blocks"][0]["text"] for response in answered}
    assert 1 == len(upstream.requests)
    assert (1, 2) == (stored.count("conversations"), stored.count("messages"))


@pytest.mark.gen_test
async def test_a_stop_at_any_process_stops_the_answer_for_all_its_readers(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    owner, other, third = await fleet.three()
    upstream.tokens("half")
    reader = await Reader.ask(owner.url)
    back = await read_elsewhere(other, reader, "half")
    stopped = await call(third.url, "POST", f"/api/v1/answers/{reader.answer_id}/stop")

    assert 202 == stopped.status
    assert ["stopped"] * 2 == [(await each.end())["status"] for each in (reader, back)]
    await upstream.closed.wait()
    assert "stopped" == stored.message(reader.answer_id)["status"]
    again = await call(third.url, "POST", f"/api/v1/answers/{reader.answer_id}/stop")
    assert (200, "stopped") == (again.status, again.body["status"])


# Left, and come back to


@pytest.mark.gen_test
async def test_who_comes_back_elsewhere_within_the_grace_keeps_the_answer_going(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    owner, other = await fleet.two()
    upstream.tokens("a")
    reader = await Reader.ask(owner.url, on_disconnect=GRACE)
    await reader.text("a")
    reader.close()
    back = await Reader.come_back(other.url, reader.answer_id, reader.seen[-1].id)
    await followed(stored, reader)
    await grace_is_over(owner, upstream)

    upstream.tokens("b")
    upstream.finish()
    assert "complete" == (await back.end())["status"]
    assert "b" == back.so_far


@pytest.mark.gen_test
async def test_who_leaves_the_second_process_as_well_has_left(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    owner, other = await fleet.two()
    upstream.tokens("a")
    reader = await Reader.ask(owner.url, on_disconnect=GRACE)
    back = await read_elsewhere(other, reader, "a")
    reader.close()
    await followed(stored, reader)
    back.close()

    await upstream.closed.wait()
    kept = await kept_answer(other, conversation(reader))
    assert ("abandoned", "a") == (kept["status"], kept["blocks"][0]["text"])


# One port


@pytest.mark.gen_test
async def test_processes_share_a_port_and_either_goes_on_with_an_answer_of_the_other(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    first = await fleet.serve(reuse_port=True)
    port = int(first.url.rpartition(":")[2])
    second = await fleet.serve(reuse_port=True, port=port)
    assert first.url == second.url
    upstream.tokens("Hello")
    readers = await asked_at_both(first.url, stored)

    for reader in readers:
        await reader.text("Hello")
    reader = readers[0]
    back = [await Reader.come_back(first.url, reader.answer_id, str(n % 6)) for n in range(12)]
    upstream.tokens(", you")
    upstream.finish()
    for n, each in enumerate(back):
        assert "complete" == (await each.end())["status"]
        assert "Hello, you"[n % 6 :] == each.so_far


async def asked_at_both(url: str, stored: Stored) -> list[Reader]:
    """Ask until two processes have answered: the kernel deals out connections as it likes."""
    readers: list[Reader] = []
    while len(stored.owners()) < 2:
        reader = await Reader.ask(url)
        await reader.start()
        readers.append(reader)
    return readers


@pytest.mark.gen_test
async def test_an_inherited_socket_refuses_nobody_while_its_processes_come_and_go(
    fleet: Fleet, upstream: ScriptedUpstream, stored: Stored
) -> None:
    upstream.tokens("Hel")
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        first = await fleet.serve(listening=listening, drain_seconds=600)
        assert url == first.url
        reader = await Reader.ask(url)
        await reader.text("Hel")
        await fleet.serve(listening=listening)
        first.terminate()
        while (await call(url, "GET", "/readyz")).status != 200:
            pass  # the first one had accepted it

        answered = [await call(url, "GET", "/readyz") for _ in range(50)]
        assert {200} == {response.status for response in answered}
        upstream.tokens("lo")
        upstream.finish()
        assert "complete" == (await reader.end())["status"]
        assert "Hello" == reader.so_far
        assert 0 == await first.process.wait()
        again = await Reader.come_back(url, reader.answer_id)
        assert "complete" == (await again.end())["status"]
