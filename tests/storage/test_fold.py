"""Growth, cut into chunks anywhere and delivered anyhow, adds up to the answer it came from."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.blocks import (
    Block,
    FileBlock,
    ImageBlock,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    kind_of,
    text_in,
)
from model.growth import Chunk, Piece, fold
from storage.values import conversation_of

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
data = st.builds(ProviderData, st.just("anthropic"), st.just("claude"), texts)
blocks = st.one_of(
    st.builds(TextBlock, texts),
    st.builds(ReasoningBlock, texts, st.none() | data),
    st.builds(ReasoningBlock, st.just(""), data),
    st.builds(ToolCallBlock, texts, texts, st.text(max_size=8), st.none() | data),
    st.builds(ImageBlock, texts),
    st.builds(FileBlock, texts),
)
answers = st.lists(blocks, max_size=5).map(tuple)


def growth(answer: tuple[Block, ...]) -> list[Piece]:
    """The answer, a position at a time: each of these moves it by one."""
    steps = []
    for place, block in enumerate(answer):
        kind = kind_of(block)
        match block:
            case ImageBlock() | FileBlock():
                steps.append(Piece(place, kind, "", whole=block))
            case ToolCallBlock():
                steps.append(Piece(place, kind, "", block.id, block.name))
        steps += [Piece(place, kind, each) for each in text_in(block)]
        if isinstance(block, ReasoningBlock | ToolCallBlock) and block.data is not None:
            steps.append(Piece(place, kind, "", data=block.data))
    return steps


def cut(steps: list[Piece], cuts: set[int]) -> list[Chunk]:
    """Growth as chunks that begin at these positions."""
    edges = [0, *sorted(cuts), len(steps)]
    return [Chunk("a", begin, tuple(steps[begin:end])) for begin, end in pairwise(edges)]


@pytest.mark.slow
@given(answers, st.data())
def test_any_cut_gives_the_answer_back(answer: tuple[Block, ...], data: st.DataObject) -> None:
    steps = growth(answer)
    assert all(step.length == 1 for step in steps)
    cuts = data.draw(st.sets(st.integers(1, max(1, len(steps) - 1)), max_size=6))
    cuts = {each for each in cuts if each < len(steps)}
    assert fold(cut(steps, cuts)) == answer


@pytest.mark.slow
@given(answers, st.integers(0, 30))
def test_what_lies_behind_a_lost_chunk_is_left_out(answer: tuple[Block, ...], lost: int) -> None:
    steps = growth(answer)
    chunks = cut(steps, set(range(1, len(steps))))
    if lost < len(chunks):
        del chunks[lost]
    assert growth(fold(chunks)) == steps[:lost]


def test_a_message_id_begins_with_its_conversations() -> None:
    conversation = f"{random.getrandbits(128):032x}"
    assert conversation_of(f"{conversation}-abc") == conversation
    assert "" == conversation_of("") == conversation_of("abc")
