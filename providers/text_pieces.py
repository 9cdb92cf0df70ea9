"""Pieces of a text: joins characters that were cut in two, and compares two texts."""

import re
from typing import Final

_HALVES: Final = re.compile("[\ud800-\udfff]")


def is_torn(text: str) -> bool:
    """Whether `text` contains halves of surrogate pairs, so that it cannot be encoded as UTF-8."""
    return not text.isascii() and _HALVES.search(text) is not None


def join_surrogates(text: str) -> tuple[str, str]:
    """Return `text` with its surrogate halves joined, and the half that it may end with.

    That half belongs before the text that follows. Any other half without a partner becomes U+FFFD.
    """
    half = ""
    if "\ud800" <= text[-1:] <= "\udbff":
        text, half = text[:-1], text[-1]
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"), half


def common_prefix(one: str, other: str) -> int:
    """Return how many characters both texts begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:  # a binary search: slices compare faster than a loop
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
