"""The data of a stream's events, as types; `wires/native.py` writes them.

Docstrings and descriptions of fields are part of the OpenAPI document.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.field_descriptions import (
    ANSWER_ID,
    CONVERSATION_ID,
    FINISH_REASON,
    MODEL,
    QUESTION_ID,
    TIMING,
    USAGE,
)
from handlers.response_bodies import Problem
from model.blocks import KnownBlock, ProviderData
from model.messages import Status, Timing
from model.usage import Usage


class StartEvent(msgspec.Struct, frozen=True):
    """The data of `start`, the first event of every stream, also of one that resumes."""

    conversation_id: Annotated[str, CONVERSATION_ID]
    question_id: Annotated[str, QUESTION_ID]
    answer_id: Annotated[str, ANSWER_ID]
    model: Annotated[str, MODEL]


class ToolCallDelta(msgspec.Struct, frozen=True):
    """The growth of a tool call; the first one of each call brings its id and name."""

    index: Annotated[
        int, Meta(description="Which tool call of the answer this is, counted from 0.")
    ]
    arguments: Annotated[
        str,
        Meta(
            description="Text to append to the call's arguments, which are JSON once complete.",
            examples=['{"city": "Par'],
        ),
    ]
    id: Annotated[
        str | msgspec.UnsetType, Meta(description="The call's id, on its first delta.")
    ] = msgspec.UNSET
    name: Annotated[
        str | msgspec.UnsetType, Meta(description="The tool's name, on its first delta.")
    ] = msgspec.UNSET


class DeltaEvent(msgspec.Struct, frozen=True):
    """The data of `delta`: the growth of the answer, as one of the first four fields."""

    text: Annotated[
        str | msgspec.UnsetType, Meta(description="Text to append to the answer.", examples=["Hel"])
    ] = msgspec.UNSET
    reasoning: Annotated[
        str | msgspec.UnsetType, Meta(description="Text to append to the model's reasoning.")
    ] = msgspec.UNSET
    tool_call: Annotated[
        ToolCallDelta | msgspec.UnsetType, Meta(description="The growth of a tool call.")
    ] = msgspec.UNSET
    block: Annotated[
        KnownBlock | msgspec.UnsetType,
        Meta(description="A block that comes whole, such as an image, as it is in a message."),
    ] = msgspec.UNSET
    data: Annotated[
        ProviderData | msgspec.UnsetType,
        Meta(
            description="The provider's own data for the reasoning or tool call beside it, which "
            "is complete then. Clients need not interpret it."
        ),
    ] = msgspec.UNSET


class ResetEvent(msgspec.Struct, frozen=True):
    """The data of `reset`: the answer from its beginning."""

    blocks: Annotated[
        tuple[KnownBlock, ...],
        Meta(description="The blocks that replace everything the client received."),
    ]


class EndEvent(msgspec.Struct, frozen=True):
    """The data of `end`, the last event of every stream that was not cut off."""

    status: Annotated[Status, Meta(description="How the answer ended.")]
    finish_reason: Annotated[str | None, FINISH_REASON]
    usage: Annotated[Usage | None, USAGE]
    timing: Annotated[Timing | None, TIMING]
    error: Annotated[
        Problem | msgspec.UnsetType,
        Meta(description="Why the answer failed; left out if it did not."),
    ] = msgspec.UNSET
