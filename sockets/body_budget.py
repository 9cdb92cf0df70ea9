"""The memory that the bodies of all requests may take together, beyond their beginnings.

A body counts while it is received and until its request is authenticated: a made-up token may have
to wait for the issuer's keys, with a body of megabytes in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager

# Bytes of each body that do not count, more than a usual question has: 160 MB with ten thousand
# connections. So clients with long bodies cannot block usual questions.
_FREE_BYTES = 16 * 1024


class BodyBudget:
    """The bytes for all bodies."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held = 0

    @property
    def left(self) -> int:
        """The bytes that may still be received."""
        return max(0, self.max_bytes - self.held)

    @contextmanager
    def holding(self, length: int) -> Iterator[None]:
        """Count a body that is in memory within this block, whether or not there is room for it."""
        beyond = beyond_free(length)
        self.held += beyond
        try:
            yield
        finally:
            self.held -= beyond


def beyond_free(length: int) -> int:
    """The bytes of a body that count."""
    return max(0, length - _FREE_BYTES)
