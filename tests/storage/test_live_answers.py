"""What the contract promises of answers as they grow and end, of both stores."""

import asyncio

import pytest

from model.blocks import (
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
)
from model.growth import Chunk, Piece
from model.messages import Attempt, Failure, Status, Timing, now
from model.usage import Usage
from storage.contract import Storage
from tests.storage.samples import (
    TEXT,
    begun,
    blocks_of_every_kind,
    chunks_of_every_kind,
    ending,
    text_chunks,
)


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
