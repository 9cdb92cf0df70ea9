"""Bounds the bytes of files in prompts, of all users and of each.

A prompt has its files in memory, in base64, until its answer has ended: a provider may have to be
asked again. A live answer without files takes some kilobytes, one with files up to megabytes.
"""

import collections

from relay.errors import Overloaded, TooManyFileBytes

# Each user may have half of the budget, so that no single user can use it up.
_USERS_PART = 2

# Seconds for `retry_after`: by then some answers have ended.
_RETRY_AFTER = 5


class PromptFileBudget:
    """The bytes of files in the prompts of live answers."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held = 0
        self._of_user: collections.Counter[str] = collections.Counter()

    def take(self, user: str, count: int) -> None:
        """Count `count` bytes of a prompt. Raises Overloaded and TooManyFileBytes."""
        users_part = self.max_bytes // _USERS_PART
        if self._of_user[user] + count > users_part:
            raise TooManyFileBytes(_RETRY_AFTER, users_part)
        if self.held + count > self.max_bytes:
            raise Overloaded(_RETRY_AFTER)
        if count:  # else nothing is given back, and the user would be remembered for good
            self.held += count
            self._of_user[user] += count

    @property
    def users(self) -> int:
        """How many users have bytes in it."""
        return len(self._of_user)

    def give(self, user: str, count: int) -> None:
        """Note that these bytes are no longer in memory."""
        self.held -= count
        self._of_user[user] -= count
        if not self._of_user[user]:
            del self._of_user[user]
