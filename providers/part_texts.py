"""Adds the texts of parts that come in deltas and then once more as wholes.

OpenAI's Responses API repeats each part when it is done, again with its item, and all of them at
the end. A whole adds only what the deltas of its part lacked.
"""

from typing import NamedTuple

from providers.assembler import Assembler
from providers.sink import Kind

ItemKey = int | str | None  # the item's index, or its id where the index is missing


class PartKey(NamedTuple):
    """Which part a text belongs to: the item, and the index of the part in it."""

    item: ItemKey
    part: int


class PartTexts:
    """The parts of one answer, of which one of each kind is open: the one that came last."""

    def __init__(self, out: Assembler) -> None:
        self.last: Kind | None = None  # the kind that came last; None after anything else
        self._out = out
        self._open: dict[Kind, PartKey] = {}
        self._before: dict[Kind, str] = {}  # all text of the kind before its open part
        self._seen: set[tuple[Kind, PartKey]] = set()

    def is_open(self, kind: Kind, key: PartKey) -> bool:
        """Whether text of this part is what came last of its kind."""
        return self._open.get(kind) == key

    def open_key(self, kind: Kind) -> PartKey | None:
        """Return the key of the open part of a kind."""
        return self._open.get(kind)

    def is_new(self, kind: Kind, key: PartKey) -> bool:
        """Whether no text of this part has come."""
        return (kind, key) not in self._seen

    def forget(self, item: ItemKey) -> None:
        """A new item begins, so that what had the same number before was another one."""
        self._open = {kind: key for kind, key in self._open.items() if key.item != item}
        self._seen = {(kind, key) for kind, key in self._seen if key.item != item}

    def add(self, kind: Kind, key: PartKey, text: str) -> None:
        """Add a delta."""
        if text:
            if not self.is_open(kind, key):
                self._begin(kind, key)
            self._out.write(kind, text)

    def add_whole(self, kind: Kind, key: PartKey, text: str) -> None:
        """Add what the deltas lacked, unless another part has followed this one."""
        if text and (self.is_open(kind, key) or self.is_new(kind, key)):
            if not self.is_open(kind, key):
                self._begin(kind, key)
            self._out.whole_text(kind, self._before[kind] + text)

    def _begin(self, kind: Kind, key: PartKey) -> None:
        self.last = kind
        if kind != "reasoning":  # a refusal counts as text, so that it ends an open part of text
            self._open.pop("refusal" if kind == "text" else "text", None)
        self._open[kind] = key
        self._seen.add((kind, key))
        self._before[kind] = self._out.written(kind)
