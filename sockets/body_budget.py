"""The memory that the bodies of all requests may take together, beyond their beginnings.

A body counts while it is received and until its request is authenticated: a made-up token may have
to wait for the issuer's keys, with a body of megabytes in memory. Questions with files have another
budget, in which their bodies count until they are read, so that they cannot keep others out.
"""

from collections.abc import Iterator
from contextlib import contextmanager

# Bytes of each body that do not count, more than a usual question has: 160 MB with ten thousand
# connections. So clients with long bodies cannot block usual questions.
_FREE_BYTES = 16 * 1024


class BodyBudget:
    """The bytes for all bodies. `free_bytes` are those of each body that do not count."""

    def __init__(self, max_bytes: int, *, free_bytes: int = _FREE_BYTES) -> None:
        self.max_bytes = max_bytes
        self.free_bytes = free_bytes
        self.held = 0

    @property
    def left(self) -> int:
        """The bytes that may still be received."""
        return max(0, self.max_bytes - self.held)

    @contextmanager
    def holding(self, length: int) -> Iterator[None]:
        """Count a body that is in memory within this block, whether or not there is room for it."""
        beyond = self.counted(length)
        self.held += beyond
        try:
            yield
        finally:
            self.held -= beyond

    def counted(self, length: int) -> int:
        """The bytes of a body that count."""
        return max(0, length - self.free_bytes)
