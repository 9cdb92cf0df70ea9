"""What clients send and see: the API's bodies as types. What else a store keeps stays ours."""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar, cast

import msgspec
from msgspec import Meta

import model.messages as kept
from model.blocks import Block, KnownBlock, ProviderData
from model.usage import Usage
from relay.answer import Answer
from relay.asking import Asking, Caller
from relay.choosing import Allowed

T = TypeVar("T")

# A body is bounded as a whole. These bound what a list of conversations repeats for each of them.
Title = Annotated[str, Meta(max_length=200)]
Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]
# Printable ASCII, as every provider's names are: a line of the log holds them.
Model = Annotated[str, Meta(max_length=200, pattern=r"^[!-~]+\Z")]
# Longer than any connection's patience; a reader who takes an hour to come back asks again.
Seconds = Annotated[float, Meta(ge=0, le=3600)]
Time = Annotated[datetime, Meta(tz=True)]  # RFC 3339
# To JSON 2.0 is as whole as 2, and some languages write every number so; past 2**53 such a number
# counts nothing any more.
Count = Annotated[int, Meta(ge=1, le=2**53)] | Annotated[float, Meta(ge=1, le=2**53, multiple_of=1)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what clients send: a misspelt field is told, not ignored."""


class NewConversation(Body, frozen=True, kw_only=True):
    """POST /conversations"""

    title: Title | None = None
    model: Model | None = None
    system: str | None = None
    metadata: Metadata = {}


class ChangedConversation(Body, frozen=True, kw_only=True):
    """PATCH /conversations/{id}: what is named changes, null clears."""

    title: Title | msgspec.UnsetType | None = msgspec.UNSET
    model: Model | msgspec.UnsetType | None = msgspec.UNSET
    system: str | msgspec.UnsetType | None = msgspec.UNSET
    metadata: Metadata | msgspec.UnsetType = msgspec.UNSET


class TextPart(Body, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A part of a question."""

    text: str


class Grace(Body, frozen=True, kw_only=True):
    """`on_disconnect`: go on for so many seconds in case a reader comes back."""

    grace: Seconds


class Options(Body, frozen=True, kw_only=True):
    """POST /answers/{id}/regenerate, and what every question may say of its answer."""

    model: Model | None = None
    system: str | None = None
    on_disconnect: Literal["cancel", "finish"] | Grace | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    max_tokens: Count | None = None
    stop: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=4)] | None = None

    def of(self, asking: Asking, *, key: str | None, caller: Caller, allowed: Allowed) -> Asking:
        """The question with these; without a model they leave it its own."""
        return msgspec.structs.replace(
            asking,
            model=self.model or asking.model,
            system=self.system,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=None if self.max_tokens is None else int(self.max_tokens),
            stop=tuple(self.stop or ()),
            patience=patience_of(self.on_disconnect),
            key=key,
            caller=caller,
            allowed=allowed,
        )


class Question(Options, frozen=True, kw_only=True):
    """POST /conversations/{id}/messages"""

    content: Annotated[str, Meta(min_length=1)] | Annotated[list[TextPart], Meta(min_length=1)]
    parent_id: str | msgspec.UnsetType | None = msgspec.UNSET

    @property
    def text(self) -> str:
        """All of what is asked."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class Chat(Question, frozen=True, kw_only=True):
    """POST /chat: a question that may name its conversation."""

    conversation_id: str | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as clients see it."""

    id: str
    title: str | None
    model: str | None
    system: str | None
    metadata: dict[str, str]
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, conversation: kept.Conversation) -> "Conversation":
        """The view of what is kept."""
        return msgspec.convert(conversation, cls, from_attributes=True)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A question or an answer as clients see it."""

    id: str
    conversation_id: str
    parent_id: str | None
    role: str
    blocks: tuple[KnownBlock, ...]  # and those of later versions, as these store them
    model: str | None
    status: kept.Status = kept.Status.LIVE
    finish_reason: str | None = None
    usage: Usage | None = None
    timing: kept.Timing | None = None
    error: kept.Failure | None = None
    created_at: Time
    ended_at: Time | None = None

    @classmethod
    def of(cls, message: kept.Message) -> "Message":
        """The view of what is kept; a live answer's usage is not known yet."""
        shown = {name: getattr(message, name) for name in cls.__struct_fields__}
        return cls(**shown | ({} if message.ended_at is not None else {"usage": None}))

    @classmethod
    def of_answer(cls, answer: Answer) -> "Message":
        """The view of an answer as its readers know it, whatever could be kept."""
        live = cls(
            id=answer.id,
            conversation_id=answer.conversation_id,
            parent_id=answer.question_id,
            role="assistant",
            blocks=shown(answer.blocks()),
            model=answer.model,
            created_at=answer.created_at,
        )
        if answer.ending is None:
            return live
        ended = {name: getattr(answer.ending, name) for name in _ENDED}
        return msgspec.structs.replace(live, **ended)


