"""A conversation, its messages, and how an answer stands and ends."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

import msgspec

from model.blocks import Block, TextBlock, length_of
from model.usage import Usage


class _Open(StrEnum):
    """Words that a later version may add to: one that is not listed here stays what it is."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = "UNKNOWN"
        word._value_ = value
        return word


class Role(_Open):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"


class Status(_Open):
    """How an answer stands. Every answer ends in exactly one of those after LIVE."""

    LIVE = "live"
    COMPLETE = "complete"  # the provider said it finished
    STOPPED = "stopped"  # somebody asked
    ABANDONED = "abandoned"  # the last reader left
    FAILED = "failed"  # the error says why
    INTERRUPTED = "interrupted"  # the server went away


class FinishReason(StrEnum):
    """Why the provider stopped, in one spelling for all of them."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"  # a well-formed end that says the answer is not whole


class Timing(msgspec.Struct, frozen=True):
    """How long an answer took, in whole milliseconds by the clock of the process that asked for it.

    Two count from the question: `first_token_ms` to the first of the answer, if any came, and
    `total_ms` to its end. `reasoning_ms` is how long its first reasoning lasted, if it has any:
    until something else came, or the end.
    """

    first_token_ms: int | None
    reasoning_ms: int | None
    total_ms: int


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an answer failed; `code` is documented and never reworded, `message` is for people.

    `retryable` says that the same question may succeed later, `retry_after` (seconds) when, where
    the provider said it.
    """

    code: str
    message: str
    retryable: bool = False
    retry_after: float | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call for an answer: to whom, when, for how long, and what came of it."""

    target: str  # <provider>/<model the provider knows>
    started_at: datetime
    ms: int
    code: str | None = None  # of the error that ended it; None: it ended otherwise
    http_status: int | None = None  # of the provider's response, if there was one
    usage: Usage | None = None  # the provider's figures, as far as they came


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation's own facts. `metadata` is the client's and never looked at."""

    id: str
    user: str
    title: str | None = None
    model: str | None = None
    system: str | None = None
    metadata: dict[str, str] = {}
    created_at: datetime
    updated_at: datetime


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A question (of role user, always complete) or an answer (of role assistant).

    A conversation is a tree. `parent_id` is what a message goes on from: for an answer its
    question, for a question an answer, or None if it is a first one. Messages of one parent are
    alternatives: a question worded anew, one more answer to the same. `ordinal` tells the order in
    which they were kept, parents first; the store gives it. `owner` is the process that writes a
    live answer. `timing` is known of answers whose owner ended them, `attempts` if the store has
    room for them: one of the first stage has none.
    """

    id: str
    conversation_id: str
    user: str
    role: Role
    ordinal: int = -1
    parent_id: str | None = None
    blocks: tuple[Block, ...] = ()
    model: str | None = None
    status: Status = Status.COMPLETE
    finish_reason: str | None = None
    usage: Usage | None = None
    timing: Timing | None = None
    error: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    owner: str | None = None
    created_at: datetime
    ended_at: datetime | None = None

    @property
    def position(self) -> int:
        """The answer's position: the lengths of its blocks, see `model/blocks.py`."""
        return sum(map(length_of, self.blocks))

    @property
    def text(self) -> str:
        """What was said, without what was thought, called or attached."""
        return "".join(block.text for block in self.blocks if isinstance(block, TextBlock))

    def has(self, ending: "Ending") -> bool:
        """Whether this very ending was written: the fruit of an earlier try, if it was ours."""
        names = ending.__struct_fields__
        return all(getattr(self, name) == getattr(ending, name) for name in names)


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """All that an answer's end writes, in one update."""

    status: Status
    blocks: tuple[Block, ...]
    finish_reason: str | None = None
    usage: Usage | None = None
    timing: Timing | None = None
    error: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    ended_at: datetime


def now() -> datetime:
    """The time, in the precision that every store keeps: whole milliseconds."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
