"""What `storage/contract.py` promises, of both stores."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec
import pytest

from model.blocks import (
    LATER_KINDS,
    ImageBlock,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.growth import Chunk, Piece
from model.messages import Attempt, Conversation, Failure, Message, Status, Timing, now
from model.usage import Usage
from storage.contract import Storage
from storage.errors import Busy, InvalidCursor, NotFound
from storage.pages import PAGE_CHARS
from storage.values import Changes, Order, Page, PeerRequests
from tests.storage.samples import (
    TEXT,
    ask,
    begun,
    blocks_of_every_kind,
    chunks_of_every_kind,
    conversation,
    ending,
    exchange,
    text_chunks,
)

# Conversations


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


# Asking


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


# Growing


@pytest.mark.gen_test
async def test_a_live_answer_comes_with_what_was_checkpointed(storage: Storage) -> None:
    answer = await begun(storage)
    chunks = [
        Chunk(answer.id, 0, (Piece(0, "reasoning", "Hm"), Piece(1, "text", "水"))),
        Chunk(answer.id, 3, (Piece(1, "text", TEXT),)),
        Chunk(answer.id, 3 + len(TEXT), (Piece(2, "tool_call", '{"a"', "call-1", "look"),)),
        Chunk(answer.id, 8 + len(TEXT), (Piece(2, "tool_call", ": 1}"),)),
    ]
    for chunk in chunks:
        await storage.append_chunks([chunk])

    kept = await storage.message("alice", answer.id)

    assert kept.blocks == (
        ReasoningBlock("Hm"),
        TextBlock("水" + TEXT),
        ToolCallBlock("call-1", "look", '{"a": 1}'),
    )
    assert kept.position == 12 + len(TEXT)
    page = await storage.messages("alice", answer.conversation_id, limit=1, before=None)
    assert page.data == (kept,)


@pytest.mark.gen_test
async def test_growth_without_text_is_kept_in_its_place(storage: Storage) -> None:
    answer = await begun(storage)
    for chunk in chunks_of_every_kind(answer.id) * 2:  # and once more, as retries
        await storage.append_chunks([chunk])

    kept = await storage.message("alice", answer.id)

    assert kept.blocks == blocks_of_every_kind()
    assert 11 == kept.position
    page = await storage.messages("alice", answer.conversation_id, limit=1, before=None)
    assert page.data == (kept,)


@pytest.mark.gen_test
async def test_chunks_of_many_answers_are_kept_at_once(storage: Storage) -> None:
    answers = [await begun(storage) for _ in range(5)]
    await storage.append_chunks([])
    await storage.append_chunks([text_chunks(answer.id, answer.id)[0] for answer in answers])
    for answer in answers:
        assert (await storage.message("alice", answer.id)).blocks == (TextBlock(answer.id),)


@pytest.mark.gen_test
async def test_a_chunk_written_again_is_success_and_keeps_no_others_out(storage: Storage) -> None:
    answer = await begun(storage)
    chunks = text_chunks(answer.id, "a", "b", "c", "d")
    await storage.append_chunks([chunks[0], chunks[2]])
    await storage.append_chunks(chunks)
    await storage.append_chunks(chunks)
    assert (await storage.message("alice", answer.id)).blocks == (TextBlock("abcd"),)


@pytest.mark.gen_test
async def test_behind_a_gap_nothing_is_told_until_it_is_filled(storage: Storage) -> None:
    answer = await begun(storage)
    a, b, c, d = text_chunks(answer.id, "a", "b", "c", "d")
    for arriving, told in (([d], ""), ([b], ""), ([a], "ab"), ([c], "abcd")):
        await storage.append_chunks(arriving)
        blocks = (await storage.message("alice", answer.id)).blocks
        assert "".join(block.text for block in blocks if isinstance(block, TextBlock)) == told


# Ending


@pytest.mark.gen_test
async def test_an_ending_is_kept_whole(storage: Storage) -> None:
    for status in Status:
        if status is Status.LIVE:
            continue
        answer = await begun(storage)
        await storage.append_chunks(text_chunks(answer.id, "so far"))
        end = ending(
            ReasoningBlock(TEXT),
            ToolCallBlock("", "", "not JSON {"),
            TextBlock(""),
            *blocks_of_every_kind(),
            status=status,
            finish_reason="stop",
            usage=Usage(3, 4, cached_tokens=2, reasoning_tokens=1, running=True),
            timing=Timing(first_token_ms=412, reasoning_ms=None, total_ms=2953),
            error=Failure("idle_timeout", "The provider fell silent.", True, 1.5),
            attempts=(
                Attempt(target="demo/a", started_at=now(), ms=5, code="rate_limited"),
                Attempt(
                    target="demo/b", started_at=now(), ms=6, http_status=200, usage=Usage(3, 4)
                ),
            ),
        )

        for _ in range(2):  # a retry, too
            assert await storage.end_answer(answer.id, storage.process, end)

        kept = await storage.message("alice", answer.id)
        assert kept.has(end)
        assert kept.timing == end.timing
        assert kept.parent_id == answer.parent_id
        page = await storage.messages("alice", answer.conversation_id, limit=1, before=None)
        assert page.data == (kept,)
        assert await storage.live_answer("alice", answer.conversation_id) is None


@pytest.mark.gen_test
async def test_an_answer_ends_once(storage: Storage) -> None:
    answer = await begun(storage)
    mine = ending(TextBlock("whole"))
    assert await storage.end_answer(answer.id, storage.process, mine)
    assert await storage.end_answer(answer.id, storage.process, mine)  # a retry

    for owner, other in (
        (storage.process, ending(TextBlock("whole"), status=Status.INTERRUPTED)),
        (storage.process, ending(TextBlock("part"))),
        ("another process", mine),
    ):
        assert not await storage.end_answer(answer.id, owner, other)
    assert (await storage.message("alice", answer.id)).has(mine)


@pytest.mark.gen_test
async def test_of_racing_endings_one_is_kept(storage: Storage) -> None:
    answer = await begun(storage)
    ends = [ending(TextBlock(str(n))) for n in range(20)]
    kept = await asyncio.gather(
        *(storage.end_answer(answer.id, storage.process, end) for end in ends)
    )
    assert 1 == sum(kept)
    assert (await storage.message("alice", answer.id)).has(ends[kept.index(True)])


@pytest.mark.gen_test
async def test_only_the_owner_can_end_an_answer(storage: Storage) -> None:
    answer = await begun(storage, owner="another process")
    assert not await storage.end_answer(answer.id, storage.process, ending())
    assert await storage.end_answer(answer.id, "another process", ending())
    assert not await storage.end_answer("no such answer", storage.process, ending())


@pytest.mark.slow
@pytest.mark.gen_test
async def test_growth_that_comes_behind_the_ending_changes_nothing(storage: Storage) -> None:
    answer = await begun(storage)
    end = ending(TextBlock("abc"))
    await storage.end_answer(answer.id, storage.process, end)
    await storage.append_chunks(text_chunks(answer.id, "abc", "d"))
    assert (await storage.message("alice", answer.id)).has(end)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_the_longest_answer_is_kept(storage: Storage) -> None:
    answer = await begun(storage)
    text = "🚀" * 1_000_000  # relay.max_answer_chars, at four bytes each
    await storage.append_chunks(text_chunks(answer.id, text))
    assert (await storage.message("alice", answer.id)).blocks == (TextBlock(text),)
    assert await storage.end_answer(answer.id, storage.process, ending(TextBlock(text)))
    assert (await storage.message("alice", answer.id)).blocks == (TextBlock(text),)


# Blocks of every kind


@pytest.mark.gen_test
async def test_a_question_of_blocks_of_every_kind_comes_back_as_it_was_kept(
    storage: Storage,
) -> None:
    new = conversation()
    question, answer = exchange(new, owner=storage.process)
    result = ToolResultBlock("call-1", TEXT, is_error=True)
    question = msgspec.structs.replace(question, blocks=(*blocks_of_every_kind(), result))
    await storage.ask(question, answer, title="t", new=new)

    listed = await storage.messages("alice", new.id, limit=9, before=None)
    branch = await storage.branch("alice", new.id, limit=9, last=None)

    for kept in (listed.data[0], branch.data[0], await storage.message("alice", question.id)):
        assert question.blocks == kept.blocks


# Users


@pytest.mark.gen_test
async def test_how_an_answer_stands_can_be_asked_without_its_text(storage: Storage) -> None:
    answer = await begun(storage)
    assert Status.LIVE == await storage.answer_status("alice", answer.id)
    await storage.end_answer(answer.id, storage.process, ending(TextBlock("x")))
    assert Status.COMPLETE == await storage.answer_status("alice", answer.id)
    with pytest.raises(NotFound):
        await storage.answer_status("alice", answer.parent_id or "")
    await storage.delete_conversation("alice", answer.conversation_id)
    with pytest.raises(NotFound):
        await storage.answer_status("alice", answer.id)


@pytest.mark.slow
@pytest.mark.gen_test
async def test_what_is_another_users_is_not_found(storage: Storage) -> None:
    answer = await begun(storage, "alice")
    of, message_id = answer.conversation_id, answer.id
    kept = await storage.conversation("alice", of)
    mine = conversation("bob")
    await storage.create_conversation(mine)
    theirs = conversation("bob", id=of)

    lookups: list[Callable[[], Awaitable[object]]] = [
        lambda: storage.conversation("bob", of),
        lambda: storage.answer_status("bob", message_id),
        lambda: storage.change_conversation("bob", of, Changes(title="mine"), now()),
        lambda: storage.delete_conversation("bob", of),
        lambda: storage.messages("bob", of, limit=9, before=None),
        lambda: storage.message("bob", message_id),
        lambda: storage.message("bob", answer.parent_id or ""),
        lambda: storage.live_answer("bob", of),
        lambda: ask(storage, theirs),
        lambda: storage.ask(*exchange(theirs, owner="p"), title="mine", new=theirs),
    ]
    for lookup in lookups:
        with pytest.raises(NotFound):
            await lookup()

    await storage.create_conversation(theirs)  # nor can it be taken over
    with pytest.raises(NotFound):
        await storage.conversation("bob", of)
    assert (await storage.conversations("bob", limit=9, after=None)).data == (mine,)
    assert await storage.conversation("alice", of) == kept
    assert 2 == len((await storage.messages("alice", of, limit=9, before=None)).data)


@pytest.mark.slow
@pytest.mark.parametrize("strange", ["", "-", ".", "$gt", "a-b", "\0", "%", "é" * 5000])
@pytest.mark.gen_test
async def test_ids_that_nobody_made_are_not_found(storage: Storage, strange: str) -> None:
    answer = await begun(storage)
    for lookup in (
        storage.conversation("alice", strange),
        storage.message("alice", strange),
        storage.message("alice", f"{answer.conversation_id}-{strange}"),
        storage.messages("alice", strange, limit=9, before=None),
        storage.delete_conversation("alice", strange),
        storage.live_answer("alice", strange),
    ):
        with pytest.raises(NotFound):
            await lookup


# The process


@pytest.mark.gen_test
async def test_ping_returns_and_closing_twice_is_harmless(storage: Storage) -> None:
    await storage.ping()
    assert await storage.renew_lease({})
    assert await storage.unreadable(LATER_KINDS) == frozenset()
    assert await storage.peer_requests() == PeerRequests()
    assert [] == await storage.orphans()
    await storage.close()
    await storage.close()
