"""Pieces of a text: characters that were cut in two, and what two texts have in common."""

import re
from typing import Final

_HALVES: Final = re.compile("[\ud800-\udfff]")


def is_torn(text: str) -> bool:
    """Whether surrogate halves are in `text`, which cannot be written as UTF-8 then."""
    return not text.isascii() and _HALVES.search(text) is not None


def join_surrogates(text: str) -> tuple[str, str]:
    """`text` with its surrogate halves joined, and the half it may end in.

    That half belongs before the text that follows. One without its other half becomes U+FFFD.
    """
    half = ""
    if "\ud800" <= text[-1:] <= "\udbff":
        text, half = text[:-1], text[-1]
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), half


def common_prefix(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # by halves: comparing slices is far cheaper than a loop over characters
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
