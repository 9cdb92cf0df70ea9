"""What OpenAI's Python SDK makes of chat completions, by its own accumulator."""

from collections.abc import Callable
from typing import Any

from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from handlers.wires.chat_completions import ChatCompletionsWire
from handlers.wires.wire import Wire
from model.blocks import Block, ImageBlock, ReasoningBlock, TextBlock, ToolCallBlock
from relay.answer import Answer
from tests.handlers.wires.sse_reading import events_in


class ChatClient:
    """`client.chat.completions.create(stream=True)`. It cannot resume: it asks again."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
        self._has_begun = False
        self.error: dict[str, Any] | None = None
        self.is_done = False

    def connect(self, answer: Answer, grow: Callable[[], None]) -> tuple[Wire, int]:
        self._begin()
        return ChatCompletionsWire(include_usage=True), 0

    def receive(self, data: bytes) -> None:
        for event in events_in(data):
            if event.data == "[DONE]":
                self.is_done = True
            elif "error" in event.json:
                self.error = event.json["error"]
            else:
                self._has_begun = True
                self._state.handle_chunk(ChatCompletionChunk.model_validate(event.json))

    @property
    def finish_reason(self) -> str | None:
        reason: str | None = self._state.current_completion_snapshot.choices[0].finish_reason
        return reason

    @property
    def read(self) -> dict[str, Any]:
        """The message, joined by kind as the protocol does."""
        message = self._state.current_completion_snapshot.choices[0].message.to_dict()
        return {
            "text": message.get("content") or "",
            "reasoning": message.get("reasoning_content") or "",
            "calls": [
                (call["id"], call["function"]["name"], call["function"]["arguments"])
                for call in message.get("tool_calls") or []
            ],
            "images": [each["image_url"]["url"] for each in message.get("images", [])],
        }


def by_kind(blocks: tuple[Block, ...]) -> dict[str, Any]:
    """The blocks as chat completions join them."""
    return {
        "text": "".join(block.text for block in blocks if isinstance(block, TextBlock)),
        "reasoning": "".join(block.text for block in blocks if isinstance(block, ReasoningBlock)),
        "calls": [
            (block.id, block.name, block.arguments)
            for block in blocks
            if isinstance(block, ToolCallBlock)
        ],
        "images": [block.url for block in blocks if isinstance(block, ImageBlock)],
    }
