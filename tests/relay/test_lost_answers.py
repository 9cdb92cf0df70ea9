"""Answers whose process has lost them to another one, or died: each is ended once, and counted."""

import asyncio

import pytest
from tornado.ioloop import IOLoop

from model.messages import Status
from relay.ask_request import AskRequest
from relay.endings import orphaned
from relay.errors import TokenBudgetSpent
from tests.relay.relays import USER, Starting
from tests.steps import until


def test_an_answer_that_another_process_has_ended_is_cancelled_within_a_lease(
    start_relay: Starting, io_loop: IOLoop
) -> None:
    process = start_relay(lease_seconds=0.3)

    async def lose() -> None:
        answer = await process.ask()
        kept = process.stored(answer)

        await process.storage.end_answer(answer.id, process.storage.process, orphaned(kept))

        async with asyncio.timeout(5):
            await process.source.left.wait()
            await process.relay.idle()
        assert answer.ending is not None
        assert Status.INTERRUPTED is answer.ending.status

    io_loop.run_sync(lose)


def test_the_tokens_of_an_answer_whose_process_died_count(
    start_relay: Starting, io_loop: IOLoop
) -> None:
    allowance = {"tokens_per_day": 30}
    dying, other = start_relay(allowance=allowance), start_relay(allowance=allowance)

    async def die() -> None:
        answer = await dying.ask()
        dying.source.say("x" * 400)
        async with asyncio.timeout(5):
            await until(lambda: answer.id in dying.storage.memory.chunks)
        dying.storage.memory.hand_over("dead", answer.id)

        await other.relay.open()

        with pytest.raises(TokenBudgetSpent):
            await other.relay.ask(AskRequest(user=USER, content="q"))

    io_loop.run_sync(die)
