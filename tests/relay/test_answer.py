"""The one idea: whatever is read, in whatever pieces and from wherever, is the same answer."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.blocks import (
    ImageBlock,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    UnknownBlock,
)
from model.growth import Chunk, Piece, fold
from model.messages import Ending, Message, Status, now
from relay.answer import Answer
from relay.reader import Reader

_words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_growth = st.one_of(
    st.tuples(st.just("text"), _words),
    st.tuples(st.just("reasoning"), _words),
    st.tuples(st.just("tool_call"), st.lists(_words, max_size=3)),
    st.tuples(st.just("data"), _words),
    st.tuples(st.just("image"), _words),
    st.tuples(st.just("unknown"), _words),
)


def _grown(growths: list[tuple[str, str | list[str]]]) -> Answer:
    answer = _empty()
    for kind, value in growths:
        if isinstance(value, list):
            answer.open_tool_call("", kind)
            for arguments in value:
                answer.append_arguments(arguments)
        elif kind == "data":
            answer.append_data(ProviderData("anthropic", "m", value))
        elif kind == "image":
            answer.append_whole(ImageBlock(url=value))
        elif kind == "unknown":
            answer.append_whole(UnknownBlock(type="video", words=value))
        elif kind == "text":
            answer.append_text(value)
        else:
            answer.append_reasoning(value)
    return answer


def _empty() -> Answer:
    return Answer("c-a", "c", "c-q", "openai/m")


@pytest.mark.slow
@given(st.lists(_growth, max_size=90), st.data())
def test_pieces_cut_anywhere_fold_into_the_same_blocks(growths, data) -> None:
    answer = _grown(growths)
    chunks, position = [], 0
    while position < answer.position:
        limit = data.draw(st.integers(1, 40))
        pieces = tuple(answer.beyond(position, limit))
        grown = sum(piece.length for piece in pieces)
        assert 1 <= grown <= limit
        chunks.append(Chunk(answer.id, position, pieces))
        position += grown
    assert answer.blocks() == fold(chunks)
    assert [] == answer.beyond(position)


@given(st.lists(_growth, max_size=90))
def test_a_stored_answer_has_the_positions_of_the_live_one(growths) -> None:
    live = _grown(growths)
    message = Message(
        id=live.id,
        conversation_id="c",
        user="u",
        role="assistant",
        blocks=live.blocks(),
        created_at=now(),
    )
    restored = Answer.restored(message)
    assert live.position == restored.position == message.position
    for position in range(live.position + 1):
        assert live.beyond(position) == restored.beyond(position)


def test_positions_count_code_points_and_one_for_a_tool_calls_opening() -> None:
    answer = _empty()
    answer.append_text("你好👨‍👩‍👧")
    answer.open_tool_call("call_1", "get_weather")
    answer.append_arguments("{}")
    assert 7 + 1 + 2 == answer.position


def test_what_has_no_code_points_counts_one_and_data_closes_its_block() -> None:
    data = ProviderData("anthropic", "m", "signature")
    answer = _empty()
    answer.append_data(data)  # redacted: there is no reasoning to show
    answer.append_reasoning("hm")
    answer.append_data(data)
    answer.append_reasoning("so")
    answer.append_whole(ImageBlock(url="x"))
    answer.append_text("a")

    assert (
        ReasoningBlock("", data),
        ReasoningBlock("hm", data),
        ReasoningBlock("so"),
        ImageBlock(url="x"),
        TextBlock("a"),
    ) == answer.blocks()
    assert 1 + (2 + 1) + 2 + 1 + 1 == answer.position
    assert [Piece(1, "reasoning", "m"), Piece(1, "reasoning", "", data=data)] == [
        *answer.beyond(2, 1),
        *answer.beyond(3, 1),
    ]


def test_text_behind_reasoning_opens_a_block_and_text_behind_text_does_not() -> None:
    answer = _grown([("reasoning", "hm"), ("text", "a"), ("text", "b"), ("tool_call", ["{", "}"])])
    assert answer.blocks() == (
        ReasoningBlock("hm"),
        TextBlock("ab"),
        ToolCallBlock("", "tool_call", "{}"),
    )


def test_nothing_appended_is_nothing_grown() -> None:
    answer = _grown([("text", ""), ("reasoning", "")])
    assert (0, ()) == (answer.position, answer.blocks())


def test_two_tool_calls_are_two_blocks_told_apart_by_their_index() -> None:
    answer = _grown([("text", "a"), ("tool_call", ["x"]), ("tool_call", ["y"])])
    assert [0, 1] == [answer.tool_call_index(place) for place in (1, 2)]


def test_a_gap_between_chunks_ends_what_is_known() -> None:
    known = Chunk("a", 0, (Piece(0, "text", "ab"),))
    behind_the_gap = Chunk("a", 5, (Piece(0, "text", "z"),))
    assert (TextBlock("ab"),) == fold([known, behind_the_gap])


def test_a_long_answer_is_held_in_few_pieces() -> None:
    answer = _empty()
    for _ in range(10_000):
        answer.append_text("token ")
    assert 60_000 == answer.position
    assert len(answer._blocks[0].texts) < 300  # how it is held has no other witness


@pytest.mark.gen_test
async def test_a_reader_waits_for_growth_and_is_woken_by_it() -> None:
    answer = _empty()
    reader = Reader(answer)
    answer.attach(reader)
    waiting = asyncio.ensure_future(reader.growth())
    await asyncio.sleep(0)
    assert not waiting.done()
    answer.append_text("a")
    answer.append_text("b")
    answer.deliver()  # one event for both
    assert [Piece(0, "text", "ab")] == await waiting


@pytest.mark.gen_test
async def test_a_slow_readers_events_are_longer_but_bounded() -> None:
    answer = _grown([("text", "x" * 20_000)])
    reader = Reader(answer)
    lengths = []
    while reader.position < answer.position:
        pieces = await reader.growth()
        assert pieces is not None
        lengths.append(sum(piece.length for piece in pieces))
    assert [8_192, 8_192, 3_616] == lengths


@pytest.mark.gen_test
async def test_the_end_comes_only_behind_all_of_the_text() -> None:
    answer = _grown([("text", "ab")])
    reader = Reader(answer)
    answer.end(Ending(status=Status.COMPLETE, blocks=answer.blocks(), ended_at=now()))
    assert [Piece(0, "text", "ab")] == await reader.growth()
    assert await reader.growth() is None


@pytest.mark.gen_test
async def test_leaving_ends_the_wait_at_once() -> None:
    answer = _empty()
    reader = Reader(answer)
    answer.attach(reader)
    waiting = asyncio.ensure_future(reader.growth())
    await asyncio.sleep(0)
    reader.disconnect()
    assert await waiting is None


@pytest.mark.gen_test
async def test_a_sign_of_life_is_due_only_while_nothing_grows() -> None:
    answer = _empty()
    reader = Reader(answer)
    answer.attach(reader)
    waiting = asyncio.ensure_future(reader.growth())
    await asyncio.sleep(0)
    reader.heartbeat()
    assert [] == await waiting


@pytest.mark.gen_test
async def test_two_readers_are_each_at_their_own_place() -> None:
    answer = _grown([("text", "abc")])
    first, second = Reader(answer), Reader(answer, 2)
    assert [Piece(0, "text", "abc")] == await first.growth()
    assert [Piece(0, "text", "c")] == await second.growth()
