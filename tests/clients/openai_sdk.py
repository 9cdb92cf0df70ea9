"""OpenAI's Python SDK, pointed at a server, and what it is asked with."""

from collections.abc import Iterable
from typing import Any

import openai
from pydantic import BaseModel

from tests.clients.qwen import IMAGE, PARAMETERS, TOOL

QUESTION = "图里的城市，天气怎么样？"

# A question with an image.
MESSAGES: Any = [
    {"role": "system", "content": "用中文回答。"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": IMAGE}},
        ],
    },
]
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": TOOL, "description": "天气", "parameters": PARAMETERS, "strict": True},
    }
]


class Weather(BaseModel):
    """What structured output is asked to be."""

    city: str
    degrees: int


def async_client(url: str, **options: Any) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, **options)


def client(url: str, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, **options)


def reasoning_of(message: Any) -> str:
    """The reasoning of a message or a delta, which has no type of OpenAI's."""
    return getattr(message, "reasoning_content", None) or ""


def texts_of(chunks: list[Any]) -> tuple[str, str]:
    """The reasoning and the text that chunks bring."""
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    return "".join(map(reasoning_of, deltas)), "".join(delta.content or "" for delta in deltas)


# Responses

INSTRUCTIONS = "用中文回答。"
INPUT: Any = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": QUESTION},
            {"type": "input_image", "image_url": IMAGE, "detail": "auto"},
        ],
    }
]
FUNCTIONS: Any = [
    {
        "type": "function",
        "name": TOOL,
        "description": "天气",
        "parameters": PARAMETERS,
        "strict": True,
    }
]


def joined(events: Iterable[Any], kind: str) -> str:
    """The text of the deltas of a kind among events of a response."""
    return "".join(event.delta for event in events if event.type == f"response.{kind}.delta")


def texts_in(events: Iterable[Any]) -> tuple[str, str]:
    """The reasoning and the text that events of a response bring."""
    seen = list(events)
    return joined(seen, "reasoning_summary_text"), joined(seen, "output_text")


def reasoning_in(response: Any) -> str:
    """The reasoning of a whole response."""
    items = [item for item in response.output if item.type == "reasoning"]
    return "".join(part.text for item in items for part in item.summary)
