"""Servers of the first stage and of this one on one database, and what tests ask and see there."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.server import Server
from model.blocks import ImageBlock
from relay.answer import Answer
from relay.ask_request import AskRequest
from relay.errors import Upgrading
from tests import image_provider
from tests.image_provider import DATA, THOUGHT
from tests.launching import CHECKPOINT_SECONDS, LEASE_SECONDS, Fleet, Launched
from tests.mongod import Stored
from tests.readers import Reader

# The finish mark, with parts of usage that the first stage does not know.
FINISH = {
    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 7,
        "completion_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 3},
    },
}


# A kind that the first stage does not know: asked with, and as it is shown.
PARTS = (ImageBlock(url="https://example.org/cat.png"),)


QUESTION_SHOWN = [
    {"type": "text", "text": "What is this?"},
    {"type": "image", "url": "https://example.org/cat.png"},
]


DATA_SHOWN = {"dialect": DATA.dialect, "model": DATA.model, "value": DATA.value}


THOUGHT_SHOWN = {"type": "reasoning", "text": THOUGHT, "data": DATA_SHOWN}


# All a question may say of its answer.
OPTIONS: dict[str, Any] = {
    "model": "openai/gpt-4o",
    "system": "Be brief.",
    "on_disconnect": {"grace": 30},
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 100,
    "stop": ["\n"],
}


# AskRequest leaves something in one of these.
CONTENTS = ("conversations", "messages", "chunks", "idempotency_keys")


# A server in the test's own process is set as those of a fleet are.
TABLES = {
    "relay": {"checkpoint_seconds": CHECKPOINT_SECONDS, "lease_seconds": LEASE_SECONDS},
    "limits": {"questions_per_minute": 0},
}


# Of a process that gives it back: however slow the machine is, it lives until then.
LONG_LEASE = 60


each_way = pytest.mark.parametrize("owner_is", ["first stage", "second stage"])


class Stages(Fleet):
    """Servers of both stages on one database."""

    first_stage: Path

    async def old(self, **relay: float) -> Launched:
        """One more of the first stage."""
        return await self.serve(program=self.first_stage, **relay)

    async def new(self) -> Launched:
        """One more of this stage."""
        return await self.serve()

    async def with_image_provider(self) -> Launched:
        """One more of this stage, which takes and gives what the first does not know."""
        return await self.serve(program=Path(image_provider.__file__))

    async def both(self, owner_is: str) -> tuple[Launched, Launched]:
        """One of each: the owner, and the other."""
        old, new = await self.old(), await self.new()
        return (old, new) if owner_is == "first stage" else (new, old)

    async def like_owner(self, owner_is: str) -> Launched:
        """One more of the owner's stage."""
        return await (self.old() if owner_is == "first stage" else self.new())


def blocks_read(reader: Reader) -> list[tuple[str, str]]:
    """What came as deltas, in one piece for each block, however it was cut."""
    blocks: list[tuple[str, str]] = []
    for seen in reader.seen:
        if seen.event != "delta":
            continue
        ((kind, grown),) = seen.data.items()
        text = grown["arguments"] if kind == "tool_call" else grown
        if blocks and blocks[-1][0] == kind:
            text = blocks.pop()[1] + text
        blocks.append((kind, text))
    return blocks


def contents(stored: Stored) -> dict[str, list[Any]]:
    """All that is kept of conversations."""
    return {name: list(stored.database[name].find().sort("_id", 1)) for name in CONTENTS}


def turns(request: Any) -> list[tuple[str, Any]]:
    """What the upstream was asked, role by role."""
    return [(turn["role"], turn["content"]) for turn in request.json["messages"]]


async def once_taken(server: Server, request: AskRequest) -> Answer:
    """Ask until it is not refused any more."""
    async with asyncio.timeout(20):
        while True:
            with suppress(Upgrading):
                return (await server.relay.ask(request)).answer


async def asked_whole(server: Server, request: AskRequest) -> Answer:
    """The answer, once it has ended."""
    answer = await once_taken(server, request)
    with server.relay.reader(answer) as reader:
        await reader.ended()
    return answer
