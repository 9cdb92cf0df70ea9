"""The way of a question: what it is refused for, in which order it is stored and sent."""

import asyncio

import pytest
from tornado.ioloop import IOLoop

from model.blocks import ImageBlock
from model.messages import Role, Status
from model.prompt import text_turn
from relay.ask_request import AskRequest
from relay.errors import (
    ModelNotAllowed,
    Overloaded,
    QuestionTooLong,
    RelayError,
    ShuttingDown,
    StorageQuotaExceeded,
    TooManyAnswers,
    UnknownModel,
    UnknownParent,
    UnsupportedContent,
    Upgrading,
)
from storage.errors import Busy, NotFound, StorageError
from tests.relay.relays import LIMITS, USER, RelayProcess, Starting
from tests.steps import until


@pytest.mark.gen_test
async def test_the_question_is_stored_before_it_leaves_and_connecting_does_not_wait_for_that(
    process: RelayProcess,
) -> None:
    gate = process.store.hold("ask")
    asking = asyncio.create_task(process.relay.ask(AskRequest(user=USER, content="q")))
    await gate.reached.wait()
    await process.source.connected.wait()
    has_left = process.source.asked.is_set()

    gate.open.set()
    answer, is_new = await asking
    await process.source.asked.wait()

    assert (False, True) == (has_left, is_new)
    assert Status.LIVE is process.stored(answer).status


@pytest.mark.parametrize(
    ("request_fields", "error"),
    [
        ({"content": "q" * (LIMITS.max_question_chars + 1)}, QuestionTooLong),
        ({"model": "nobody/m"}, UnknownModel),
        ({"allowed": ("other/*",), "model": "scripted/m"}, ModelNotAllowed),
        ({"conversation_id": "none"}, NotFound),
        ({"parts": (ImageBlock(url="x"),)}, Upgrading),
    ],
)
@pytest.mark.gen_test
async def test_what_is_refused_is_neither_stored_nor_sent_and_leaves_its_place(
    process: RelayProcess, request_fields: dict[str, object], error: type[Exception]
) -> None:
    process.storage.memory.unreadable = frozenset({"image"})
    request = AskRequest(**{"user": USER, "content": "q", **request_fields})  # type: ignore[arg-type]

    for _ in range(LIMITS.allowance.answers + 1):
        with pytest.raises(error):
            await process.relay.ask(request)

    assert "ask" not in process.store.calls
    assert not process.source.connected.is_set()
    assert 0 == len(process.relay.live_answers)


@pytest.mark.gen_test
async def test_content_that_the_model_does_not_take_is_refused(process: RelayProcess) -> None:
    process.source.taken = frozenset()
    request = AskRequest(user=USER, content="q", parts=(ImageBlock(url="x"),))

    with pytest.raises(UnsupportedContent, match="asked with the address of an image"):
        await process.relay.ask(request)

    assert "ask" not in process.store.calls


@pytest.mark.parametrize(
    ("allowance", "error"),
    [({"answers": 1}, Overloaded), ({"answers_per_user": 1}, TooManyAnswers)],
)
def test_one_answer_too_many_is_refused_until_another_has_ended(
    start_relay: Starting,
    io_loop: IOLoop,
    allowance: dict[str, int],
    error: type[RelayError],
) -> None:
    process = start_relay(allowance=allowance)

    async def ask_twice() -> None:
        await process.ask()
        with pytest.raises(error):
            await process.relay.ask(AskRequest(user=USER, content="q"))
        process.source.end()
        await process.relay.idle()

        await process.ask()

    io_loop.run_sync(ask_twice)


def test_who_keeps_as_much_as_they_may_is_refused_before_anything_is_stored(
    start_relay: Starting, io_loop: IOLoop
) -> None:
    process = start_relay(allowance={"stored_bytes": 1000})
    process.storage.memory.stored_bytes = 1000

    async def ask() -> None:
        with pytest.raises(StorageQuotaExceeded):
            await process.relay.ask(AskRequest(user=USER, content="q"))

    io_loop.run_sync(ask)
    assert "ask" not in process.store.calls
    assert not process.source.connected.is_set()


