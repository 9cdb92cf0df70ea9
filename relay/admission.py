"""Admits questions: decides by the user's limits before anything is stored or sent.

Each limit is checked by a part of its own: answers at a time in this process (`answer_slots.py`),
questions a minute and tokens a day in all processes (`user_quota.py`), stored bytes
(`storage_quota.py`), files in memory (`prompt_file_budget.py`).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from model.usage import Usage
from relay.answer_slots import AnswerSlots
from relay.errors import TokenBudgetSpent, TooManyChanges, TooManyQuestions
from relay.prompt_file_budget import PromptFileBudget
from relay.storage_quota import StorageQuota, StorageReservation
from relay.usage_counters import UsageCounters
from relay.user_quota import QuotaState, Reservation, UserQuota
from storage.contract import Storage

_MINUTE = 60
_DAY = 24 * 3600

# Bytes. A change with more of them counts several times: three hundred changes a minute bring three
# megabytes at most.
_CHANGE_BYTES = 10_000


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """The limits. 0 means unlimited, except for `answers`."""

    answers: int
    answers_per_user: int
    requests_per_user: int
    streams_per_user: int
    questions_per_minute: int
    tokens_per_day: int
    stored_bytes: int
    prompt_file_bytes: int


class Slot:
    """The slot of one answer, taken before its question is stored and freed at its end."""

    def __init__(self, user: str, began_at: float) -> None:
        self.user = user
        self.began_at = began_at
        self.is_free = False
        # Reservations for its question, until that is stored.
        self.reserved: list[Reservation | StorageReservation] = []
        self.file_bytes = 0  # of the files in its prompt


class Admission:
    """Admits questions; the relay decides about shutting down. `run` has to run while it is
    open.
    """

    def __init__(self, storage: Storage, allowance: Allowance) -> None:
        self.counts = UsageCounters(storage)
        self._allowance = allowance
        self._questions = UserQuota(
            self.counts, "questions", limit=allowance.questions_per_minute, seconds=_MINUTE
        )
        self._changes = UserQuota(
            self.counts, "changes", limit=allowance.questions_per_minute, seconds=_MINUTE
        )
        self._tokens = UserQuota(
            self.counts,
            "tokens",
            limit=allowance.tokens_per_day,
            seconds=_DAY,
            reads_counts_first=True,
        )
        self._storage_quota = StorageQuota(storage, allowance.stored_bytes)
        self._prompt_files = PromptFileBudget(allowance.prompt_file_bytes)
        self._answer_slots = AnswerSlots(allowance.answers, allowance.answers_per_user)

    async def enter(self, user: str) -> Slot:
        """Take a slot for the answer to a question of `user`.

        Raises Overloaded, TooManyAnswers, TooManyQuestions and TokenBudgetSpent.
        """
        self._answer_slots.take(user)
        slot = Slot(user, asyncio.get_running_loop().time())
        try:
            if await self._tokens.is_spent(user):
                raise TokenBudgetSpent(self._tokens.seconds_left(), self._allowance.tokens_per_day)
            if await self._questions.is_spent(user):
                raise TooManyQuestions(
                    self._questions.seconds_left(), self._allowance.questions_per_minute
                )
        except BaseException:
            self.leave(slot)
            raise
        if (question := self._questions.reserve(user)) is not None:
            slot.reserved.append(question)
        return slot

    async def make_room(self, slot: Slot, size: int) -> None:
        """Reserve `size` bytes of the user's storage quota for the slot's question.

        Raises StorageQuotaExceeded and StorageError.
        """
        if (taken := await self._storage_quota.take(slot.user, size)) is not None:
            slot.reserved.append(taken)

    def hold_files(self, slot: Slot, count: int) -> None:
        """Count the files of the slot's prompt until it is free. Raises Overloaded and
        TooManyFileBytes.
        """
        self._prompt_files.take(slot.user, count)
        slot.file_bytes += count

    def quotas(self, user: str) -> tuple[QuotaState | None, QuotaState | None]:
        """What is left for a user: of questions within the minute, and of tokens within the day."""
        return self._questions.state(user), self._tokens.state(user)

    def freed(self, user: str) -> None:
        """A conversation of the user was deleted."""
        self._storage_quota.freed(user)

    @asynccontextmanager
    async def changing(self, user: str, size: int) -> AsyncIterator[None]:
        """Within this block a conversation is created or changed, by `size` bytes.

        It counts if the block raises nothing. Raises TooManyChanges, StorageQuotaExceeded and
        StorageError.
        """
        if await self._changes.is_spent(user):
            raise TooManyChanges(self._changes.seconds_left(), self._allowance.questions_per_minute)
        change, taken = self._changes.reserve(user, 1 + size // _CHANGE_BYTES), None
        is_done = False
        try:
            taken = await self._storage_quota.take(user, size)
            yield
            is_done = True
        finally:
            for reserved in (change, taken):
                if reserved is not None:
                    reserved.use() if is_done else reserved.give_back()

    def stored(self, slot: Slot) -> None:
        """The slot's question is stored: it counts, in the minute in which it was asked."""
        for each in slot.reserved:
            each.use()
        slot.reserved.clear()

    def leave(self, slot: Slot, *, ended: bool = False) -> None:
        """Free the slot, once; `ended` if its answer ended.

        A question that was not stored, because it was refused or asked before, does not count.
        """
        if slot.is_free:
            return
        slot.is_free = True
        for each in slot.reserved:
            each.give_back()
        if slot.file_bytes:
            self._prompt_files.give(slot.user, slot.file_bytes)
        took = asyncio.get_running_loop().time() - slot.began_at if ended else None
        self._answer_slots.free(slot.user, took)

    def charge(self, user: str, usage: Usage | None) -> None:
        """Count what an answer of a user's cost, if that is known."""
        if usage is not None:
            self._tokens.add(user, usage.input_tokens + usage.output_tokens)
