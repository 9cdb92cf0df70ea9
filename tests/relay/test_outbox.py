"""What an outbox has for an ending is stored with it, in one step, whoever ends the answer."""

import asyncio

import pytest
from tornado.ioloop import IOLoop

from model.messages import Ending, Status
from relay.ask_request import AskRequest
from storage.errors import StorageError, TooLarge
from storage.values import WebhookDelivery
from tests.relay.relays import USER, RelayProcess, Starting
from tests.steps import until


class NotingOutbox:
    """Has one delivery for each ending, with its status as the event."""

    def __init__(self) -> None:
        self.woken = 0

    def deliveries(self, answer_id: str, ending: Ending) -> tuple[WebhookDelivery, ...]:
        return (
            WebhookDelivery(
                webhook="h", answer_id=answer_id, event=ending.status, ended_at=ending.ended_at
            ),
        )

    def wake(self) -> None:
        self.woken += 1


@pytest.fixture
def outbox() -> NotingOutbox:
    return NotingOutbox()


@pytest.fixture
def process(start_relay: Starting, outbox: NotingOutbox) -> RelayProcess:
    return start_relay(outbox=outbox)


def stored(process: RelayProcess) -> list[tuple[str, str]]:
    return [(each.answer_id, each.event) for each in process.storage.memory.deliveries]


@pytest.mark.gen_test
async def test_an_ending_has_its_delivery(process: RelayProcess, outbox: NotingOutbox) -> None:
    answer = await process.answered()

    assert [(answer.id, "complete")] == stored(process)
    assert 1 == outbox.woken
    assert 1 == process.store.calls.count("end_answer")


@pytest.mark.gen_test
async def test_an_answer_that_is_not_stored_has_none(
    process: RelayProcess, outbox: NotingOutbox
) -> None:
    answer, _ = await process.relay.ask(AskRequest(user=USER, content="q", store=False))
    with process.relay.reader(answer):
        await process.source.asked.wait()
        process.source.end()
        await process.relay.idle()

    assert ([], 0) == (stored(process), outbox.woken)


@pytest.mark.gen_test
async def test_an_ending_that_is_written_late_has_the_event_of_what_is_stored(
    process: RelayProcess,
) -> None:
    answer = await process.ask()
    process.store.fail("end_answer", error=TooLarge("too large"), times=1)

    process.source.end()
    await process.relay.idle()

    assert [(answer.id, "failed")] == stored(process)
    assert Status.FAILED is process.stored(answer).status


def test_an_ending_that_outlasts_the_lease_is_told_as_interrupted(
    start_relay: Starting, outbox: NotingOutbox, io_loop: IOLoop
) -> None:
    process = start_relay(outbox=outbox, lease_seconds=0.2)

    async def outlast() -> None:
        answer = await process.ask()
        process.store.fail("end_answer", error=StorageError("away"))
        process.source.end()
        await process.relay.idle()
        assert [] == stored(process)

        process.store.heal()

        async with asyncio.timeout(10):
            await until(lambda: bool(process.storage.memory.deliveries))
        assert [(answer.id, "interrupted")] == stored(process)

    io_loop.run_sync(outlast)


def test_an_answer_of_a_dead_process_is_told_by_the_one_that_ends_it(
    start_relay: Starting, outbox: NotingOutbox, io_loop: IOLoop
) -> None:
    dying, other = start_relay(), start_relay(outbox=outbox)

    async def die() -> None:
        answer = await dying.ask()
        dying.storage.memory.hand_over("dead", answer.id)

        await other.relay.open()

        assert [(answer.id, "interrupted")] == stored(other)
        assert 1 == outbox.woken

    io_loop.run_sync(die)
