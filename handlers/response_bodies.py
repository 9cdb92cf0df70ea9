"""The bodies that clients get, as types; `request_bodies.py` has those that they send.

Other stored fields stay internal. Docstrings and descriptions of fields are part of the OpenAPI
document, which leaves out the `View` of the names.
"""

from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar, cast

import msgspec
from msgspec import Meta

from handlers.field_descriptions import (
    ANSWER_ID,
    CONVERSATION_ID,
    FINISH_REASON,
    QUESTION_ID,
    TIMING,
    USAGE,
)
from model.blocks import Block, KnownBlock
from model.messages import Conversation, Failure, Message, Status, Timing
from model.usage import Usage
from relay.answer import Answer

T = TypeVar("T")

_Time = Annotated[datetime, Meta(tz=True)]  # RFC 3339


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, without its messages."""

    id: Annotated[str, CONVERSATION_ID]
    title: Annotated[
        str | None,
        Meta(
            description="The title: as it was given, else made of the first question, up to 40 "
            "characters. Null before the first question.",
            examples=["Canals and headraces"],
        ),
    ]
    model: Annotated[
        str | None,
        Meta(
            description="The model for questions that name none, as `<provider>/<model>`; null: "
            "the server's default.",
            examples=["openai/gpt-4o-mini"],
        ),
    ]
    system: Annotated[
        str | None, Meta(description="The system prompt for questions that bring none, or null.")
    ]
    metadata: Annotated[
        dict[str, str],
        Meta(description="The client's own strings, as it stored them.", examples=[{"a": "b"}]),
    ]
    created_at: Annotated[_Time, Meta(description="When the conversation was created.")]
    updated_at: Annotated[
        _Time, Meta(description="When the last question was asked in it, or it was changed.")
    ]
    live_answer_id: Annotated[
        str | None,
        Meta(
            description="The id of the answer that is being generated in it, whose stream can be "
            "read; null if there is none.",
            examples=["9d0e1f2a3b4c5d6e5b1e8c7d2f3a4b6c"],
        ),
    ] = None

    @classmethod
    def of(
        cls, conversation: Conversation, live_answer_id: str | None = None
    ) -> "ConversationView":
        """The view of a stored conversation."""
        view = msgspec.convert(conversation, cls, from_attributes=True)
        return msgspec.structs.replace(view, live_answer_id=live_answer_id)


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A question or an answer."""

    id: Annotated[
        str,
        Meta(description="The message's id.", examples=["9d0e1f2a3b4c5d6e5b1e8c7d2f3a4b6c"]),
    ]
    conversation_id: Annotated[str, CONVERSATION_ID]
    parent_id: Annotated[
        str | None,
        Meta(
            description="The message that this one follows: for an answer its question, for a "
            "question an answer, or null for a first question. Messages with the same parent are "
            "alternatives."
        ),
    ]
    role: Annotated[
        str,
        Meta(
            description="`user` for a question, `assistant` for an answer.",
            examples=["assistant"],
        ),
    ]
    # Blocks of later versions are in it as they were stored.
    blocks: Annotated[
        tuple[KnownBlock, ...],
        Meta(
            description="The content in order. Pass over blocks of a `type` that you do not know: "
            "later versions have more of them."
        ),
    ]
    model: Annotated[
        str | None,
        Meta(
            description="The model of an answer, as `<provider>/<model>`; null for a question.",
            examples=["openai/gpt-4o-mini"],
        ),
    ]
    status: Annotated[Status, Meta(description="Whether the message is live, or how it ended.")] = (
        Status.LIVE
    )
    finish_reason: Annotated[str | None, FINISH_REASON] = None
    usage: Annotated[Usage | None, USAGE] = None
    timing: Annotated[Timing | None, TIMING] = None
    error: Annotated[
        Failure | None, Meta(description="Why the answer failed; null if it did not.")
    ] = None
    created_at: Annotated[_Time, Meta(description="When the question was asked.")]
    ended_at: Annotated[
        _Time | None, Meta(description="When the answer ended; null while it is live.")
    ] = None

    @classmethod
    def of(cls, message: Message) -> "MessageView":
        """The view of a stored message; a live answer's usage is not known yet."""
        shown = {name: getattr(message, name) for name in cls.__struct_fields__}
        return cls(**shown | ({} if message.ended_at is not None else {"usage": None}))

    @classmethod
    def of_answer(cls, answer: Answer) -> "MessageView":
        """The view of an answer as its readers have it, whether or not it could be stored."""
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


# What clients see of an ending; `attempts`, the calls to providers, are for the operator only.
_ENDED = ("status", "blocks", "finish_reason", "usage", "timing", "error", "ended_at")


def shown(blocks: tuple[Block, ...]) -> tuple[KnownBlock, ...]:
    """Blocks as clients get them: all of them, though the schema lists the known kinds only."""
    return cast(tuple[KnownBlock, ...], blocks)