@pytest.mark.gen_test
async def test_a_relay_that_is_on_its_way_out_takes_no_question(process: RelayProcess) -> None:
    process.relay.refuse_questions()

    with pytest.raises(ShuttingDown):
        await process.relay.ask(AskRequest(user=USER, content="q"))

    assert "ask" not in process.store.calls


@pytest.mark.gen_test
async def test_a_conversation_with_a_live_answer_is_busy(process: RelayProcess) -> None:
    first = await process.ask()

    with pytest.raises(Busy) as busy:
        await process.relay.ask(
            AskRequest(
                user=USER, content="q", conversation_id=first.conversation_id, parent_id=None
            )
        )

    assert first.id == busy.value.answer_id
    assert 1 == len(process.source.prompts)


@pytest.mark.gen_test
async def test_the_live_answer_of_a_dead_process_keeps_no_question_out(
    process: RelayProcess,
) -> None:
    first = await process.ask()
    process.storage.memory.hand_over("dead", first.id)

    await process.ask(conversation_id=first.conversation_id, parent_id=None)

    assert Status.INTERRUPTED is process.stored(first).status


@pytest.mark.gen_test
async def test_a_question_goes_on_from_the_newest_answer_or_from_the_one_that_it_names(
    process: RelayProcess,
) -> None:
    first = await process.answered("one")
    second = await process.answered("two", conversation_id=first.conversation_id)

    await process.answered("three", conversation_id=first.conversation_id, parent_id=first.id)

    branch = (text_turn(Role.USER, "one"), text_turn(Role.ASSISTANT, "hello"))
    assert (*branch, text_turn(Role.USER, "two")) == process.source.prompts[1].turns
    assert (*branch, text_turn(Role.USER, "three")) == process.source.prompts[2].turns
    assert second.id != first.id


@pytest.mark.gen_test
async def test_a_parent_that_is_no_answer_of_the_conversation_is_refused(
    process: RelayProcess,
) -> None:
    first = await process.answered()

    for parent_id in ("none", first.question_id):
        with pytest.raises(UnknownParent):
            await process.relay.ask(
                AskRequest(
                    user=USER,
                    content="q",
                    conversation_id=first.conversation_id,
                    parent_id=parent_id,
                )
            )


@pytest.mark.gen_test
async def test_a_regenerated_answer_stands_beside_the_first_and_is_asked_the_same(
    process: RelayProcess,
) -> None:
    first = await process.answered("q")

    request = await process.relay.regenerate_request(USER, first.id)
    second, _ = await process.relay.ask(request)
    await until(lambda: len(process.source.prompts) == 2)

    assert (first.question_id, first.model) == (second.question_id, second.model)
    assert process.source.prompts[0] == process.source.prompts[1]


@pytest.mark.gen_test
async def test_a_question_that_cannot_be_stored_is_never_sent(process: RelayProcess) -> None:
    process.store.fail("ask")

    with pytest.raises(StorageError):
        await process.relay.ask(AskRequest(user=USER, content="q"))

    assert not process.source.asked.is_set()
    assert 0 == len(process.relay.live_answers)


@pytest.mark.gen_test
async def test_a_question_that_was_stored_although_the_store_failed_leaves_no_answer_live(
    process: RelayProcess,
) -> None:
    process.store.fail("ask", kept=True)

    with pytest.raises(StorageError):
        await process.relay.ask(AskRequest(user=USER, content="q"))

    (answer,) = (m for m in process.storage.memory.messages.values() if m.role == Role.ASSISTANT)
    async with asyncio.timeout(3):
        await until(lambda: process.storage.memory.messages[answer.id].status is Status.FAILED)
    assert not process.source.asked.is_set()