# What clients see of an ending: of which calls an answer was made is the operator's to know.
_ENDED = ("status", "blocks", "finish_reason", "usage", "timing", "error", "ended_at")


def shown(blocks: tuple[Block, ...]) -> tuple[KnownBlock, ...]:
    """Blocks as they are shown: all of them, though the API describes those that it knows."""
    return cast(tuple[KnownBlock, ...], blocks)


class List(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; `next` is what to send as `after` or `before` for the next part."""

    data: list[T]
    next: str | None


class Accepted(msgspec.Struct, frozen=True):
    """202: where the answer can be read."""

    conversation_id: str
    question_id: str
    answer_id: str
    events_url: str


class GivenTicket(msgspec.Struct, frozen=True):
    """What an EventSource enters with, and the address that it is in."""

    ticket: str
    events_url: str


class ModelEntry(msgspec.Struct, frozen=True):
    """A model to choose."""

    id: str
    default: bool


class Me(msgspec.Struct, frozen=True):
    """For whom is asked, and whether whoever asks is an admin."""

    user: str
    admin: bool


class Problem(msgspec.Struct, frozen=True):
    """Why: a code that is never reworded, words for people, and by what our log knows of it."""

    code: str
    message: str
    request_id: str | None  # None: the request was refused unread
    answer_id: str | msgspec.UnsetType = msgspec.UNSET  # the live answer that is in the way
    # Of a provider's failure: whether the same question may succeed later, and after how many
    # seconds, if the provider said so.
    retryable: bool | msgspec.UnsetType = msgspec.UNSET
    retry_after: float | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET  # why the store fails, in a word

    @classmethod
    def of(cls, failure: kept.Failure, request_id: str) -> "Problem":
        """Why an answer failed."""
        return cls(
            failure.code,
            failure.message,
            request_id,
            retryable=failure.retryable or msgspec.UNSET,
            retry_after=msgspec.UNSET if failure.retry_after is None else failure.retry_after,
        )


class Refusal(msgspec.Struct, frozen=True):
    """What comes in place of what was asked for."""

    error: Problem


class FailedAnswer(msgspec.Struct, frozen=True):
    """An answer that failed, for who waited for it as JSON."""

    error: Problem
    message: Message


class StartEvent(msgspec.Struct, frozen=True):
    """`start`, the first event of every stream, also of one that resumes."""

    conversation_id: str
    question_id: str
    answer_id: str
    model: str


class ToolCallDelta(msgspec.Struct, frozen=True):
    """More of a tool call; the first one of each brings id and name."""

    index: int
    arguments: str
    id: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET


class DeltaEvent(msgspec.Struct, frozen=True):
    """`delta`: more of the answer, one of the first four.

    `block` is one that comes whole, as it stands in a message. `data` comes with the reasoning or
    the tool call that it closes: the provider's own, and nobody else's to read.
    """

    text: str | msgspec.UnsetType = msgspec.UNSET
    reasoning: str | msgspec.UnsetType = msgspec.UNSET
    tool_call: ToolCallDelta | msgspec.UnsetType = msgspec.UNSET
    block: KnownBlock | msgspec.UnsetType = msgspec.UNSET
    data: ProviderData | msgspec.UnsetType = msgspec.UNSET


class ResetEvent(msgspec.Struct, frozen=True):
    """`reset`: what replaces all that the client holds."""

    blocks: tuple[KnownBlock, ...]


class EndEvent(msgspec.Struct, frozen=True):
    """`end`, the last event of every stream that was not left before."""

    status: kept.Status
    finish_reason: str | None
    usage: Usage | None
    timing: kept.Timing | None
    error: Problem | msgspec.UnsetType = msgspec.UNSET


class Health(msgspec.Struct, frozen=True):
    """The process turns."""

    status: Literal["ok"] = "ok"


class Ready(msgspec.Struct, frozen=True):
    """Questions can be asked and kept."""

    live_answers: int
    status: Literal["ready"] = "ready"


def patience_of(
    on_disconnect: Literal["cancel", "finish"] | Grace | None,
) -> float | msgspec.UnsetType | None:
    """For how many seconds an answer goes on without a reader; None: to its end."""
    match on_disconnect:
        case None:
            return msgspec.UNSET
        case Grace():
            return on_disconnect.grace
        case "finish":
            return None
        case "cancel":
            return 0.0
