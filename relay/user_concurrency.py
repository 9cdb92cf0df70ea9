"""How much of a kind one user may have at a time in this process: requests, and streams.

A place is taken before anything is done for it, and given back once its response has left or its
client has. So nobody has every connection, or the memory for its responses, for themselves.
"""

import collections

from relay.errors import UserLimitReached

# What people are told to wait. Requests are answered, and streams end or are closed.
_RETRY_AFTER = 2


class UserConcurrencyLimit:
    """So many for each user; 0: any number. `refusal` is what to raise past that."""

    def __init__(self, most: int, refusal: type[UserLimitReached]) -> None:
        self._most = most
        self._refusal = refusal
        self._of_user: collections.Counter[str] = collections.Counter()

    def take(self, user: str) -> None:
        """Take one for `user`, or raise what was said."""
        if self._most and self._of_user[user] >= self._most:
            raise self._refusal(_RETRY_AFTER, self._most)
        self._of_user[user] += 1

    def give(self, user: str) -> None:
        """Give one of theirs back."""
        self._of_user[user] -= 1
        if not self._of_user[user]:
            del self._of_user[user]
