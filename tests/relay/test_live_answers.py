"""Waiting until an answer has ended in this process."""

import asyncio

import pytest

from relay.admission import Admission, Allowance
from relay.live_answers import LiveAnswers
from tests.relay.generations import generation_of
from tests.relay.memory_storage import MemoryStorage
from tests.relay.scripted_source import ScriptedSource

ALLOWANCE = Allowance(
    answers=9,
    answers_per_user=0,
    requests_per_user=0,
    streams_per_user=0,
    questions_per_minute=0,
    tokens_per_day=0,
    stored_bytes=0,
    prompt_file_bytes=0,
)


@pytest.mark.gen_test
async def test_all_who_wait_for_an_end_are_told_also_if_one_gave_up() -> None:
    admission = Admission(MemoryStorage("p"), ALLOWANCE)
    live = LiveAnswers(admission)
    source = ScriptedSource()
    generation = generation_of(source)
    generation.slot = await admission.enter("local")
    generation.is_begun = True
    live.add(generation)
    waiting = [asyncio.ensure_future(live.wait_until_ended("c-a")) for _ in range(3)]
    empty = asyncio.ensure_future(live.wait_until_empty())
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting, timeout=0.01)
    assert [True, False, False] == [each.done() for each in waiting]

    live.remove(generation)

    async with asyncio.timeout(1):
        await asyncio.gather(*waiting[1:], empty)
        await live.wait_until_ended("c-a")  # it has ended already
    source.ends.set()
