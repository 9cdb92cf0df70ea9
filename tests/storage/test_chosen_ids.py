"""Conversations whose ids clients chose: begun by two at once, deleted, and begun again."""

import asyncio
import secrets

import pytest

from model.blocks import TextBlock
from model.messages import Conversation, Message
from storage.contract import Storage
from storage.errors import BeingDeleted, Busy, NotFound
from storage.mongo import deletions as mongo_deletions
from storage.sqlite import deletions as sqlite_deletions
from storage.values import Deletion
from tests.storage.conftest import Place
from tests.storage.samples import (
    clear,
    conversation,
    ending,
    exchange,
    stored_file,
    text_chunks,
    with_files,
)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is two messages, or two chunks."""
    monkeypatch.setattr(mongo_deletions, "_PURGE_BATCH", 2)
    monkeypatch.setattr(sqlite_deletions, "_PURGE_BATCH", 2)


async def begin(storage: Storage, of: Conversation, *questions: str) -> list[Message]:
    """Begin the conversation by its chosen id; returns its answers, the last of which is live."""
    answers: list[Message] = []
    for text in questions:
        if answers:
            await storage.end_answer(answers[-1].id, storage.process, ending(TextBlock(text)))
        parent_id = answers[-1].id if answers else None
        question, answer = exchange(of, owner=storage.process, text=text, parent_id=parent_id)
        new = None if answers else of
        await storage.ask(question, answer, title=None, new=new, id_is_chosen=True)
        answers.append(answer)
    return answers


async def texts(storage: Storage, of: Conversation) -> list[str]:
    """What a conversation's messages say."""
    page = await storage.messages("alice", of.id, limit=99, before=None)
    return [message.text for message in page.data]


# Two at once


@pytest.mark.gen_test
async def test_of_two_first_questions_at_two_processes_one_begins_the_conversation(
    place: Place, storage: Storage
) -> None:
    other = await place.open() if place.url.startswith("mongo") else storage
    for _ in range(10):
        of = conversation()
        outcomes = await asyncio.gather(
            begin(storage, of, "one"), begin(other, of, "other"), return_exceptions=True
        )

        [refused] = [each for each in outcomes if isinstance(each, Exception)]
        [[answer]] = [each for each in outcomes if isinstance(each, list)]
        assert isinstance(refused, Busy)
        assert answer.id == refused.answer_id
        page = await storage.messages("alice", of.id, limit=9, before=None)
        assert [0, 1] == [message.ordinal for message in page.data]
        assert answer.id == page.data[-1].id


@pytest.mark.gen_test
async def test_a_first_question_is_stored_once_however_often_it_is_tried(storage: Storage) -> None:
    of = conversation()
    question, answer = exchange(of, owner=storage.process)

    for _ in range(3):
        await storage.ask(question, answer, title=None, new=of, id_is_chosen=True)

    assert 2 == len(await texts(storage, of))


@pytest.mark.gen_test
async def test_an_id_of_another_user_cannot_be_chosen(storage: Storage) -> None:
    of = conversation()
    await begin(storage, of, "mine")

    with pytest.raises(NotFound):
        await begin(storage, conversation("bob", id=of.id), "theirs")

    assert ["mine", ""] == await texts(storage, of)


# Deleted, and begun again


@pytest.mark.gen_test
async def test_an_id_is_free_again_once_its_deletion_is_finished(
    place: Place, storage: Storage, small_batches: None
) -> None:
    of = conversation()
    answers = await begin(storage, of, "one", "two", "three")
    await storage.append_chunks(text_chunks(answers[-1].id, "a", "b", "c"))
    await storage.delete_conversation("alice", of.id)
    with pytest.raises(BeingDeleted):
        await begin(storage, of, "again")
    with pytest.raises(NotFound):
        await storage.conversation("alice", of.id)

    batches = 0
    while await storage.purge(Deletion(of.id, "alice", again=True)):
        batches += 1
    [answer] = await begin(storage, of, "again")

    assert 2 <= batches
    assert ["again", ""] == await texts(storage, of)
    await storage.append_chunks(text_chunks(answer.id, "new"))
    assert ["again", "new"] == await texts(storage, of)


@pytest.mark.gen_test
async def test_no_sweep_purges_a_new_conversation_of_a_deleted_ones_id(
    place: Place, storage: Storage, small_batches: None
) -> None:
    sweeping = await place.open() if place.url.startswith("mongo") else storage
    of = conversation()
    await begin(storage, of, "one", "two", "three")
    await storage.delete_conversation("alice", of.id)
    in_hand = await sweeping.next_deletion()
    assert in_hand is not None
    assert await sweeping.purge(in_hand)
    while await storage.purge(Deletion(of.id, "alice", again=True)):
        pass
    [answer] = await begin(storage, of, "again")
    await storage.append_chunks(text_chunks(answer.id, "new"))

    for _ in range(3):  # it had it in hand, and goes on
        assert not await sweeping.purge(in_hand)
    await clear(sweeping)

    assert ["again", "new"] == await texts(storage, of)
    assert await storage.end_answer(answer.id, storage.process, ending(TextBlock("new")))


@pytest.mark.gen_test
async def test_whatever_purges_at_the_same_time_a_new_conversation_stays_whole(
    place: Place, storage: Storage, small_batches: None
) -> None:
    """Deleted and begun again, over and over, with sweeps that never pause."""
    others = (
        [await place.open() for _ in range(2)]
        if place.url.startswith("mongo")
        else [storage, storage]
    )
    is_over = False
    of = conversation()

    async def sweep(store: Storage) -> None:
        while not is_over:
            await store.purge(Deletion(of.id, "alice"))
            if (deletion := await store.next_deletion()) is not None:
                await store.purge(deletion)

    sweeps = [asyncio.create_task(sweep(each)) for each in others]
    for turn in range(8):
        said = secrets.token_hex(4)
        while True:
            try:
                [first, last] = await begin(storage, of, said, f"{said} {turn}")
                break
            except BeingDeleted:
                await storage.purge(Deletion(of.id, "alice", again=True))
        await storage.append_chunks(text_chunks(last.id, "whole"))
        assert [said, f"{said} {turn}", f"{said} {turn}", "whole"] == await texts(storage, of)
        assert first.id != last.id
        await storage.delete_conversation("alice", of.id)
    is_over = True
    await asyncio.gather(*sweeps)


@pytest.mark.gen_test
async def test_a_file_of_a_first_question_outlives_the_purge_of_the_conversation_before(
    storage: Storage,
) -> None:
    of = conversation()
    question, answer = exchange(of, owner=storage.process)
    before = stored_file(of, b"before")
    await storage.store_file(before)
    await storage.ask(with_files(question, before), answer, title=None, new=of)
    await storage.delete_conversation("alice", of.id)
    file = stored_file(of, b"after")
    await storage.store_file(file)

    while await storage.purge(Deletion(of.id, "alice", again=True)):
        pass
    question, answer = exchange(of, owner=storage.process)
    await storage.ask(with_files(question, file), answer, title=None, new=of, id_is_chosen=True)

    assert b"after" == (await storage.file("alice", file.id)).data
    with pytest.raises(NotFound):
        await storage.file("alice", before.id)
