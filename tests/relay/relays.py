"""A relay on a store in memory, with a source that the test drives: one process of a server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest
from tornado.ioloop import IOLoop

from model.messages import Message
from relay.admission import Allowance
from relay.answer import Answer
from relay.answer_record import AnswerRecord
from relay.ask_request import AskRequest
from relay.limits import Limits
from relay.models import Models
from relay.outbox import Outbox
from relay.relay import Relay
from tests.faults import FaultyStorage
from tests.relay.memory_storage import Memory, MemoryStorage
from tests.relay.scripted_source import ScriptedSource

USER = "alice"

LIMITS = Limits(
    allowance=Allowance(
        answers=9,
        answers_per_user=0,
        requests_per_user=0,
        streams_per_user=0,
        questions_per_minute=0,
        tokens_per_day=0,
        stored_bytes=0,
        prompt_file_bytes=1_000_000,
    ),
    max_unsent_bytes=1_000_000,
    max_question_chars=1000,
    max_answer_chars=1000,
    context_chars=1000,
    context_messages=20,
    context_part_bytes=1000,
    default_grace_seconds=None,
    keyed_grace_seconds=1.0,
    checkpoint_seconds=0.05,
    attach_seconds=1.0,
    pace_seconds=0.0,
    lease_seconds=10.0,
)


class RelayProcess:
    """A relay with its tasks running; what its store is asked for is in `store.calls`."""

    def __init__(
        self, name: str, memory: Memory, limits: Limits, outbox: Outbox | None = None
    ) -> None:
        self.storage = MemoryStorage(name, memory)
        self.store = FaultyStorage()
        self.store.wrapped = self.storage  # type: ignore[assignment]
        self.source = ScriptedSource()
        self.records: list[AnswerRecord] = []
        self.on_finished: Callable[[AnswerRecord], None] = self.records.append
        self._outbox = outbox
        self._limits = limits
        self._chores: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Begin, as a server does."""
        self.relay = Relay(
            self.store,  # type: ignore[arg-type]
            Models({"scripted": self.source}, "scripted/m"),
            self._limits,
            lambda record: self.on_finished(record),
            self._outbox,
        )
        await self.relay.open()
        for chore in self.relay.background_tasks():
            self._chores.append(asyncio.create_task(_run(chore)))

    async def close(self) -> None:
        """End, as a server does."""
        self.store.heal()
        async with asyncio.timeout(5):
            await self.relay.close()
        for chore in self._chores:
            chore.cancel()
        await asyncio.wait(self._chores)

    async def ask(self, content: str = "q", **fields: Any) -> Answer:
        """Ask, and wait until the source has been asked."""
        self.source.asked.clear()
        answer, _ = await self.relay.ask(AskRequest(user=USER, content=content, **fields))
        await self.source.asked.wait()
        return answer

    async def answered(self, content: str = "q", **fields: Any) -> Answer:
        """Ask, and have it answered whole with `text`."""
        answer = await self.ask(content, **fields)
        self.source.say("hello")
        self.source.end()
        await self.relay.idle()
        self.source.ends.clear()
        return answer

    def stored(self, answer: Answer) -> Message:
        """The answer as it is stored."""
        return self.storage.memory.messages[answer.id]


async def _run(chore: Callable[[], Awaitable[None]]) -> None:
    await chore()


Starting = Callable[..., RelayProcess]


@pytest.fixture
def start_relay(io_loop: IOLoop) -> Iterator[Starting]:
    """Starts processes on one store, with limits, an allowance and an outbox as said."""
    memory, started = Memory(), list[RelayProcess]()

    def start_one(*, outbox: Outbox | None = None, **limits: Any) -> RelayProcess:
        allowance = msgspec.structs.replace(LIMITS.allowance, **limits.pop("allowance", {}))
        own = msgspec.structs.replace(LIMITS, allowance=allowance, **limits)
        process = RelayProcess(f"process-{len(started)}", memory, own, outbox)
        started.append(process)
        io_loop.run_sync(process.open)
        return process

    yield start_one
    for process in started:
        io_loop.run_sync(process.close)


@pytest.fixture
def process(start_relay: Starting) -> RelayProcess:
    """One process."""
    return start_relay()
