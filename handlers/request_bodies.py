"""The bodies that clients send, as types; `response_bodies.py` has those that they get.

Docstrings and descriptions of fields are part of the OpenAPI document.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from handlers.question_parts import TextPart
from relay.ask_request import AskRequest, Caller
from relay.model_access import AllowedModels

# A body is bounded as a whole. These bound what a list of conversations repeats for each of them.
_Title = Annotated[str, Meta(max_length=200)]
_Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]
# Printable ASCII, as every provider's names are: the log has them on one line.
_Model = Annotated[str, Meta(max_length=200, pattern=r"^[!-~]+\Z")]
# A client that is away for longer than an hour asks again.
_Seconds = Annotated[float, Meta(ge=0, le=3600)]
# JSON has no integers: 2.0 is the same number as 2, and some languages write it so. Past 2**53 a
# float cannot represent every whole number.
_Count = (
    Annotated[int, Meta(ge=1, le=2**53)] | Annotated[float, Meta(ge=1, le=2**53, multiple_of=1)]
)

_TITLE = Meta(description="The title, up to 200 characters.", examples=["Canals and headraces"])
_MODEL = Meta(
    description="The model for questions that name none, as `<provider>/<model>`; null: the "
    "server's default.",
    examples=["openai/gpt-4o-mini"],
)
_SYSTEM = Meta(
    description="The system prompt for questions that bring none; null: no system prompt.",
    examples=["You are a patient teacher. Answer briefly."],
)
_METADATA = Meta(
    description="Up to 16 strings of the client's own, each up to 512 characters, under names of "
    "up to 64 characters. The server stores them and does not interpret them.",
    examples=[{"project": "docs"}],
)


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the bodies. Unknown fields are refused, so that a misspelt one is noticed."""


class NewConversation(Body, frozen=True, kw_only=True):
    """A conversation to create; every field is optional."""

    title: Annotated[_Title | None, _TITLE] = None
    model: Annotated[_Model | None, _MODEL] = None
    system: Annotated[str | None, _SYSTEM] = None
    metadata: Annotated[_Metadata, _METADATA] = {}


class ChangedConversation(Body, frozen=True, kw_only=True):
    """Changes to a conversation: fields that are left out keep their values, null clears."""

    title: Annotated[_Title | msgspec.UnsetType | None, _TITLE] = msgspec.UNSET
    model: Annotated[_Model | msgspec.UnsetType | None, _MODEL] = msgspec.UNSET
    system: Annotated[str | msgspec.UnsetType | None, _SYSTEM] = msgspec.UNSET
    metadata: Annotated[_Metadata | msgspec.UnsetType, _METADATA] = msgspec.UNSET


class Grace(Body, frozen=True, kw_only=True):
    """For `on_disconnect`: the answer goes on for some time after its last reader disconnected."""

    grace: Annotated[
        _Seconds,
        Meta(
            description="Seconds to wait for a reader before cancelling, 0 to 3600.", examples=[30]
        ),
    ]


class Options(Body, frozen=True, kw_only=True):
    """How a question is to be answered; every field is optional."""

    model: Annotated[
        _Model | None,
        Meta(
            description="The model to ask, as `<provider>/<model>`. Null: the conversation's model "
            "(to regenerate, that of the answer), else the server's default.",
            examples=["openai/gpt-4o-mini"],
        ),
    ] = None
    system: Annotated[
        str | None,
        Meta(
            description="The system prompt. Null: the conversation's system prompt.",
            examples=["You are a patient teacher. Answer briefly."],
        ),
    ] = None
    on_disconnect: Annotated[
        Literal["cancel", "finish"] | Grace | None,
        Meta(
            description="What happens when the last reader disconnects: `cancel` stops the answer "
            'at once, `finish` lets it run to its end, `{"grace": seconds}` stops it if no reader '
            "comes back in time. Null: as the server is configured.",
            examples=["finish", {"grace": 30}],
        ),
    ] = None
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(
            description="The sampling temperature, 0 to 2. A provider whose range is smaller gets "
            "the nearest value in its range. Null: the provider's default.",
            examples=[0.7],
        ),
    ] = None
    top_p: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(
            description="The probability mass for nucleus sampling, above 0, up to 1. Null: the "
            "provider's default.",
            examples=[0.9],
        ),
    ] = None
    max_tokens: Annotated[
        _Count | None,
        Meta(
            description="The largest number of tokens to generate, a whole number of at least 1. "
            "Null: the provider's default.",
            examples=[1024],
        ),
    ] = None
    stop: Annotated[
        Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=4)] | None,
        Meta(
            description="Up to four strings at which the model stops generating.",
            examples=[["\n\n"]],
        ),
    ] = None

    def of(
        self,
        ask_request: AskRequest,
        *,
        idempotency_key: str | None,
        caller: Caller,
        allowed: AllowedModels,
    ) -> AskRequest:
        """`ask_request` with these options; without a `model` it keeps its own."""
        return msgspec.structs.replace(
            ask_request,
            model=self.model or ask_request.model,
            system=self.system,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=None if self.max_tokens is None else int(self.max_tokens),
            stop=tuple(self.stop or ()),
            grace_seconds=grace_seconds_of(self.on_disconnect),
            idempotency_key=idempotency_key,
            caller=caller,
            allowed=allowed,
        )


class Question(Options, frozen=True, kw_only=True):
    """A question to ask in a conversation, and how it is to be answered."""

    content: Annotated[
        Annotated[str, Meta(min_length=1)] | Annotated[list[TextPart], Meta(min_length=1)],
        Meta(
            description="The question: a string, or a list of text parts, which are joined. It "
            "must have at least one character that is not white space.",
            examples=["What is a headrace?", [{"type": "text", "text": "What is a headrace?"}]],
        ),
    ]
    parent_id: Annotated[
        str | msgspec.UnsetType | None,
        Meta(
            description="The id of the answer that the question follows, to continue or start a "
            "branch; null for a first question. Left out: the newest answer of the conversation."
        ),
    ] = msgspec.UNSET

    @property
    def text(self) -> str:
        """The question's text, its parts joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class Chat(Question, frozen=True, kw_only=True):
    """A question that may name its conversation, and how it is to be answered."""

    conversation_id: Annotated[
        str | None,
        Meta(description="The conversation to ask in. Null: a new conversation is created."),
    ] = None


def grace_seconds_of(
    on_disconnect: Literal["cancel", "finish"] | Grace | None,
) -> float | msgspec.UnsetType | None:
    """Seconds for which an answer goes on without a reader; None: to its end.

    UNSET where the question does not say: the server's setting applies then.
    """
    match on_disconnect:
        case None:
            return msgspec.UNSET
        case Grace():
            return on_disconnect.grace
        case "finish":
            return None
        case "cancel":
            return 0.0
