"""What the contract promises of pages: nothing is lost, and each is bounded, of both stores."""

import pytest

from model.blocks import (
    ImageBlock,
    TextBlock,
)
from model.messages import Message
from storage.contract import Storage
from storage.pages import PAGE_CHARS
from storage.values import Page
from tests.storage.samples import (
    ask,
    conversation,
    ending,
)


@pytest.mark.gen_test
async def test_pages_of_messages_lead_from_the_newest_to_the_first(storage: Storage) -> None:
    of = conversation()
    await storage.create_conversation(of)
    for _ in range(3):
        answer = await ask(storage, of)
        await storage.end_answer(answer.id, storage.process, ending())

    newest = await storage.messages("alice", of.id, limit=4, before=None)
    await ask(storage, of)  # while somebody turns the pages
    older = await storage.messages("alice", of.id, limit=4, before=newest.next)

    assert [2, 3, 4, 5] == [message.ordinal for message in newest.data]
    assert [0, 1] == [message.ordinal for message in older.data]
    assert older.next is None


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_page_is_bounded_by_its_characters_and_none_is_lost(storage: Storage) -> None:
    of = conversation()
    await storage.create_conversation(of)
    parent_id = None
    for length in (PAGE_CHARS // 2, PAGE_CHARS // 2, PAGE_CHARS + 1, 1):
        answer = await ask(storage, of, parent_id=parent_id)
        parent_id = answer.id
        await storage.end_answer(answer.id, storage.process, ending(TextBlock("x" * length)))

    listed = [await storage.messages("alice", of.id, limit=200, before=None)]
    while (before := listed[-1].next) is not None:
        listed.append(await storage.messages("alice", of.id, limit=200, before=before))
    branch = [await storage.branch("alice", of.id, limit=20, last=None)]
    while (last := branch[-1].next) is not None:
        branch.append(await storage.branch("alice", of.id, limit=20, last=last))

    for pages in (listed, branch):
        lengths = [[message.position for message in page.data] for page in pages]
        assert all(len(page) == 1 or sum(page) <= PAGE_CHARS for page in lengths)
        ordinals = [message.ordinal for page in pages[::-1] for message in page.data]
        assert list(range(8)) == ordinals


@pytest.mark.gen_test
async def test_of_a_branch_no_more_is_read_than_there_is_room_for(storage: Storage) -> None:
    of = conversation()
    await storage.create_conversation(of)
    answers: list[Message] = []
    for blocks in ((TextBlock("x" * 100),), (ImageBlock(url="data:" + "x" * 500),), ()):
        answers.append(await ask(storage, of, parent_id=answers[-1].id if answers else None))
        await storage.end_answer(answers[-1].id, storage.process, ending(*blocks))
    question = len("What is a headrace?")

    async def read(room: int) -> list[int]:
        page = await storage.branch("alice", of.id, limit=20, last=None, max_chars=room)
        if page.data[0].ordinal:
            older = await storage.branch("alice", of.id, limit=1, last=page.next)
            assert older.data[0].ordinal == page.data[0].ordinal - 1
        return [message.ordinal for message in page.data]

    assert [5] == await read(0)
    assert [4, 5] == await read(500)  # a picture takes what its address does
    assert [2, 3, 4, 5] == await read(600)
    assert [0, 1, 2, 3, 4, 5] == await read(620 + 3 * question)


@pytest.mark.gen_test
async def test_a_page_of_conversations_is_bounded_by_their_system_prompts(storage: Storage) -> None:
    for length in (PAGE_CHARS // 2 + 1, PAGE_CHARS // 2, 0, PAGE_CHARS + 1):
        await storage.create_conversation(conversation(system="x" * length))
    pages = [await storage.conversations("alice", limit=200, after=None)]
    while (after := pages[-1].next) is not None:
        pages.append(await storage.conversations("alice", limit=200, after=after))
    lengths = [[len(each.system or "") for each in page.data] for page in pages]
    assert all(len(page) == 1 or sum(page) <= PAGE_CHARS for page in lengths)
    assert 4 == sum(map(len, lengths))


@pytest.mark.gen_test
async def test_a_conversation_without_messages_has_an_empty_page(storage: Storage) -> None:
    of = conversation()
    await storage.create_conversation(of)
    assert await storage.messages("alice", of.id, limit=1, before=None) == Page((), None)
    assert await storage.live_answer("alice", of.id) is None
