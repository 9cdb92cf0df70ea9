"""The prompt for a model: system prompt, turns and options, in no provider's format."""

from collections.abc import Iterable

import msgspec

from model.blocks import Block, TextBlock
from model.messages import Role


class Turn(msgspec.Struct, frozen=True):
    """One message of a prompt."""

    role: Role
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """The text blocks joined."""
        return "".join(block.text for block in self.blocks if isinstance(block, TextBlock))


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Turns, oldest first, the last one the user's, and options; those that are None are unset."""

    model: str
    turns: tuple[Turn, ...]
    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


def text_turn(role: Role, text: str) -> Turn:
    """A turn of text alone."""
    return Turn(role, (TextBlock(text),))


def merged(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """`turns` with neighbours of the same role joined by an empty line.

    Where an answer failed before its first token, the history has two user turns in a row, and some
    providers refuse that.
    """
    one_by_one: list[Turn] = []
    for turn in turns:
        if one_by_one and one_by_one[-1].role == turn.role:
            one_by_one[-1] = _joined(one_by_one[-1], turn)
        else:
            one_by_one.append(turn)
    return tuple(one_by_one)


def _joined(one: Turn, other: Turn) -> Turn:
    *before, last = one.blocks
    first, *after = other.blocks
    if isinstance(last, TextBlock) and isinstance(first, TextBlock):
        between: tuple[Block, ...] = (TextBlock(f"{last.text}\n\n{first.text}"),)
    else:
        between = (last, first)
    return Turn(one.role, (*before, *between, *after))
