"""Providers that take images and tool results, and return provider data with their reasoning.

Each takes everything, whatever its dialect is, and says what that does, after a thought of its own.
Run as a program, this is server.py with such providers.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import server
from app import composition
from model.blocks import ProviderData
from model.prompt import Prompt
from providers.provider import Provider
from providers.sink import Sink

THOUGHT = "嗯👀"
DATA = ProviderData("seeing", "eyes", {"signature": "$.x"})

_build_provider = composition.build_provider


class ImageProvider:
    """A source that thinks first, and hands over its data with that."""

    options = ("temperature",)
    output_kinds = frozenset({"data"})
    takes_chat_fields = False
    openai_fields: Mapping[str, str] = {}

    def __init__(self, provider: Provider) -> None:
        self.name = provider.name
        self.models = provider.models
        self.close = provider.close
        self.prompts: list[Prompt] = []
        self._provider = provider

    def check(self, prompt: Prompt) -> None:
        """It takes every prompt."""

    def input_kinds(self, model: str) -> frozenset[str]:
        return frozenset({"image", "image_url", "file", "tool_result"})

    async def answer(
        self, prompt: Prompt, *, may_send: Awaitable[None], on_sent: Callable[[], None], sink: Sink
    ) -> None:
        await may_send
        self.prompts.append(prompt)
        sink.reasoning(THOUGHT)
        sink.data(DATA)
        await self._provider.answer(prompt, may_send=may_send, on_sent=on_sent, sink=sink)


def build_provider(*arguments: Any, **named: Any) -> ImageProvider:
    """In place of the server's own."""
    return ImageProvider(_build_provider(*arguments, **named))


if __name__ == "__main__":
    composition.build_provider = build_provider
    sys.exit(server.main(sys.argv[1:]))
