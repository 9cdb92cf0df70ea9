"""A conversation, its messages, and the states and endings of an answer."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from model.blocks import Block, TextBlock, length_of
from model.usage import Usage


class _Open(StrEnum):
    """Base of enums that later versions may extend: an unknown word is kept as it is."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = "UNKNOWN"
        word._value_ = value
        return word


class Role(_Open):
    """Who wrote a message."""

    USER = "user"
    ASSISTANT = "assistant"


class Status(_Open):
    """The status of a message.

    `live`: the answer is being generated. Every answer ends as exactly one of the others.
    `complete`: the provider finished it; questions are complete. `stopped`: a client stopped it.
    `abandoned`: its last reader disconnected. `failed`: `error` says why. `interrupted`: the server
    stopped or crashed while it was generated.
    """

    LIVE = "live"
    COMPLETE = "complete"
    STOPPED = "stopped"
    ABANDONED = "abandoned"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class FinishReason(StrEnum):
    """Why the provider stopped, in one spelling for all providers."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"  # the provider reports, in a well-formed end, that the answer is not whole


class Timing(msgspec.Struct, frozen=True):
    """How long an answer took, in whole milliseconds, by the clock of the generating process."""

    first_token_ms: Annotated[
        int | None,
        Meta(
            description="From the question to the first text, reasoning or tool call; null if "
            "none came.",
            examples=[430],
        ),
    ]
    reasoning_ms: Annotated[
        int | None,
        Meta(
            description="From the first reasoning to what followed it, or to the end; null if "
            "there was no reasoning.",
            examples=[1800],
        ),
    ]
    total_ms: Annotated[
        int, Meta(description="From the question to the end of the answer.", examples=[5200])
    ]


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an answer failed."""

    code: Annotated[
        str,
        Meta(
            description="What programs match on; codes never change their meaning.",
            examples=["stream_broken"],
        ),
    ]
    message: Annotated[
        str, Meta(description="What went wrong and what to do, in English, for people.")
    ]
    retryable: Annotated[bool, Meta(description="True if the same question may succeed later.")] = (
        False
    )
    retry_after: Annotated[
        float | None,
        Meta(
            description="Seconds to wait before asking again, if the provider said so.",
            examples=[20],
        ),
    ] = None
    provider_code: Annotated[
        str | None,
        Meta(
            description="The provider's own code or word for it, if it sent one.",
            examples=["rate_limit_exceeded"],
        ),
    ] = None


class ClientData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client protocol needs to show an answer again, besides the answer itself.

    `protocol` is the name of the wire that asked. `metadata` is the client's and never interpreted.
    `request` has those fields of the request, as the client spelled them, that its protocol repeats
    with each answer; no text of the question is in it. A response of OpenAI's also keeps there
    the turns that came before its question, which no message has.
    """

    protocol: str
    metadata: dict[str, str] = {}
    request: dict[str, Any] = {}


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call to a provider for an answer: its target, start, duration and result."""

    target: str  # <provider>/<the provider's own name of the model>
    started_at: datetime
    ms: int
    code: str | None = None  # the code of the error that ended the call; None: no error did
    http_status: int | None = None  # of the provider's response; None: there was none
    usage: Usage | None = None  # the provider's figures, as far as they arrived


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation without its messages. `metadata` is the client's and never interpreted."""

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

    A conversation is a tree. `parent_id` is the message that this one follows: for an answer its
    question, for a question an answer, or None if it is a first one. Messages of one parent are
    alternatives: an edited question, a regenerated answer. `ordinal` is the order in which messages
    were stored, parents first; the store assigns it. `owner` is the process that generates a live
    answer. `timing` is set if the owner itself ended the answer, `attempts` and `client` if the
    store's schema has a place for them: one that is not migrated from an earlier version has none.
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
    client: ClientData | None = None
    owner: str | None = None
    created_at: datetime
    ended_at: datetime | None = None

    @property
    def position(self) -> int:
        """The answer's position: the lengths of its blocks, see `model/blocks.py`."""
        return sum(map(length_of, self.blocks))

    @property
    def text(self) -> str:
        """The text blocks joined, without reasoning, tool calls and attachments."""
        return "".join(block.text for block in self.blocks if isinstance(block, TextBlock))

    def has(self, ending: "Ending") -> bool:
        """Whether the message has exactly this ending: an earlier attempt to write it succeeded."""
        names = ending.__struct_fields__
        return all(getattr(self, name) == getattr(ending, name) for name in names)


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is stored when an answer ends, in one update."""

    status: Status
    blocks: tuple[Block, ...]
    finish_reason: str | None = None
    usage: Usage | None = None
    timing: Timing | None = None
    error: Failure | None = None
    attempts: tuple[Attempt, ...] = ()
    ended_at: datetime


def now() -> datetime:
    """The current time in whole milliseconds, the precision that every store has."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
