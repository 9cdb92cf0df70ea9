"""Limits how many requests or streams a user may have at a time in this process.

A place is taken before any work is done, and given back once the response was sent or its client
has disconnected, so that no user can take all connections or all memory.
"""

import collections

from relay.errors import UserLimitReached

# Seconds for `retry_after`: requests end soon, and clients can close streams.
_RETRY_AFTER = 2


class UserConcurrencyLimit:
    """A limit for each user; 0 means unlimited. `refusal` is raised beyond it."""

    def __init__(self, most: int, refusal: type[UserLimitReached]) -> None:
        self._most = most
        self._refusal = refusal
        self._of_user: collections.Counter[str] = collections.Counter()

    def take(self, user: str) -> None:
        """Take a place for `user`. Raises the refusal if all of them are taken."""
        if self._most and self._of_user[user] >= self._most:
            raise self._refusal(_RETRY_AFTER, self._most)
        self._of_user[user] += 1

    def give(self, user: str) -> None:
        """Give a place of the user back."""
        self._of_user[user] -= 1
        if not self._of_user[user]:
            del self._of_user[user]
