"""Following answers that other processes write."""

import secrets
from typing import Any

import pytest

from model.blocks import TextBlock, ToolCallBlock
from model.growth import Chunk, Piece
from model.messages import Message
from storage.contract import Storage
from storage.mongo import queries
from storage.mongo.store import MongoStorage
from storage.values import AnswerUpdates
from tests.storage.conftest import Place
from tests.storage.samples import (
    TEXT,
    begun,
    blocks_of_every_kind,
    chunks_of_every_kind,
    ending,
    text_chunks,
)


async def followed(storage: Storage, answer_id: str) -> list[Chunk]:
    """All chunks of an answer, as who follows it from its begin gets them."""
    chunks: list[Chunk] = []
    position = 0
    while grown := (await storage.answer_updates({answer_id: position})).chunks:
        chunks += grown
        position += sum(piece.length for piece in grown[0].pieces)
    return chunks


@pytest.mark.gen_test
async def test_an_answer_is_followed_one_chunk_at_a_time(storage: Storage) -> None:
    answer, other = await begun(storage), await begun(storage)
    chunks = [
        Chunk(answer.id, 0, (Piece(0, "reasoning", "Hm"), Piece(1, "text", "水"))),
        Chunk(answer.id, 3, (Piece(1, "text", TEXT),)),
        Chunk(answer.id, 3 + len(TEXT), (Piece(2, "tool_call", '{"a"', "call-1", "look"),)),
        Chunk(answer.id, 8 + len(TEXT), (Piece(2, "tool_call", ": 1}"),)),
    ]
    assert await storage.answer_updates({answer.id: 0}) == AnswerUpdates()
    await storage.append_chunks([*chunks, *text_chunks(other.id, "not followed")])

    assert await storage.answer_updates({answer.id: 0}) == AnswerUpdates(chunks=(chunks[0],))
    assert await followed(storage, answer.id) == chunks
    assert await storage.answer_updates({}) == AnswerUpdates()


@pytest.mark.gen_test
async def test_growth_without_text_is_followed_like_any_other(storage: Storage) -> None:
    answer = await begun(storage)
    chunks = chunks_of_every_kind(answer.id)
    for chunk in chunks:
        await storage.append_chunks([chunk])

    assert chunks == await followed(storage, answer.id)
    end = ending(*blocks_of_every_kind())
    assert await storage.end_answer(answer.id, storage.process, end)
    growth = await storage.answer_updates({answer.id: 11})
    assert AnswerUpdates(ended=(await storage.message("alice", answer.id),)) == growth
    assert growth.ended[0].has(end)


@pytest.mark.gen_test
async def test_behind_a_gap_nothing_is_told_to_followers_either(storage: Storage) -> None:
    answer = await begun(storage)
    a, b, c = text_chunks(answer.id, "a", "b", "c")
    await storage.append_chunks([a, c])
    assert await followed(storage, answer.id) == [a]
    await storage.append_chunks([b])
    assert await followed(storage, answer.id) == [a, b, c]


@pytest.mark.gen_test
async def test_an_answer_that_ended_comes_with_all_its_blocks(storage: Storage) -> None:
    answer = await begun(storage)
    await storage.append_chunks(text_chunks(answer.id, "so", " far"))
    await followed(storage, answer.id)
    end = ending(TextBlock("so far and on"), ToolCallBlock("id", "name", "{}"))
    await storage.end_answer(answer.id, storage.process, end)

    growth = await storage.answer_updates({answer.id: len("so far")})

    assert growth == AnswerUpdates(ended=(await storage.message("alice", answer.id),))
    assert growth.ended[0].has(end)


@pytest.mark.gen_test
async def test_an_answer_that_was_deleted_is_gone_like_one_that_never_was(
    storage: Storage,
) -> None:
    answer = await begun(storage)
    await storage.append_chunks(text_chunks(answer.id, "so", " far"))
    await storage.delete_conversation("alice", answer.conversation_id)
    positions = {answer.id: 0, "no such answer": 0, "": 7, "$gt": -1}
    assert await storage.answer_updates(positions) == AnswerUpdates(gone=frozenset(positions))


