"""Limits the answers that this process generates at a time, of all users and of each."""

import collections
import math

from relay.errors import Overloaded, TooManyAnswers

# Seconds that an answer is assumed to take before any has ended: 400 tokens at 20 a second.
_USUAL_ANSWER = 20.0
# The weight of an answer's time in the moving average, which follows the last fifty or so.
_NEWEST_PART = 0.02

# Seconds. The longest `retry_after` for a slot: clients do not wait longer anyway.
_LONGEST_WAIT = 60


class AnswerSlots:
    """The slots of this process and of each user in it. `per_user` 0 means unlimited."""

    def __init__(self, limit: int, per_user: int) -> None:
        self._limit = limit
        self._per_user = per_user
        self._taken = 0
        self._of_user: collections.Counter[str] = collections.Counter()
        self._answer_seconds = _USUAL_ANSWER

    def take(self, user: str) -> None:
        """Take a slot for an answer of `user`. Raises Overloaded and TooManyAnswers.

        It awaits nothing, so that concurrent questions cannot exceed the limit.
        """
        if self._taken >= self._limit:
            raise Overloaded(self._wait_among(self._taken))
        theirs = self._of_user.get(user, 0)
        if self._per_user and theirs >= self._per_user:
            raise TooManyAnswers(self._wait_among(theirs), self._per_user)
        self._taken += 1
        self._of_user[user] += 1

    def free(self, user: str, took: float | None) -> None:
        """Free a slot of `user`, whose answer ended after `took` seconds; None if it has no ending.

        The times of recent answers estimate how long the next free slot takes.
        """
        self._taken -= 1
        self._of_user[user] -= 1
        if not self._of_user[user]:
            del self._of_user[user]
        if took is not None:
            self._answer_seconds += _NEWEST_PART * (took - self._answer_seconds)

    def _wait_among(self, answers: int) -> int:
        """Seconds until the first of so many answers ends, if they last as long as recent ones."""
        return min(max(1, math.ceil(self._answer_seconds / answers)), _LONGEST_WAIT)
