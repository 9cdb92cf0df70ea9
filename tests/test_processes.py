"""Several servers on one database, each a process of its own, as readers and askers see them."""

import asyncio
import socket

import pytest

from tests.fleet_steps import (
    GRACE,
    conversation,
    followed,
    grace_is_over,
    read_elsewhere,
)
from tests.handlers.ag_ui.agents import Agent, events_in, text_of, user
from tests.launching import Fleet
from tests.mongod import Stored
from tests.readers import Reader, call
from tests.steps import JSON, kept_answer
from tests.upstreams import ScriptedUpstream

pytestmark = pytest.mark.slow


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


@pytest.mark.gen_test
async def test_a_run_of_ag_ui_is_resumed_and_joined_at_another_process(
    fleet: Fleet, upstream: ScriptedUpstream
) -> None:
    owner, other = await fleet.two()
    agent, elsewhere = Agent(owner.url), Agent(other.url)
    question = user("hi", "u1")
    upstream.tokens("你好")
    run = await agent.open(question, run_id="run-1")
    await run.text("你好")
    last = run.events[-1].id
    joined = await elsewhere.join("run-1", after=last)
    resuming = asyncio.create_task(
        elsewhere.post(elsewhere.input(question, run_id="run-1"), after=last)
    )
    run.close()
    upstream.tokens("，世界")
    await joined.text("，世界")
    upstream.finish()

    rest = await joined.end()
    resumed = events_in((await resuming).body)
    assert "，世界" == text_of(rest) == text_of(resumed)
    assert "RUN_FINISHED" == rest[-1].type == resumed[-1].type
    assert rest[-1].id == resumed[-1].id
    assert 1 == len(upstream.requests)
