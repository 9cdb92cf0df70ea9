"""An SDK's own retries: one question, one call, one answer, stored or not."""

import asyncio
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from model.messages import Status
from providers.errors import RateLimited
from relay import recent_asks
from relay.ask_request import AskRequest, AskResult
from relay.errors import KeyReused
from storage.errors import StorageError
from tests.relay.relays import USER, RelayProcess, Starting


def request(tries: int | None, **fields: Any) -> AskRequest:
    """A request of an SDK that it has sent so many times before."""
    fields = {"identity": "sha256", "store": False, "waits": True, **fields}
    return AskRequest(user=USER, content="q", sdk_retry=tries, **fields)


async def ask(process: RelayProcess, tries: int | None, **fields: Any) -> AskResult:
    return await process.relay.ask(request(tries, **fields))


@pytest.fixture(params=[False, True], ids=["stateless", "stored"])
def store(request: pytest.FixtureRequest) -> bool:
    stored: bool = request.param
    return stored


@pytest.mark.gen_test
async def test_a_retry_gets_the_answer_of_the_try_before(
    process: RelayProcess, store: bool
) -> None:
    first = await ask(process, 0, store=store)
    second = await ask(process, 1, store=store)
    await process.source.asked.wait()
    process.source.say("hello")
    process.source.end()
    await process.relay.idle()

    third = await ask(process, 2, store=store)

    assert [True, False, False] == [each.is_new for each in (first, second, third)]
    assert {first.answer.id} == {each.answer.id for each in (first, second, third)}
    assert ["hello"] == [piece.text for piece in third.answer.beyond(0)]
    assert 1 == len(process.source.prompts)


@pytest.mark.gen_test
async def test_equal_first_tries_are_questions_of_their_own_and_so_are_their_retries(
    process: RelayProcess, store: bool
) -> None:
    firsts = [await ask(process, 0, store=store) for _ in range(3)]

    seconds = [await ask(process, 1, store=store) for _ in range(3)]
    fourth = await ask(process, 1, store=store)

    ids = {each.answer.id for each in firsts}
    assert 3 == len(ids)
    assert ids == {each.answer.id for each in seconds}
    assert (True, False) == (fourth.is_new, fourth.answer.id in ids)


@pytest.mark.gen_test
async def test_first_tries_of_the_same_moment_are_questions_of_their_own(
    process: RelayProcess, store: bool
) -> None:
    firsts = await asyncio.gather(*(ask(process, 0, store=store) for _ in range(5)))
    seconds = await asyncio.gather(*(ask(process, 1, store=store) for _ in range(5)))

    ids = {each.answer.id for each in firsts}
    assert 5 == len(ids)
    assert ids == {each.answer.id for each in seconds}


@pytest.mark.gen_test
async def test_the_try_whose_client_has_left_comes_first(process: RelayProcess) -> None:
    left, read = await ask(process, 0), await ask(process, 0)

    with process.relay.reader(read.answer):
        again = await ask(process, 1)

    assert left.answer is again.answer


@pytest.mark.gen_test
async def test_other_users_and_other_requests_get_none_of_it(process: RelayProcess) -> None:
    first = await ask(process, 0)

    others = [
        await ask(process, 1, identity="other"),
        await process.relay.ask(
            AskRequest(user="bob", content="q", sdk_retry=1, identity="sha256", store=False)
        ),
        await ask(process, None),
    ]

    assert [True] * 3 == [other.is_new for other in others]
    assert first.answer.id not in {other.answer.id for other in others}


@pytest.mark.gen_test
async def test_a_retry_of_a_question_that_failed_is_a_question(
    process: RelayProcess, store: bool
) -> None:
    process.source.error = RateLimited()
    first = await ask(process, 0, store=store)
    await process.source.asked.wait()
    process.source.end()
    await process.relay.idle()
    process.source.error = None

    again = await ask(process, 1, store=store)

    assert (True, False) == (again.is_new, first.answer.id == again.answer.id)


@pytest.mark.gen_test
async def test_a_retry_of_a_question_that_was_refused_is_a_question(process: RelayProcess) -> None:
    process.store.fail("ask", times=1)
    with pytest.raises(StorageError):
        await ask(process, 0, store=True)

    assert (await ask(process, 1, store=True)).is_new


def test_another_process_finds_a_stored_question(start_relay: Starting, io_loop: IOLoop) -> None:
    owner, other = start_relay(), start_relay()

    async def ask_both() -> None:
        await ask(owner, 0, store=True)
        newest = await ask(owner, 0, store=True)
        again = await ask(other, 1, store=True)
        assert (newest.answer.id, False) == (again.answer.id, again.is_new)

    io_loop.run_sync(ask_both)
    assert not other.source.connected.is_set()


@pytest.mark.gen_test
async def test_who_waits_and_leaves_is_waited_for_until_it_tries_again(
    start_relay: Starting, process: RelayProcess
) -> None:
    first = await ask(process, 0)
    with process.relay.reader(first.answer):
        await process.source.asked.wait()

    again = await ask(process, 1)

    assert first.answer is again.answer
    assert again.answer.ending is None


@pytest.mark.parametrize(
    "fields", [{"waits": False}, {"grace_seconds": 0.0}], ids=["stream", "says cancel"]
)
def test_leaving_cancels_what_nobody_said_would_come_again(
    start_relay: Starting, io_loop: IOLoop, fields: dict[str, Any]
) -> None:
    process = start_relay(default_grace_seconds=0.0)

    async def ask_and_leave() -> None:
        first = await ask(process, 0, **fields)
        with process.relay.reader(first.answer):
            await process.source.asked.wait()
        await process.relay.idle()
        assert first.answer.ending is not None
        assert Status.ABANDONED is first.answer.ending.status
        assert (await ask(process, 1, **fields)).is_new

    io_loop.run_sync(ask_and_leave)


KEYED = AskRequest(user=USER, content="q", idempotency_key="k", store=False)


@pytest.mark.gen_test
async def test_a_key_of_a_question_that_is_not_stored_stands_for_its_answer(
    process: RelayProcess,
) -> None:
    tries = await asyncio.gather(*(process.relay.ask(KEYED) for _ in range(5)))
    await process.source.asked.wait()
    process.source.say("hello")
    process.source.end()
    await process.relay.idle()

    again = await process.relay.ask(KEYED)

    assert {again.answer} == {each.answer for each in tries}
    assert ["hello"] == [piece.text for piece in again.answer.beyond(0)]
    assert not again.is_new
    with pytest.raises(KeyReused):
        await process.relay.ask(
            AskRequest(user=USER, content="other", idempotency_key="k", store=False)
        )
    assert {} == process.storage.memory.messages


@pytest.mark.parametrize(
    "bound",
    [
        {"RETRY_SECONDS": 0.0},
        {"_PER_USER": 0},
        {"_IN_ALL": 0},
        {"_USER_BYTES": 999},
        {"_ALL_BYTES": 999},
    ],
    ids=" ".join,
)
@pytest.mark.gen_test
async def test_what_is_remembered_is_bounded(
    process: RelayProcess, monkeypatch: pytest.MonkeyPatch, bound: dict[str, float]
) -> None:
    for name, most in bound.items():
        monkeypatch.setattr(recent_asks, name, most)
    first, _ = await process.relay.ask(KEYED)
    process.source.end()
    await process.relay.idle()

    second, is_new = await process.relay.ask(KEYED)

    assert (True, True) == (is_new, first is not second)
