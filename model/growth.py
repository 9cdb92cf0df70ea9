"""The growth of an answer: pieces of its blocks, and chunks of pieces as they are stored."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from model.blocks import (
    Block,
    ProviderData,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    UnknownBlock,
    blocks_in,
)


class Piece(msgspec.Struct, frozen=True, omit_defaults=True):
    """The growth of one block of an answer.

    `block` is the block's index in the answer; a new index opens a block of `type`. `text` is text,
    reasoning or arguments. `id` and `name` are set on the piece that opens a tool call, `data` on
    the one that closes its block with provider data, `whole` on one that is a block in itself: an
    image, a file or a tool result.
    """

    block: int
    type: str  # the block's type; later versions may have more
    text: str
    id: str | None = None
    name: str | None = None
    data: ProviderData | None = None
    whole: Block | None = None

    @property
    def length(self) -> int:
        """How far the piece moves the answer's position: code points, and one for what has none."""
        marks = (self.id is not None) + (self.data is not None) + (self.whole is not None)
        return len(self.text) + marks


class Chunk(msgspec.Struct, frozen=True):
    """The growth of one answer from `position`. It never changes: a retry writes the same bytes."""

    answer_id: str
    position: int
    pieces: tuple[Piece, ...]


def pieces_in(stored: Iterable[Mapping[str, Any]]) -> tuple[Piece, ...]:
    """The pieces of plain values from the store."""
    pieces = msgspec.convert(stored, tuple[Piece, ...])
    if all(piece.whole is None for piece in pieces):
        return pieces
    return tuple(
        piece
        if piece.whole is None
        else msgspec.structs.replace(piece, whole=blocks_in([piece.whole])[0])
        for piece in pieces
    )


def fold(chunks: Iterable[Chunk]) -> tuple[Block, ...]:
    """The blocks that the chunks of one answer, ordered by position, add up to.

    It stops at the first gap, since what follows it cannot be placed, and at a piece whose
    block was never opened.
    """
    grown: list[list[Piece]] = []
    position = 0
    for chunk in chunks:
        if chunk.position != position:
            break
        for piece in chunk.pieces:
            if piece.block == len(grown):
                grown.append([])
            if not 0 <= piece.block < len(grown):
                return _blocks(grown)
            grown[piece.block].append(piece)
            position += piece.length
    return _blocks(grown)


def _blocks(grown: Iterable[Sequence[Piece]]) -> tuple[Block, ...]:
    return tuple(
        block(pieces[0], "".join(piece.text for piece in pieces), pieces[-1].data)
        for pieces in grown
    )


def block(opening: Piece, text: str, data: ProviderData | None = None) -> Block:
    """The block that `opening` opened, with all of its text and the data that closed it."""
    match opening.type:
        case "text":
            return TextBlock(text)
        case "reasoning":
            return ReasoningBlock(text, data)
        case "tool_call":
            return ToolCallBlock(opening.id or "", opening.name or "", text, data)
        case _ if opening.whole is not None:
            return opening.whole
        case _:
            return UnknownBlock(type=opening.type, text=text)
