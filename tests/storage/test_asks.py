"""What the contract promises of asking: all or nothing, and one live answer, of both stores."""

import asyncio

import pytest

from model.blocks import (
    TextBlock,
)
from model.messages import Message, Status
from storage.contract import Storage
from storage.errors import Busy, NotFound
from tests.storage.samples import (
    TEXT,
    ask,
    begun,
    conversation,
    ending,
    exchange,
)


@pytest.mark.gen_test
async def test_a_question_and_its_live_answer_come_back_as_they_were_kept(
    storage: Storage,
) -> None:
    new = conversation(metadata={"$a": "b.c"})
    question, answer = exchange(new, owner=storage.process, text=TEXT)

    await storage.ask(question, answer, title="$title", new=new)

    page = await storage.messages("alice", new.id, limit=9, before=None)
    assert [0, 1] == [message.ordinal for message in page.data]
    kept_question, kept_answer = page.data
    assert kept_question == await storage.message("alice", question.id)
    assert kept_answer == await storage.message("alice", answer.id)
    assert (kept_question.blocks, kept_question.status) == ((TextBlock(TEXT),), Status.COMPLETE)
    assert (kept_question.created_at, kept_question.ended_at) == (question.created_at,) * 2
    assert (kept_answer.status, kept_answer.owner) == (Status.LIVE, storage.process)
    assert (kept_answer.parent_id, kept_answer.usage) == (question.id, answer.usage)
    assert (None, None) == (kept_question.timing, kept_answer.timing)
    assert await storage.live_answer("alice", new.id) == answer.id
    made = await storage.conversation("alice", new.id)
    assert (made.title, made.metadata) == ("$title", new.metadata)


@pytest.mark.gen_test
async def test_the_first_question_titles_a_conversation_that_has_no_title(
    storage: Storage,
) -> None:
    untitled, titled = conversation(), conversation(title="Mine")
    for each in (untitled, titled):
        await storage.create_conversation(each)
        answer = await ask(storage, each)
        kept = await storage.conversation("alice", each.id)
        assert kept.updated_at == answer.created_at
        assert kept.title == (each.title or "A title")
    of_nothing = conversation()
    await storage.ask(*exchange(of_nothing, owner="p"), title=None, new=of_nothing)
    assert (await storage.conversation("alice", of_nothing.id)).title is None
    untitled = conversation()
    await storage.create_conversation(untitled)
    await storage.ask(*exchange(untitled, owner="p"), title=None, new=None)
    assert (await storage.conversation("alice", untitled.id)).title is None
    with_title = conversation(title="")  # an empty one is one
    await storage.ask(*exchange(with_title, owner="p"), title="A title", new=with_title)
    assert "" == (await storage.conversation("alice", with_title.id)).title


@pytest.mark.gen_test
async def test_a_second_question_is_busy_until_the_first_is_answered(storage: Storage) -> None:
    first = await begun(storage)
    of = await storage.conversation("alice", first.conversation_id)

    with pytest.raises(Busy) as refused:
        await ask(storage, of)
    assert refused.value.answer_id == first.id

    await storage.end_answer(first.id, storage.process, ending(TextBlock("yes")))
    second = await ask(storage, of)
    page = await storage.messages("alice", of.id, limit=9, before=None)
    assert [0, 1, 2, 3] == [message.ordinal for message in page.data]
    assert page.data[-1].id == second.id


@pytest.mark.gen_test
async def test_of_fifty_racing_questions_one_is_kept_and_the_others_learn_which(
    storage: Storage,
) -> None:
    of = conversation()
    await storage.create_conversation(of)

    outcomes = await asyncio.gather(*(ask(storage, of) for _ in range(50)), return_exceptions=True)

    [winner] = [each for each in outcomes if isinstance(each, Message)]
    losers = [each for each in outcomes if isinstance(each, Busy)]
    assert 49 == len(losers)
    assert {loser.answer_id for loser in losers} == {winner.id}
    page = await storage.messages("alice", of.id, limit=99, before=None)
    assert [message.id for message in page.data] == [winner.parent_id, winner.id]


@pytest.mark.slow
@pytest.mark.parametrize("made_here", [True, False])
@pytest.mark.gen_test
async def test_fifty_retries_of_one_question_keep_it_once(
    storage: Storage, made_here: bool
) -> None:
    of = conversation()
    if not made_here:
        await storage.create_conversation(of)
    question, answer = exchange(of, owner=storage.process)

    async def retry() -> None:
        await storage.ask(question, answer, title="t", new=of if made_here else None)

    await asyncio.gather(*(retry() for _ in range(50)))

    page = await storage.messages("alice", of.id, limit=99, before=None)
    assert [message.id for message in page.data] == [question.id, answer.id]
    assert [0, 1] == [message.ordinal for message in page.data]


@pytest.mark.gen_test
async def test_asking_again_changes_nothing_whatever_came_since(storage: Storage) -> None:
    new = conversation()
    question, answer = exchange(new, owner=storage.process)

    async def retry() -> None:
        await storage.ask(question, answer, title="Another", new=new)

    await storage.ask(question, answer, title="A title", new=new)
    await storage.end_answer(answer.id, storage.process, ending(TextBlock("yes")))
    await retry()
    assert (await storage.message("alice", answer.id)).status is Status.COMPLETE
    second = await ask(storage, new)
    before = await storage.conversation("alice", new.id)
    await retry()  # not busy: it is not asked now
    assert await storage.conversation("alice", new.id) == before
    assert await storage.live_answer("alice", new.id) == second.id


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_caller_who_leaves_while_asking_may_simply_ask_again(storage: Storage) -> None:
    for pauses in range(12):
        new = conversation()
        question, answer = exchange(new, owner=storage.process)
        asking = asyncio.create_task(storage.ask(question, answer, title="t", new=new))
        for _ in range(pauses):  # however far it has come
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])

        await storage.ask(question, answer, title="t", new=new)

        page = await storage.messages("alice", new.id, limit=9, before=None)
        assert [message.id for message in page.data] == [question.id, answer.id]


@pytest.mark.gen_test
async def test_what_utf8_cannot_carry_is_a_value_error_and_nothing_is_kept(
    storage: Storage,
) -> None:
    new = conversation()
    question, answer = exchange(new, owner=storage.process, text="\ud800")
    with pytest.raises(UnicodeError):
        await storage.ask(question, answer, title="t", new=new)
    with pytest.raises(NotFound):
        await storage.conversation("alice", new.id)
    kept = await begun(storage)  # and nothing is locked
    with pytest.raises(UnicodeError):
        await storage.end_answer(kept.id, storage.process, ending(TextBlock("\udfff")))
    assert await storage.live_answer("alice", kept.conversation_id) == kept.id
