"""Deliveries to webhooks: stored with endings, claimed by one process, kept until finished."""

import asyncio
import secrets
from datetime import timedelta

import pytest

from model.blocks import TextBlock
from model.messages import now
from storage.contract import Storage
from storage.errors import Outdated
from storage.values import WebhookDelivery
from tests.storage.conftest import Place
from tests.storage.migrating import migrate
from tests.storage.raw import leave_first_stage
from tests.storage.samples import begun, clear, delivery, ending

HOOK = "a" * 32
OTHER = "b" * 32


async def ended(storage: Storage, *webhooks: str) -> WebhookDelivery:
    """An answer that ended, with deliveries; the first of them."""
    answer = await begun(storage)
    deliveries = [delivery(answer, webhook) for webhook in webhooks or (HOOK,)]
    assert await storage.end_answer(answer.id, storage.process, ending(), deliveries)
    return deliveries[0]


async def claimed(
    storage: Storage, webhook: str = HOOK, *, limit: int = 10, seconds: float = 60
) -> list[WebhookDelivery]:
    return await storage.claim_deliveries(webhook, limit=limit, seconds=seconds)


@pytest.mark.gen_test
async def test_a_delivery_is_stored_with_the_ending_and_as_it_was(storage: Storage) -> None:
    stored = await ended(storage, HOOK, OTHER)

    (first,) = await claimed(storage)
    (other,) = await claimed(storage, OTHER)

    assert (stored.answer_id, stored.event, stored.ended_at, 1, HOOK) == (
        *(first.answer_id, first.event, first.ended_at, first.tries),
        first.webhook,
    )
    assert (OTHER, first.answer_id) == (other.webhook, other.answer_id)


@pytest.mark.gen_test
async def test_an_ending_that_is_not_written_stores_no_delivery(storage: Storage) -> None:
    answer = await begun(storage)

    assert not await storage.end_answer(answer.id, "another", ending(), [delivery(answer)])

    assert 0 == await storage.waiting_deliveries(HOOK)
    assert "live" == (await storage.message("alice", answer.id)).status


@pytest.mark.gen_test
async def test_an_ending_that_is_written_again_stores_no_second_delivery(storage: Storage) -> None:
    answer = await begun(storage)
    end = ending(TextBlock("yes"))
    deliveries = [delivery(answer)]

    for _ in range(2):
        assert await storage.end_answer(answer.id, storage.process, end, deliveries)
    (first,) = await claimed(storage)
    await storage.finish_delivery(first)
    assert await storage.end_answer(answer.id, storage.process, end, deliveries)

    assert 0 == await storage.waiting_deliveries(HOOK)


@pytest.mark.gen_test
async def test_endings_that_come_together_have_their_deliveries(storage: Storage) -> None:
    answers = [await begun(storage) for _ in range(20)]
    lost = await begun(storage)

    outcomes = await asyncio.gather(
        *(
            storage.end_answer(each.id, storage.process, ending(), [delivery(each)])
            for each in answers
        ),
        storage.end_answer(lost.id, "another", ending(), [delivery(lost)]),
    )

    assert [*[True] * 20, False] == outcomes
    found = {each.answer_id for each in await claimed(storage, limit=50)}
    assert {each.id for each in answers} == found


@pytest.mark.gen_test
async def test_a_claimed_delivery_is_nobody_elses_until_its_claim_is_over(
    storage: Storage,
) -> None:
    stored = await ended(storage)

    await claimed(storage, seconds=0.05)
    async with asyncio.timeout(5):
        while not (again := await claimed(storage)):  # noqa: ASYNC110 - a claim tells nobody
            await asyncio.sleep(0.01)

    assert [(stored.answer_id, 2)] == [(each.answer_id, each.tries) for each in again]
    assert [] == await claimed(storage)


@pytest.mark.gen_test
async def test_what_has_been_due_for_longest_is_claimed_first(storage: Storage) -> None:
    order = (3, 0, 5, 1, 4, 2)
    for _ in order:
        await ended(storage)
    stored = await claimed(storage)
    for seconds, place in enumerate(order, -10):
        await storage.retry_delivery(stored[place], seconds=seconds)

    (first,) = await claimed(storage, limit=1)
    others = await claimed(storage)

    expected = [stored[place].answer_id for place in order]
    assert expected == [each.answer_id for each in (first, *others)]


@pytest.mark.gen_test
async def test_claims_at_the_same_time_share_the_deliveries(storage: Storage) -> None:
    stored = [(await ended(storage)).answer_id for _ in range(12)]

    taken = await asyncio.gather(*(claimed(storage, limit=12) for _ in range(4)))

    assert sorted(stored) == sorted(each.answer_id for some in taken for each in some)


