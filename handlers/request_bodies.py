"""The bodies that clients send, as types; `response_bodies.py` has those that they get.

Docstrings and descriptions of fields are part of the OpenAPI document.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from handlers.body import Body
from handlers.file_parts import ollama_image
from handlers.question_options import ModelName, Options
from handlers.question_parts import MAX_PARTS, QuestionPart, blocks_of
from model.blocks import Block, TextBlock
from relay.ask_request import text_and_parts

# A body is bounded as a whole. These bound what a list of conversations repeats for each of them.
_Title = Annotated[str, Meta(max_length=200)]
_Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]

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


class NewConversation(Body, frozen=True, kw_only=True):
    """A conversation to create; every field is optional."""

    title: Annotated[_Title | None, _TITLE] = None
    model: Annotated[ModelName | None, _MODEL] = None
    system: Annotated[str | None, _SYSTEM] = None
    metadata: Annotated[_Metadata, _METADATA] = msgspec.field(default_factory=dict)


class ChangedConversation(Body, frozen=True, kw_only=True):
    """Changes to a conversation: fields that are left out keep their values, null clears."""

    title: Annotated[_Title | msgspec.UnsetType | None, _TITLE] = msgspec.UNSET
    model: Annotated[ModelName | msgspec.UnsetType | None, _MODEL] = msgspec.UNSET
    system: Annotated[str | msgspec.UnsetType | None, _SYSTEM] = msgspec.UNSET
    metadata: Annotated[_Metadata | msgspec.UnsetType, _METADATA] = msgspec.UNSET


class Question(Options, frozen=True, kw_only=True):
    """A question to ask in a conversation, and how it is to be answered."""

    content: Annotated[
        Annotated[str, Meta(min_length=1)]
        | Annotated[list[QuestionPart], Meta(min_length=1, max_length=MAX_PARTS)],
        Meta(
            description="The question: a string, or a list of parts. Its text must have at least "
            "one character that is not white space, unless there are other parts. Neighbouring "
            "text parts are joined, and results of tool calls come first.",
            examples=["What is a headrace?", [{"type": "text", "text": "What is a headrace?"}]],
        ),
    ]
    images: Annotated[
        Annotated[list[str], Meta(max_length=MAX_PARTS)],
        Meta(
            description="Images as Ollama spells them: their contents in base64. They follow the "
            "parts of `content`.",
            examples=[["iVBORw0KGgo="]],
        ),
    ] = msgspec.field(default_factory=list)
    parent_id: Annotated[
        str | msgspec.UnsetType | None,
        Meta(
            description="The id of the answer that the question follows, to continue or start a "
            "branch; null for a first question. Left out: the newest answer of the conversation."
        ),
    ] = msgspec.UNSET

    def text_and_parts(self) -> tuple[str, tuple[Block, ...]]:
        """The question's content: a text, or parts if it has anything else."""
        if not isinstance(self.content, str):
            blocks = blocks_of(self.content)
        elif self.images:
            blocks = (TextBlock(self.content),)
        else:
            return self.content, ()
        return text_and_parts((*blocks, *map(ollama_image, self.images)))


class Chat(Question, frozen=True, kw_only=True):
    """A question that may name its conversation, and how it is to be answered."""

    conversation_id: Annotated[
        str | None,
        Meta(description="The conversation to ask in. Null: a new conversation is created."),
    ] = None
