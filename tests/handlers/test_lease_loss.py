"""A lease that is lost and renewed, bugs in its renewal, and a drain without any waiting."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado.ioloop import IOLoop

from app.server import Server
from model.blocks import Block
from relay.endings import orphaned
from tests.faults import FaultyStorage
from tests.mongod import Stored
from tests.readers import Reader
from tests.serving import Serving
from tests.steps import until
from tests.upstreams import ScriptedUpstream

_ROOT = Path(__file__).parents[2]
Providers = dict[str, dict[str, Any]]


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is logged about a bug that a test makes, in whichever words."""
    for name in ("headrace", "asyncio"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", False)


@pytest.fixture
def alone(
    io_loop: IOLoop, store: FaultyStorage, serve: Serving, providers: Providers, mongo_url: str
) -> Server:
    """A server on MongoDB with a short lease."""
    relay = {"checkpoint_seconds": 0.05, "lease_seconds": 0.6, "heartbeat_seconds": 0.2}
    settings = {"providers": providers, "storage": {"url": mongo_url}, "relay": relay}
    server: Server = io_loop.run_sync(lambda: serve.start(**settings))
    return server


async def swept(store: FaultyStorage, answer_id: str) -> tuple[Block, ...]:
    """What another process does to the answer of a dead one; the blocks that it leaves."""
    assert store.wrapped is not None
    message = await store.wrapped.message("local", answer_id)
    assert await store.wrapped.end_answer(answer_id, store.wrapped.process, orphaned(message))
    return message.blocks


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_process_that_comes_back_writes_no_more_to_an_answer_that_others_ended(
    alone: Server, store: FaultyStorage, upstream: ScriptedUpstream, mongo_url: str
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(alone.url)
    await reader.text("a")
    await store.called("append_chunks")
    store.fail("renew_lease")
    async with asyncio.timeout(5):
        await until(lambda: not alone.relay.stats.holds_lease)
    await swept(store, reader.answer_id)
    upstream.tokens("b")
    await reader.text("ab")
    gate = store.hold("own_live_answers")
    store.fail("renew_lease", times=0)  # it works again
    await gate.reached.wait()  # renewed, and not known yet what the gap cost
    await asyncio.sleep(0.2)  # four ticks
    with Stored.at(mongo_url) as stored:
        ends = stored.chunk_ends(reader.answer_id)
    gate.open.set()
    end = await reader.end()
    assert ("interrupted", None) == (end["status"], end["timing"])
    assert [1] == ends


@pytest.mark.gen_test
async def test_a_bug_in_reading_what_is_kept_leaves_no_reader_waiting(
    alone: Server, store: FaultyStorage, upstream: ScriptedUpstream, unwatched: None
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(alone.url)
    await reader.text("a")
    await swept(store, reader.answer_id)
    store.fail("message", error=ValueError("a bug"), times=1)
    upstream.finish()
    async with asyncio.timeout(3):
        assert "interrupted" == (await reader.end())["status"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "operation", ["renew_lease", "own_live_answers", "peer_requests", "answer_updates", "orphans"]
)
@pytest.mark.gen_test
async def test_one_bug_does_not_end_what_has_to_go_on_for_as_long_as_the_server(
    alone: Server,
    store: FaultyStorage,
    upstream: ScriptedUpstream,
    unwatched: None,
    operation: str,
) -> None:
    # Without its lease this process is taken for dead, without a sweep the dead for living,
    # without `growth` readers get signs of life for ever: and only one line in the log says so.
    upstream.tokens("a")
    reader = await Reader.ask(alone.url)
    await reader.text("a")
    assert store.wrapped is not None
    alone.relay.remote_answers.follow(await store.wrapped.message("local", reader.answer_id))
    store.fail(operation, error=ValueError("a bug"), times=1)
    seen = store.calls.count(operation)
    async with asyncio.timeout(4):
        await store.called(operation, seen + 3)


@pytest.mark.gen_test
async def test_a_reader_who_holds_more_than_others_left_of_it_is_reset_and_then_told(
    alone: Server, store: FaultyStorage, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(alone.url)
    await reader.text("a")
    await store.called("append_chunks")
    store.fail("append_chunks")
    upstream.tokens("bcd")
    await reader.text("abcd")
    kept = await swept(store, reader.answer_id)
    upstream.finish()
    end = await reader.end()
    assert "interrupted" == end["status"]
    reset, ended = reader.seen[-2:]
    assert "reset" == reset.event
    assert [msgspec.to_builtins(block) for block in kept] == reset.data["blocks"]
    length = sum(len(block["text"]) for block in reset.data["blocks"])
    assert (str(length), f"{length}-end") == (reset.id, ended.id)


@pytest.mark.gen_test
async def test_a_drain_without_patience_ends_everything_at_once_and_keeps_it(
    headrace: Server, serve: Serving, upstream: ScriptedUpstream
) -> None:
    upstream.tokens("a")
    reader = await Reader.ask(headrace.url)
    await reader.text("a")
    await headrace.drain(0, cut_short=asyncio.Event())
    await serve.stop(headrace)
    assert "interrupted" == (await reader.end())["status"]
    assert 1000 <= reader.retries[-1] <= 5000
