"""What bodies of requests may hold in memory together, beyond their beginnings.

A body counts while it comes in, and on until it is known whose it is: who makes up a token may have
to be kept waiting for the issuer's keys, with a body of megabytes in hand.
"""

from collections.abc import Iterator
from contextlib import contextmanager

# Of each body, and more than a usual question has: 160 MB with ten thousand connections. It is
# free: whoever holds long bodies keeps no usual question out.
_FREE_BYTES = 16 * 1024


class BodyBudget:
    """So many bytes for all of them."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held = 0

    @property
    def left(self) -> int:
        """What may still come in."""
        return max(0, self.max_bytes - self.held)

    @contextmanager
    def holding(self, length: int) -> Iterator[None]:
        """Count a body that is here within this block, whether there is room for it or not."""
        beyond = beyond_free(length)
        self.held += beyond
        try:
            yield
        finally:
            self.held -= beyond


def beyond_free(length: int) -> int:
    """What counts of a body of so many bytes."""
    return max(0, length - _FREE_BYTES)
