"""Conversations with tools, images and files, for the requests of all dialects."""

import base64

from model.blocks import (
    FileBlock,
    ImageBlock,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)
from model.messages import Role
from model.prompt import FileContent, NamedTool, Prompt, ResponseFormat, Tool, Turn, text_turn

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n%%EOF\n"

FILES = {
    "f-png": FileContent("image/png", base64.b64encode(PNG).decode(), "dot.png"),
    "f-pdf": FileContent("application/pdf", base64.b64encode(PDF).decode(), "report.pdf"),
}
IMAGE_URL = ImageBlock(url="https://example.org/cat.png", media_type="image/png")
STORED_IMAGE = ImageBlock(file_id="f-png", media_type="image/png")
STORED_FILE = FileBlock(file_id="f-pdf", media_type="application/pdf", name="report.pdf")
FILE_URL = FileBlock(url="https://example.org/report.pdf", media_type="application/pdf")

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = Tool("weather", "Tells the weather.", CITY)
CLOCK = Tool("clock")
ANSWER = ResponseFormat(CITY, "city", strict=True)
NAMED = NamedTool("weather")


def user(*blocks: TextBlock | ImageBlock | FileBlock | ToolResultBlock) -> Turn:
    """A turn of the user."""
    return Turn(Role.USER, blocks)


def assistant(*blocks: TextBlock | ReasoningBlock | ToolCallBlock) -> Turn:
    """A turn of the model."""
    return Turn(Role.ASSISTANT, blocks)


def call(call_id: str, city: str) -> ToolCallBlock:
    """A call of WEATHER."""
    return ToolCallBlock(call_id, "weather", f'{{"city": "{city}"}}')


def rounds(count: int) -> tuple[Turn, ...]:
    """A question, and so many rounds of reasoning, two calls at once, and their results."""
    turns = [text_turn(Role.USER, "Where is it warmer?")]
    for number in range(count):
        turns.append(
            assistant(
                ReasoningBlock(f"thought {number}"),
                TextBlock(f"Round {number}."),
                call(f"call_{number}_a", "Paris"),
                call(f"call_{number}_b", "Oslo"),
            )
        )
        turns.append(
            user(
                ToolResultBlock(f"call_{number}_a", f"{20 + number} °C"),
                ToolResultBlock(f"call_{number}_b", "no such city", is_error=True),
            )
        )
    return tuple(turns)


TWO_IMAGES = user(TextBlock("Which is older?"), IMAGE_URL, STORED_IMAGE)


def prompt(model: str, *turns: Turn) -> Prompt:
    """A prompt with these turns and all files."""
    return Prompt(model=model, turns=turns, files=FILES)
