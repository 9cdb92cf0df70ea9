"""What the contract promises of conversations, of both stores."""

from datetime import timedelta

import msgspec
import pytest

from model.messages import Conversation, now
from storage.contract import Storage
from storage.errors import InvalidCursor, NotFound
from storage.values import Changes, Order, Page
from tests.storage.samples import (
    TEXT,
    ask,
    begun,
    conversation,
    ending,
    exchange,
    text_chunks,
)


@pytest.mark.gen_test
async def test_a_conversation_comes_back_as_it_was_kept(storage: Storage) -> None:
    kept = conversation(
        title=TEXT,
        model="demo/demo",
        system=TEXT,
        metadata={"$gt": "$ne", "a.b": ".", "": "", "\0": TEXT, TEXT: "\0", "_id": "x", "z": "z"},
    )
    await storage.create_conversation(kept)
    assert await storage.conversation("alice", kept.id) == kept


@pytest.mark.gen_test
async def test_times_are_kept_to_the_millisecond(storage: Storage) -> None:
    for millisecond in (0, 1, 499, 500, 999):
        time = now().replace(microsecond=millisecond * 1000)
        kept = conversation(created_at=time, updated_at=time)
        await storage.create_conversation(kept)
        assert (await storage.conversation("alice", kept.id)).created_at == time


@pytest.mark.gen_test
async def test_creating_a_conversation_again_changes_nothing(storage: Storage) -> None:
    kept = conversation(title="first")
    await storage.create_conversation(kept)
    await storage.change_conversation("alice", kept.id, Changes(title="second"), now())
    await storage.create_conversation(kept)
    assert "second" == (await storage.conversation("alice", kept.id)).title