@pytest.mark.slow
@pytest.mark.gen_test
async def test_any_number_of_answers_are_followed_at_once(storage: Storage) -> None:
    silent, growing, ended = [[await begun(storage) for _ in range(5)] for _ in range(3)]
    chunks = [text_chunks(answer.id, answer.id, "later")[0] for answer in growing]
    await storage.append_chunks(chunks)
    for answer in ended:
        await storage.end_answer(answer.id, storage.process, ending(TextBlock(answer.id)))
    gone = {secrets.token_hex(16) for _ in range(2500)}  # more than are asked for at once
    known = [*gone, *(answer.id for group in (silent, growing, ended) for answer in group)]

    growth = await storage.answer_updates(dict.fromkeys(sorted(known), 0))

    assert sorted(growth.chunks, key=by_answer) == sorted(chunks, key=by_answer)
    assert {each.id: each.blocks for each in growth.ended} == {
        answer.id: (TextBlock(answer.id),) for answer in ended
    }
    assert len(growth.ended) == len(ended)
    assert growth.gone == gone


def by_answer(chunk: Chunk) -> str:
    return chunk.answer_id


@pytest.mark.gen_test
async def test_a_process_knows_which_of_its_answers_are_live(storage: Storage) -> None:
    assert await storage.own_live_answers() == frozenset()
    live = [await begun(storage, user) for user in ("alice", "bob")]
    ended = await begun(storage)
    await storage.end_answer(ended.id, storage.process, ending())
    await begun(storage, owner="another process")
    assert await storage.own_live_answers() == {answer.id for answer in live}


# MongoDB


@pytest.mark.gen_test
async def test_chunks_that_an_ended_answer_left_come_ahead_of_its_end(mongo: Place) -> None:
    storage = await mongo.open()
    answer = await begun(storage)
    chunks = text_chunks(answer.id, "so", " far")
    await storage.append_chunks(chunks)
    await storage.end_answer(answer.id, storage.process, ending(TextBlock("so far")))
    assert await followed(storage, answer.id) == chunks


async def grown_meanwhile(
    storage: Storage, answer: Message, monkeypatch: pytest.MonkeyPatch, meanwhile: Any
) -> AnswerUpdates:
    """Have `meanwhile` done once the answer was seen to have no more chunks."""
    over = MongoStorage._ended_or_gone

    async def later(self: MongoStorage, ids: Any) -> Any:
        await meanwhile
        return await over(self, ids)

    monkeypatch.setattr(MongoStorage, "_ended_or_gone", later)
    growth = await storage.answer_updates({answer.id: 0})
    monkeypatch.undo()
    return growth


@pytest.mark.gen_test
async def test_an_answer_that_grows_and_ends_while_it_is_looked_for_has_ended_whole(
    mongo: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = await mongo.open()
    answer = await begun(storage)

    async def grow_and_end() -> None:
        await storage.append_chunks(text_chunks(answer.id, "whole"))
        await storage.end_answer(answer.id, storage.process, ending(TextBlock("whole")))

    growth = await grown_meanwhile(storage, answer, monkeypatch, grow_and_end())
    assert [each.blocks for each in growth.ended] == [(TextBlock("whole"),)]
    assert not growth.chunks


@pytest.mark.gen_test
async def test_an_answer_that_grows_while_it_is_looked_for_is_told_next_time(
    mongo: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = await mongo.open()
    answer = await begun(storage)
    chunks = text_chunks(answer.id, "so far")
    growth = await grown_meanwhile(storage, answer, monkeypatch, storage.append_chunks(chunks))
    assert growth == AnswerUpdates()
    assert await followed(storage, answer.id) == chunks


@pytest.mark.gen_test
async def test_an_answer_that_is_deleted_between_its_two_looks_is_gone(
    mongo: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = await mongo.open()
    answer = await begun(storage)
    await storage.end_answer(answer.id, storage.process, ending())
    messages_by_id = queries.messages_by_id
    looks = 0

    def nowhere_at_the_second(ids: Any) -> dict[str, Any]:
        nonlocal looks
        looks += 1
        return messages_by_id(ids if looks == 1 else [])

    monkeypatch.setattr(queries, "messages_by_id", nowhere_at_the_second)
    assert await storage.answer_updates({answer.id: 0}) == AnswerUpdates(
        gone=frozenset({answer.id})
    )
    assert 2 == looks
