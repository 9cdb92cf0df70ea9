"""A source that passes on what a test scripts, without a provider or a socket."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from model.blocks import input_kind
from model.messages import FinishReason
from model.prompt import Prompt
from providers.errors import UnsupportedPart
from providers.sink import Finish, Sink

STOP = Finish(FinishReason.STOP, "stop")


class ScriptedSource:
    """All that `Source` asks, for one answer at a time or several."""

    name = "scripted"
    models = ("m",)
    options = ("temperature",)
    output_kinds = frozenset({"data"})
    takes_chat_fields = False
    openai_fields: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.taken = frozenset({"image", "image_url", "tool_result"})
        self.prompts: list[Prompt] = []
        self.sinks: list[Sink] = []
        self.connected = asyncio.Event()
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.ends = asyncio.Event()
        self.error: Exception | None = None  # what it fails by, once it ends

    def check(self, prompt: Prompt) -> None:
        """It takes every option, and the kinds in `taken`."""
        for turn in prompt.turns:
            for kind in filter(None, map(input_kind, turn.blocks)):
                if kind not in self.taken:
                    raise UnsupportedPart(kind)

    def input_kinds(self, model: str) -> frozenset[str]:
        return self.taken

    async def answer(
        self, prompt: Prompt, *, may_send: Awaitable[None], on_sent: Callable[[], None], sink: Sink
    ) -> None:
        """Wait until it may send, then until the test ends it."""
        self.connected.set()
        await may_send
        on_sent()
        self.prompts.append(prompt)
        self.sinks.append(sink)
        self.asked.set()
        try:
            await self.ends.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        """Nothing goes on."""

    def say(self, text: str) -> None:
        """Have the newest answer grow."""
        self.sinks[-1].text(text)
        self.sinks[-1].deliver()

    def end(self) -> None:
        """End the newest answer, whole."""
        self.sinks[-1].finish(STOP)
        self.ends.set()