class List(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list."""

    data: Annotated[list[T], Meta(description="The items of this page, in order.")]
    next: Annotated[
        str | None,
        Meta(
            description="A cursor: send it as `after`, or as `before` for messages, to get the "
            "following page. Null: there is none. A short page does not mean the end of a list."
        ),
    ]


class Accepted(msgspec.Struct, frozen=True):
    """A stored question, and where its answer can be read."""

    conversation_id: Annotated[str, CONVERSATION_ID]
    question_id: Annotated[str, QUESTION_ID]
    answer_id: Annotated[str, ANSWER_ID]
    events_url: Annotated[
        str,
        Meta(
            description="The path of the answer's stream, below the server's address.",
            examples=["/api/v1/answers/9d0e1f2a3b4c5d6e5b1e8c7d2f3a4b6c/events"],
        ),
    ]


class GivenTicket(msgspec.Struct, frozen=True):
    """A ticket for the events of one answer."""

    ticket: Annotated[str, Meta(description="The ticket, to be sent as `?ticket=`.")]
    events_url: Annotated[
        str,
        Meta(
            description="The path of the answer's stream with the ticket in it, for an EventSource."
        ),
    ]


class ModelEntry(msgspec.Struct, frozen=True):
    """A model that may be asked."""

    id: Annotated[
        str,
        Meta(
            description="The model, as `<provider>/<model>`: send it as `model`.",
            examples=["openai/gpt-4o-mini"],
        ),
    ]
    default: Annotated[
        bool, Meta(description="Whether this is the model of questions that name none.")
    ]
    input_kinds: Annotated[
        tuple[str, ...],
        Meta(
            description="What questions may carry besides text: `image` and `file` (contents that "
            "are sent along), `image_url` and `file_url` (addresses that the provider fetches), "
            "`tool_result`. Clients should expect further kinds.",
            examples=[["image", "image_url", "tool_result"]],
        ),
    ]
    options: Annotated[
        tuple[str, ...],
        Meta(
            description="The options that questions may set; any other one is refused with "
            "`unsupported_parameter`. The provider may refuse some of them for some models.",
            examples=[["temperature", "top_p", "max_tokens", "tools", "extra"]],
        ),
    ]


class QuestionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one question may bring, so that a client can say so before it is sent."""

    max_question_chars: Annotated[
        int, Meta(description="Characters of the question and the system prompt together.")
    ]
    max_files: Annotated[int, Meta(description="Images and files that come with the question.")]
    max_file_bytes: Annotated[
        int, Meta(description="The largest number of bytes of one of these files.")
    ]
    max_body_bytes: Annotated[
        int, Meta(description="Bytes of the request without contents of images and files.")
    ]
    max_file_body_bytes: Annotated[
        int, Meta(description="Bytes of the request with them, in base64.")
    ]


class Me(msgspec.Struct, frozen=True):
    """The user of a request, and what they may send."""

    user: Annotated[
        str,
        Meta(description="The user whose data the request reads and writes.", examples=["alice"]),
    ]
    admin: Annotated[bool, Meta(description="Whether the credentials are an admin's.")]
    limits: Annotated[QuestionLimits, Meta(description="The limits of a question.")]


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused, or an answer failed."""

    code: Annotated[
        str,
        Meta(
            description="What programs match on; codes never change their meaning.",
            examples=["conversation_busy"],
        ),
    ]
    message: Annotated[
        str,
        Meta(
            description="What went wrong and what to do, in English, for people.",
            examples=["An answer of this conversation is still being generated."],
        ),
    ]
    request_id: Annotated[
        str | None,
        Meta(
            description="The id of the request in the server's log; null if the request was "
            "refused before it was read."
        ),
    ]
    answer_id: Annotated[
        str | msgspec.UnsetType,
        Meta(description="With `conversation_busy`: the id of the answer that is live."),
    ] = msgspec.UNSET
    retryable: Annotated[
        bool | msgspec.UnsetType,
        Meta(description="True if the provider failed and the same question may succeed later."),
    ] = msgspec.UNSET
    retry_after: Annotated[
        float | msgspec.UnsetType,
        Meta(
            description="Seconds to wait before asking again, if the provider said so.",
            examples=[20],
        ),
    ] = msgspec.UNSET
    provider_code: Annotated[
        str | msgspec.UnsetType,
        Meta(
            description="The provider's own code or word for it, if it sent one.",
            examples=["rate_limit_exceeded"],
        ),
    ] = msgspec.UNSET
    reason: Annotated[
        str | msgspec.UnsetType,
        Meta(
            description="With `storage_unavailable`: why the store fails, in one word.",
            examples=["full"],
        ),
    ] = msgspec.UNSET

    @classmethod
    def of(cls, failure: Failure, request_id: str) -> "Problem":
        """The problem that clients see of an answer's failure."""
        return cls(
            failure.code,
            failure.message,
            request_id,
            retryable=failure.retryable or msgspec.UNSET,
            retry_after=msgspec.UNSET if failure.retry_after is None else failure.retry_after,
            provider_code=failure.provider_code or msgspec.UNSET,
        )


class Refusal(msgspec.Struct, frozen=True):
    """The body of an error response."""

    error: Annotated[Problem, Meta(description="Why the request was refused.")]


class FailedAnswer(msgspec.Struct, frozen=True):
    """The body of an error response to a client that waited for an answer which failed."""

    error: Annotated[Problem, Meta(description="Why the answer failed.")]
    message: Annotated[
        MessageView, Meta(description="The answer, with what was generated before it failed.")
    ]


class Health(msgspec.Struct, frozen=True):
    """The body of `GET /healthz`."""

    status: Annotated[Literal["ok"], Meta(description="Always `ok`.")] = "ok"


class Ready(msgspec.Struct, frozen=True):
    """The body of `GET /readyz` while the server is ready."""

    live_answers: Annotated[
        int, Meta(description="How many answers this process generates at the moment.")
    ]
    status: Annotated[Literal["ready"], Meta(description="Always `ready`.")] = "ready"