@pytest.mark.gen_test
async def test_changing_a_conversation_leaves_the_rest_of_it_alone(storage: Storage) -> None:
    kept = conversation(title="old", model="a/b", system="Be brief.", metadata={"$set": "1"})
    await storage.create_conversation(kept)
    later = kept.updated_at + timedelta(seconds=1)

    changed = await storage.change_conversation(
        "alice", kept.id, Changes(title="$model", metadata={"$unset": "a.b"}), later
    )

    assert changed == await storage.conversation("alice", kept.id)
    assert ("$model", {"$unset": "a.b"}) == (changed.title, changed.metadata)
    assert ("a/b", "Be brief.") == (changed.model, changed.system)
    assert (changed.created_at, changed.updated_at) == (kept.created_at, later)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_field_of_a_conversation_can_be_taken_away(storage: Storage) -> None:
    kept = conversation(title="t", model="m", system="s", metadata={"a": "b"})
    await storage.create_conversation(kept)
    none = Changes(title=None, model=None, system=None, metadata={})
    changed = await storage.change_conversation("alice", kept.id, none, now())
    assert (changed.title, changed.model, changed.system, changed.metadata) == (None,) * 3 + ({},)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_pages_of_conversations_are_newest_first_and_hold_each_once(
    storage: Storage,
) -> None:
    time = now()
    # Many in one millisecond, so that a page ends among them.
    kept = [conversation(created_at=time - timedelta(milliseconds=n // 4)) for n in range(10)]
    for each in kept:
        await storage.create_conversation(each)
    await storage.create_conversation(conversation("bob"))

    async def page(after: str | None) -> Page[Conversation]:
        return await storage.conversations("alice", limit=3, after=after)

    pages = [await page(None)]
    newer = conversation(created_at=time + timedelta(seconds=1))
    await storage.create_conversation(newer)  # while somebody turns the pages
    while pages[-1].next is not None:
        pages.append(await page(pages[-1].next))

    assert [3, 3, 3, 1] == [len(each.data) for each in pages]
    found = [each for page in pages for each in page.data]
    assert found == sorted(kept, key=lambda each: (each.created_at, each.id), reverse=True)


@pytest.mark.gen_test
async def test_pages_by_activity_pass_over_nothing_that_did_not_move(storage: Storage) -> None:
    time = now()
    # Created in one order, used in another, many in one millisecond.
    kept = [
        conversation(
            created_at=time + timedelta(milliseconds=n),
            updated_at=time + timedelta(milliseconds=n * 7 % 12 // 4),
        )
        for n in range(12)
    ]
    for each in kept:
        await storage.create_conversation(each)
    await storage.create_conversation(conversation("bob"))
    expected = sorted(kept, key=lambda each: (each.updated_at, each.id), reverse=True)

    async def page(after: str | None) -> Page[Conversation]:
        return await storage.conversations("alice", limit=3, after=after, order=Order.UPDATED)

    pages = [await page(None)]
    asked_in = expected[7]
    later = time + timedelta(seconds=1)
    question, answer = exchange(asked_in, owner=storage.process)
    answer = msgspec.structs.replace(answer, created_at=later)
    await storage.ask(question, answer, title="t", new=None)
    changed = await storage.change_conversation("alice", expected[1].id, Changes(title="t"), later)
    while pages[-1].next is not None:
        pages.append(await page(pages[-1].next))

    found = [each.id for page in pages for each in page.data]
    assert [each.id for each in expected if each is not asked_in] == found
    first = await page(None)
    assert {asked_in.id, changed.id} == {each.id for each in first.data[:2]}
    by_creation = await storage.conversations("alice", limit=99, after=None)
    assert [each.id for each in kept[::-1]] == [each.id for each in by_creation.data]


@pytest.mark.gen_test
async def test_a_cursor_of_the_other_order_is_a_value_error(storage: Storage) -> None:
    for _ in range(2):
        await storage.create_conversation(conversation())
    for order, other in ((Order.CREATED, Order.UPDATED), (Order.UPDATED, Order.CREATED)):
        page = await storage.conversations("alice", limit=1, after=None, order=order)
        assert page.next is not None
        with pytest.raises(InvalidCursor):
            await storage.conversations("alice", limit=1, after=page.next, order=other)


@pytest.mark.gen_test
async def test_a_page_that_holds_the_last_one_is_the_last(storage: Storage) -> None:
    assert await storage.conversations("alice", limit=2, after=None) == Page((), None)
    for _ in range(2):
        await storage.create_conversation(conversation())
    assert (await storage.conversations("alice", limit=2, after=None)).next is None


# Empty, no base64, not ASCII, no number, a negative one, a time beyond all years, far too long.
@pytest.mark.slow
@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "$gt", "LTEuYWJj", "OTk5OTk5OTk5OTk5OTk5OTk5Lng=", "_" * 4000]
)
@pytest.mark.gen_test
async def test_what_is_no_cursor_is_a_value_error(storage: Storage, cursor: str) -> None:
    answer = await begun(storage)
    with pytest.raises(InvalidCursor):
        await storage.messages("alice", answer.conversation_id, limit=1, before=cursor)
    with pytest.raises(InvalidCursor):
        await storage.conversations("alice", limit=1, after=cursor)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_cursor_of_the_other_list_is_a_value_error(storage: Storage) -> None:
    of = conversation()
    await storage.create_conversation(of)
    await storage.create_conversation(conversation())
    await ask(storage, of)
    conversations = await storage.conversations("alice", limit=1, after=None)
    messages = await storage.messages("alice", of.id, limit=1, before=None)
    with pytest.raises(InvalidCursor):
        await storage.messages("alice", of.id, limit=1, before=conversations.next)
    with pytest.raises(InvalidCursor):
        await storage.conversations("alice", limit=1, after=messages.next)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_a_deleted_conversation_is_gone_with_its_messages(storage: Storage) -> None:
    answer, other = await begun(storage), await begun(storage)
    await storage.append_chunks(text_chunks(answer.id, "Hel", "lo"))

    await storage.delete_conversation("alice", answer.conversation_id)

    for lookup in (
        storage.conversation("alice", answer.conversation_id),
        storage.message("alice", answer.id),
        storage.message("alice", answer.parent_id or ""),
        storage.messages("alice", answer.conversation_id, limit=9, before=None),
        storage.live_answer("alice", answer.conversation_id),
        storage.delete_conversation("alice", answer.conversation_id),
        ask(storage, conversation(id=answer.conversation_id)),
    ):
        with pytest.raises(NotFound):
            await lookup
    assert not await storage.end_answer(answer.id, storage.process, ending())
    assert await storage.message("alice", other.id) is not None
    assert 1 == len((await storage.conversations("alice", limit=9, after=None)).data)
