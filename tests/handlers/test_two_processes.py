"""Two servers on one database: an answer of one is read, stopped and deleted at the other."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from relay import remote_answers
from relay.answer import Answer
from relay.errors import TooManyStops
from storage.mongo.store import MongoStorage
from storage.values import PeerRequests
from tests.readers import Reader, call
from tests.serving import Serving
from tests.steps import JSON, kept_answer, messages_of, until
from tests.upstreams import ScriptedUpstream


class Pair(NamedTuple):
    """The server that is asked, and another one."""

    owner: Server
    other: Server


@pytest.fixture
def two(
    io_loop: IOLoop, serve: Serving, providers: dict[str, dict[str, Any]], mongo_url: str
) -> Pair:
    async def start() -> Server:
        relay = {"checkpoint_seconds": 0.05, "lease_seconds": 10, "heartbeat_seconds": 0.2}
        return await serve.start(storage={"url": mongo_url}, providers=providers, relay=relay)

    return Pair(io_loop.run_sync(start), io_loop.run_sync(start))


def _path(reader: Reader) -> str:
    return f"/api/v1/conversations/{reader.seen[0].data['conversation_id']}"


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_reader_elsewhere_gets_all_of_it_as_it_grows(
    two: Pair, upstream: ScriptedUpstream
) -> None:
    upstream.reasoning("想")
    upstream.tokens("你好", "，世界 👩‍🚀")
    reader = await Reader.ask(two.owner.url)
    await reader.text("你好，世界 👩‍🚀")
    back = await Reader.come_back(two.other.url, reader.answer_id)
    await back.text("你好，世界 👩‍🚀")
    upstream.tokens("!")
    await back.text("你好，世界 👩‍🚀!")
    upstream.finish()
    assert await reader.end() == await back.end()
    assert reader.seen[-1].id == back.seen[-1].id
    assert {"start", "delta", "end"} == {seen.event for seen in back.seen}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_reader_who_holds_more_than_is_stored_yet_goes_on_where_they_were(
    two: Pair, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("Hello")
    reader = await Reader.ask(two.owner.url)
    await reader.text("Hello")
    back = await Reader.come_back(two.other.url, reader.answer_id, "9")
    await back.start()
    upstream.tokens(", you")
    upstream.finish()
    await back.end()
    assert "u" == back.so_far
    assert "reset" not in {seen.event for seen in back.seen}


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_stop_sent_to_the_wrong_process_is_202_and_heeded(
    two: Pair, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("half")
    reader = await Reader.ask(two.owner.url)
    await reader.text("half")
    stopped = await call(two.other.url, "POST", f"/api/v1/answers/{reader.answer_id}/stop")
    assert (202, "live") == (stopped.status, stopped.body["status"])
    assert "stopped" == (await reader.end())["status"]
    await upstream.closed.wait()
    kept = await kept_answer(two.other, _path(reader))
    assert ("stopped", "half") == (kept["status"], kept["blocks"][0]["text"])
    again = await call(two.other.url, "POST", f"/api/v1/answers/{reader.answer_id}/stop")
    assert (200, "stopped") == (again.status, again.body["status"])


@pytest.mark.slow
@pytest.mark.gen_test
async def test_stops_sent_by_the_hundred_share_a_renewal_of_the_lease(
    two: Pair, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.tokens("half")
    reader = await Reader.ask(two.owner.url)
    await reader.text("half")
    renew, renewals = MongoStorage.renew_lease, 0

    async def counted(store: MongoStorage, requests: Mapping[str, PeerRequests]) -> bool:
        nonlocal renewals
        renewals += 1
        return await renew(store, requests)

    monkeypatch.setattr(MongoStorage, "renew_lease", counted)

    stopped = await asyncio.gather(
        *(two.other.relay.stop("local", reader.answer_id) for _ in range(500))
    )

    assert {reader.answer_id} == {answer.id for answer in stopped}
    assert 1 <= renewals < 10  # some of which are the leases' own
    assert "stopped" == (await reader.end())["status"]


@pytest.mark.slow
@pytest.mark.gen_test
async def test_so_many_answers_of_a_user_may_be_stopped_from_elsewhere_at_a_time(
    two: Pair, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_answers, "_STOPS_PER_USER", 2)
    upstream.tokens("half")
    readers = {}
    for _ in range(3):
        reader = await Reader.ask(two.owner.url)
        await reader.text("half")
        readers[reader.answer_id] = reader
    relay = two.other.relay
    peer_requests, heeds = MongoStorage.peer_requests, asyncio.Event()

    async def later(store: MongoStorage) -> PeerRequests:
        await heeds.wait()
        return await peer_requests(store)

    monkeypatch.setattr(MongoStorage, "peer_requests", later)

    outcomes = await asyncio.gather(
        *(relay.stop("local", answer_id) for answer_id in [*readers, *readers]),
        return_exceptions=True,
    )

    stopped = {each.id for each in outcomes if isinstance(each, Answer)}
    (left,) = readers.keys() - stopped
    assert 2 == sum(isinstance(each, TooManyStops) for each in outcomes)
    heeds.set()
    for answer_id in stopped:
        assert "stopped" == (await readers[answer_id].end())["status"]
    async with asyncio.timeout(5):
        await until(
            lambda: not any(each.stops for each in relay.remote_answers.peer_requests.values())
        )
    path = f"/api/v1/answers/{left}/stop"
    monkeypatch.setattr(remote_answers, "_STOPS", 0)
    refused = await call(two.other.url, "POST", path)
    assert (429, "too_many_stops") == (refused.status, refused.body["error"]["code"])
    assert "retry-after" in refused.headers
    assert 200 == (await call(two.owner.url, "POST", path)).status  # it is its own


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_conversation_deleted_at_the_wrong_process_is_stopped_first(
    two: Pair, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("half")
    reader = await Reader.ask(two.owner.url)
    await reader.text("half")
    gone = await call(two.other.url, "DELETE", _path(reader))
    assert 204 == gone.status
    assert "stopped" == (await reader.end())["status"]
    assert upstream.closed.is_set()
    assert 404 == (await call(two.owner.url, "GET", _path(reader))).status


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_reader_elsewhere_keeps_it_going_and_their_leaving_ends_it(
    two: Pair, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(two.owner.url, on_disconnect={"grace": 0.5})
    await reader.text("a")
    back = await Reader.come_back(two.other.url, reader.answer_id)
    await back.text("a")
    await until_followed(two, reader)
    reader.close()
    async with asyncio.timeout(10):
        while back.beats < 5:  # a second, twice the grace
            await back.next(until_beats=5)
    upstream.tokens("b")
    await back.text("ab")
    back.close()
    await upstream.closed.wait()
    kept = await kept_answer(two.owner, _path(reader))
    assert ("abandoned", "ab") == (kept["status"], kept["blocks"][0]["text"])


@pytest.mark.gen_test
async def test_an_answer_can_be_waited_for_elsewhere(two: Pair, upstream: ScriptedUpstream) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(two.owner.url, headers={"Idempotency-Key": "k"})
    await reader.text("a")
    waiting = asyncio.create_task(
        call(
            two.other.url,
            "POST",
            "/api/v1/chat",
            {"content": "hi"},
            headers={"Idempotency-Key": "k", **JSON},
        )
    )
    upstream.tokens("b")
    upstream.finish()
    answered = await waiting
    assert (200, reader.answer_id) == (answered.status, answered.body["id"])
    assert [{"type": "text", "text": "ab"}] == answered.body["blocks"]
    assert 1 == len(upstream.requests)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_server_that_goes_away_sends_readers_of_others_answers_elsewhere(
    two: Pair, serve: Serving, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(two.owner.url)
    await reader.text("a")
    back = await Reader.come_back(two.other.url, reader.answer_id)
    await back.text("a")
    await until_followed(two, reader)
    reader.close()
    await serve.stop(two.other)
    assert await back.next() is None  # no end, for it has not ended
    again = await Reader.come_back(two.owner.url, reader.answer_id, back.seen[-1].id)
    upstream.tokens("b")
    upstream.finish()
    assert "complete" == (await again.end())["status"]
    assert "b" == again.so_far


async def until_followed(two: Pair, reader: Reader) -> None:
    """Wait until the owner has heard of the reader at the other server."""
    generation = two.owner.relay.live_answers.get(reader.answer_id)
    assert generation is not None
    async with asyncio.timeout(5):
        await until(lambda: generation.reader_timeout.is_followed)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_an_abandoned_answer_left_is_in_the_list_of_either(
    two: Pair, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(two.owner.url)
    await reader.text("a")
    reader.close()
    await kept_answer(two.other, _path(reader))
    assert await messages_of(two.owner, _path(reader)) == await messages_of(
        two.other, _path(reader)
    )
