"""The parts of a question: text and results of tool calls; `file_parts.py` has images and files.

They are spelled like the blocks of messages, so that a client can send what it read. Docstrings and
descriptions of fields are part of the OpenAPI document.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta

from handlers.body import Body
from handlers.file_parts import DocumentPart, FilePart, ImagePart, ImageUrlPart
from model.blocks import Block, TextBlock, ToolResultBlock

# Parts of a question. A model makes a few dozen calls at a time at most, and each has one result.
MAX_PARTS = 256

# Characters of a tool call's id. Ids have some 40; an answer's own bound for id and name together
# is 1,000.
_CallId = Annotated[str, Meta(min_length=1, max_length=1000)]


class Part(Body, frozen=True, kw_only=True):
    """Base of the parts."""

    def block(self) -> Block:
        """The block that is stored."""
        raise NotImplementedError


class TextPart(Part, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """A part of a question that is text."""

    text: Annotated[str, Meta(description="The text.", examples=["What is a headrace?"])]

    def block(self) -> Block:
        """The block that is stored."""
        return TextBlock(self.text)


class ToolResultPart(Part, frozen=True, kw_only=True, tag_field="type", tag="tool_result"):
    """The result of a tool call of the answer that the question follows."""

    id: Annotated[
        _CallId,
        Meta(description="The id of the tool call, as the answer has it.", examples=["call_8f2c"]),
    ]
    text: Annotated[
        str,
        Meta(
            description="The result as text; JSON, if the tool returns that. It may be empty.",
            examples=['{"celsius": 21}'],
        ),
    ]
    is_error: Annotated[bool, Meta(description="True if the call failed.")] = False

    def block(self) -> Block:
        """The block that is stored."""
        return ToolResultBlock(self.id, self.text, self.is_error)


QuestionPart = TextPart | ToolResultPart | ImagePart | FilePart | ImageUrlPart | DocumentPart


def blocks_of(parts: Sequence[QuestionPart]) -> tuple[Block, ...]:
    """The blocks of a question's parts: results first, as providers require, then the rest.

    Neighbouring texts are one block.
    """
    blocks = [part.block() for part in parts]
    results = [block for block in blocks if isinstance(block, ToolResultBlock)]
    others = [block for block in blocks if not isinstance(block, ToolResultBlock)]
    return (*results, *_joined(others))


def _joined(blocks: Iterable[Block]) -> Iterable[Block]:
    texts: list[str] = []
    for block in blocks:
        if isinstance(block, TextBlock):
            texts.append(block.text)
            continue
        if texts:
            yield TextBlock("".join(texts))
            texts = []
        yield block
    if texts:
        yield TextBlock("".join(texts))