@pytest.mark.gen_test
async def test_no_more_are_claimed_than_asked_for_and_the_oldest_first(storage: Storage) -> None:
    stored = []
    for _ in range(3):
        stored.append((await ended(storage)).answer_id)
        await asyncio.sleep(0.002)  # the stores' clocks have milliseconds

    first = await claimed(storage, limit=2)
    rest = await claimed(storage, limit=2)

    assert stored == [each.answer_id for each in (*first, *rest)]


@pytest.mark.gen_test
async def test_a_retried_delivery_is_due_when_it_was_said(storage: Storage) -> None:
    await ended(storage)
    (first,) = await claimed(storage)

    await storage.retry_delivery(first, seconds=60)
    assert [] == await claimed(storage)
    await storage.retry_delivery(first, seconds=0)

    (second,) = await claimed(storage)
    assert 2 == second.tries


@pytest.mark.gen_test
async def test_who_lost_the_claim_does_not_postpone_the_delivery(storage: Storage) -> None:
    await ended(storage)
    (late,) = await claimed(storage, seconds=0)
    (second,) = await claimed(storage, seconds=0)

    await storage.retry_delivery(late, seconds=60)

    (third,) = await claimed(storage)
    assert (1, 2, 3) == (late.tries, second.tries, third.tries)


@pytest.mark.gen_test
async def test_a_finished_delivery_is_gone_and_the_others_stay(storage: Storage) -> None:
    await ended(storage, HOOK, OTHER)
    (first,) = await claimed(storage)
    assert (1, 1) == (
        await storage.waiting_deliveries(HOOK),
        await storage.waiting_deliveries(OTHER),
    )

    for _ in range(2):
        await storage.finish_delivery(first)

    assert (0, 1) == (
        await storage.waiting_deliveries(HOOK),
        await storage.waiting_deliveries(OTHER),
    )


@pytest.mark.gen_test
async def test_no_more_are_counted_than_tell_something(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sqlite", "mongo"):
        monkeypatch.setattr(f"storage.{module}.outbox.MOST_COUNTED_DELIVERIES", 2)

    for _ in range(3):
        await ended(storage)

    assert 2 == await storage.waiting_deliveries(HOOK)


@pytest.mark.gen_test
async def test_a_delivery_outlives_its_conversation(storage: Storage) -> None:
    answer = await begun(storage)
    assert await storage.end_answer(answer.id, storage.process, ending(), [delivery(answer)])

    await storage.delete_conversation("alice", answer.conversation_id)
    assert await clear(storage)

    assert [answer.id] == [each.answer_id for each in await claimed(storage)]


@pytest.mark.gen_test
async def test_old_deliveries_to_unknown_webhooks_are_dropped(storage: Storage) -> None:
    await ended(storage, HOOK, OTHER)

    assert 0 == await storage.drop_deliveries([HOOK], now() - timedelta(days=1))
    assert 0 == await storage.drop_deliveries([HOOK, OTHER], now() + timedelta(days=1))
    assert 1 == await storage.drop_deliveries([HOOK], now() + timedelta(days=1))

    assert (1, 0) == (
        await storage.waiting_deliveries(HOOK),
        await storage.waiting_deliveries(OTHER),
    )


@pytest.mark.gen_test
async def test_deliveries_are_there_after_a_restart(place: Place) -> None:
    before = await place.open()
    stored = await ended(before)
    await before.close()

    after = await place.open()

    assert [stored.answer_id] == [each.answer_id for each in await claimed(after)]


@pytest.mark.gen_test
async def test_a_store_of_an_earlier_version_has_no_place_for_them_until_it_is_migrated(
    place: Place,
) -> None:
    leave_first_stage(place.url)
    storage = await place.open(secrets.token_hex(16))
    if place.url.startswith("mongodb"):  # which makes what is missing
        assert 0 == await storage.waiting_deliveries(HOOK)
        return
    answer = await begun(storage)
    with pytest.raises(Outdated, match=r"`server\.py migrate`"):
        await storage.waiting_deliveries(HOOK)
    with pytest.raises(Outdated):
        await storage.end_answer(answer.id, storage.process, ending(), [delivery(answer)])
    assert await storage.end_answer(answer.id, storage.process, ending())
    await storage.close()

    await migrate(place.url)

    assert 0 == await (await place.open()).waiting_deliveries(HOOK)
