"""Processes die, and no event is lost; several have one store, and none is sent by two of them."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.launching import Fleet, Launched, Launcher
from tests.readers import Reader, call
from tests.steps import JSON
from tests.storage.raw import leave_first_stage
from tests.upstreams import ScriptedUpstream
from tests.webhook_receiver import SECRET, Receiver, is_signed

pytestmark = pytest.mark.slow

# Seconds, in which the claim of a process that died is over.
_CLAIM = 60


async def answered(server: Launched) -> str:
    response = await call(server.url, "POST", "/api/v1/chat", {"content": "hi"}, headers=JSON)
    assert 200 == response.status, response
    answer_id: str = response.body["id"]
    return answer_id


def alone(launcher: Launcher, upstream: ScriptedUpstream, receiver: Receiver) -> None:
    """The settings of a server with a file of its own."""
    launcher.settings.write_text(
        "port = 0\n"
        f'[storage]\nurl = "sqlite:///{launcher.folder}/headrace.db"\n'
        f'[[webhooks]]\nurl = "{receiver.url}"\nsecret = "{SECRET}"\n'
        f'[providers.openai]\nbase_url = "{upstream.url}/v1"\n'
    )


def told(receiver: Receiver) -> dict[str, str]:
    """The events that the receiver has, by their ids."""
    return {each.id: each.event["type"] for each in receiver.received}


async def until_told(receiver: Receiver, ids: set[str], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not ids <= told(receiver).keys():
            await receiver.requests(len(receiver.received) + 1, seconds)


@pytest.mark.gen_test(timeout=120)
async def test_kill_9_before_and_while_events_are_sent_loses_none_and_changes_none(
    launcher: Launcher, upstream: ScriptedUpstream, receiver: Receiver
) -> None:
    alone(launcher, upstream, receiver)
    upstream.tokens("a")
    upstream.finish()
    ended = set()
    for _ in range(5):  # the moment an answer has ended
        server = await launcher.serve()
        reader = await Reader.ask(server.url)
        assert "complete" == (await reader.end())["status"]
        await server.kill()
        ended.add(f"evt_{reader.answer_id}")
    await receiver.stop()  # before a receiver is back
    server = await launcher.serve()
    ended |= {f"evt_{await answered(server)}" for _ in range(20)}
    await server.kill()
    acknowledged = list(receiver.received)
    receiver.is_silent = True  # while it takes its time
    await receiver.start()
    server = await launcher.serve()
    ended.add(f"evt_{await answered(server)}")
    await receiver.requests(len(acknowledged) + 1)
    await server.kill()
    cut_off = receiver.received[len(acknowledged) :]
    receiver.received.clear()

    receiver.is_silent = False
    await launcher.serve()
    await until_told(receiver, ended - {each.id for each in acknowledged}, _CLAIM)

    sent = [*acknowledged, *cut_off, *receiver.received]
    assert ended == {each.id for each in sent}
    assert {"response.completed"} == {each.event["type"] for each in sent}
    assert all(map(is_signed, sent))
    assert len(ended) == len({(each.id, each.body) for each in sent})  # sent again, it is the same


@pytest.mark.gen_test(timeout=120)
async def test_an_answer_whose_process_was_killed_is_told_as_failed(
    launcher: Launcher, upstream: ScriptedUpstream, receiver: Receiver
) -> None:
    alone(launcher, upstream, receiver)
    upstream.tokens("a")
    server = await launcher.serve()
    reader = await Reader.ask(server.url)
    await reader.text("a")
    await server.kill()

    await launcher.serve()
    (received,) = await receiver.requests(1, _CLAIM)

    assert ("response.failed", f"evt_{reader.answer_id}") == (received.event["type"], received.id)


@pytest.mark.gen_test(timeout=120)
async def test_processes_with_one_mongodb_send_each_event_once(
    fleet: Fleet, upstream: ScriptedUpstream, receiver: Receiver, stored: Any
) -> None:
    fleet.tell(receiver.url, SECRET)
    servers = await fleet.three()
    upstream.tokens("a")
    upstream.finish()

    asked = [answered(servers[number % 3]) for number in range(60)]
    ended = {f"evt_{answer_id}" for answer_id in await asyncio.gather(*asked)}
    await until_told(receiver, ended, 30)
    async with asyncio.timeout(30):
        while stored.count("webhook_deliveries"):  # noqa: ASYNC110 - a store tells nobody
            await asyncio.sleep(0.05)

    assert (60, ended) == (len(receiver.received), set(told(receiver)))


@pytest.mark.gen_test(timeout=120)
async def test_what_a_process_with_mongodb_left_is_sent_by_another(
    fleet: Fleet, upstream: ScriptedUpstream, receiver: Receiver
) -> None:
    fleet.tell(receiver.url, SECRET)
    owner, _ = await fleet.two()
    await receiver.stop()
    upstream.tokens("a")
    upstream.finish()
    ended = {f"evt_{await answered(owner)}" for _ in range(10)}
    upstream.next_request()
    upstream.tokens("b")
    reader = await Reader.ask(owner.url)
    await reader.text("b")
    await owner.kill()

    await receiver.start()
    interrupted = f"evt_{reader.answer_id}"
    await until_told(receiver, ended | {interrupted}, _CLAIM)

    assert "response.failed" == told(receiver)[interrupted]


@pytest.mark.gen_test
async def test_a_server_whose_file_has_no_place_for_events_does_not_start(
    launcher: Launcher, upstream: ScriptedUpstream, receiver: Receiver, tmp_path: Path
) -> None:
    alone(launcher, upstream, receiver)
    leave_first_stage(f"sqlite:///{tmp_path}/left/headrace.db")
    shutil.copyfile(tmp_path / "left/headrace.db", tmp_path / "headrace.db")

    said = await launcher.refused("--config", str(launcher.settings))
    assert "no table for deliveries to webhooks yet; `server.py migrate` creates it" in said

    migrated = await launcher.start("--config", str(launcher.settings), "migrate")
    await migrated.communicate()
    await launcher.serve()
