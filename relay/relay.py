"""The relay: takes a question, runs its answer, lets readers on, and ends every answer truthfully.

Asking is one sequence. Connecting to the provider begins first, question and live answer are
stored meanwhile, and only when that is acknowledged do the request's bytes leave: so durability
costs little time, and nobody is billed for a question that was never kept.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from providers.dialect import Turn
from relay.answer import Answer, Reader
from relay.asking import Asking, messages, new_conversation, title
from relay.checkpoints import Checkpoints
from relay.context import history
from relay.endings import ending_of, log_ending, never_asked, orphaned
from relay.errors import ShuttingDown, StorageUnavailable
from relay.keeping import EndingKeeper
from relay.models import Models
from relay.running import Running
from storage.base import Busy, Conversation, NotFound, Status, Storage

log = logging.getLogger("headrace.relay")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The relay's settings. Times are seconds, lengths are characters."""

    max_answer_chars: int
    context_chars: int
    attach_seconds: float
    lease_seconds: float


class Elsewhere(Exception):
    """The answer is live, but not in this process."""


class Relay:
    """The live answers of this process."""

    def __init__(
        self, storage: Storage, models: Models, checkpoints: Checkpoints, limits: Limits
    ) -> None:
        self._storage = storage
        self._models = models
        self._checkpoints = checkpoints
        self._limits = limits
        self._keeper = EndingKeeper(storage, lease_seconds=limits.lease_seconds)
        self._running: dict[str, Running] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self.closing = False

    @property
    def live(self) -> int:
        """How many answers run, or are being ended, in this process."""
        return len(self._running)

    async def ask(self, asking: Asking) -> Answer:
        """Keep the question and start its answer, which the caller reads with `reader` at once.

        Raises UnknownModel, NotFound (the conversation), Busy (it has a live answer), ShuttingDown
        and StorageError; nothing has left for the provider then.
        """
        is_new = asking.conversation_id is None
        conversation = await self._conversation(asking)
        model = asking.model or conversation.model or self._models.default
        provider, provider_model = self._models.resolve(model)
        turns = () if is_new else await self._history(asking, conversation)
        prompt = asking.prompt(provider_model, conversation, turns)
        if self.closing:  # since: from here on `close` knows of the answer and ends it
            raise ShuttingDown
        question, live = messages(asking, conversation.id, model, prompt, self._storage.process)

        answer = Answer(live.id, conversation.id, question.id, model, live.created_at)
        running = Running(
            answer,
            prompt,
            user=asking.user,
            provider=provider.name,
            patience=asking.patience,
            max_chars=self._limits.max_answer_chars,
        )
        cleared = asyncio.get_running_loop().create_future()
        upstream = asyncio.create_task(
            provider.answer(prompt, cleared=cleared, sent=running.sent, take=running.take),
            name=f"upstream {live.id}",
        )
        running.upstream = upstream
        self._running[live.id] = running
        try:
            new = conversation if is_new else None
            await self._storage.ask(question, live, title=title(asking.content), new=new)
        except BaseException as error:
            upstream.cancel()
            upstream.add_done_callback(_retrieved)
            if not isinstance(error, NotFound | Busy):
                # Nobody knows whether it was kept. If it was, its answer must not stay live.
                self._keeper.keep_if_asked(live.id, never_asked(StorageUnavailable()))
            self._forget(running)
            raise
        cleared.set_result(None)
        self._checkpoints.add(answer)
        self._end_with(upstream, running)
        return answer

    @contextmanager
    def reader(self, answer: Answer, position: int = 0) -> Iterator[Reader]:
        """Read `answer` from `position`; leaving this block may stop its upstream call."""
        reader = Reader(answer, position)
        answer.attach(reader)
        running = self._running.get(answer.id)
        if running is not None:
            running.joined()
        try:
            yield reader
        finally:
            answer.detach(reader)
            if running is not None:
                running.parted()

    def expect_reader(self, answer: Answer) -> None:
        """Nobody reads `answer` yet; somebody is said to come."""
        if running := self._running.get(answer.id):
            running.expect_reader(self._limits.attach_seconds)

    async def answer(self, user: str, answer_id: str) -> Answer:
        """The answer, live or ended. Raises NotFound, Elsewhere and StorageError."""
        if running := self._running_of(user, answer_id):
            return running.answer
        message = await self._storage.message(user, answer_id)
        if message.role != "assistant":
            raise NotFound
        if message.status is Status.LIVE:
            raise Elsewhere
        return Answer.restored(message)

    async def stop(self, user: str, answer_id: str) -> Answer:
        """End the answer as STOPPED if it is live, and return it. Raises as `answer` does."""
        if running := self._running_of(user, answer_id):
            await self._halt(running, Status.STOPPED)
            return running.answer
        return await self.answer(user, answer_id)

    async def delete_conversation(self, user: str, conversation_id: str) -> None:
        """Forget a conversation; its live answer is stopped first. Raises NotFound, Elsewhere."""
        answer_id = await self._storage.live_answer(user, conversation_id)
        if answer_id is not None:
            running = self._running.get(answer_id)
            if running is None:
                raise Elsewhere
            await self._halt(running, Status.STOPPED)
        await self._storage.delete_conversation(user, conversation_id)
        for running in list(self._running.values()):  # a question may have slipped in between
            if running.answer.conversation_id == conversation_id:
                running.halt(Status.STOPPED)

    async def end_orphans(self) -> None:
        """End what processes that died have left live. Raises StorageError."""
        ended_any = True
        while ended_any and (orphans := await self._storage.orphans()):
            ended_any = False
            for message in orphans:
                ending = orphaned(message)
                if await self._storage.end_answer(message.id, message.owner or "", ending):
                    log.info("answer interrupted, its process died answer=%s", message.id)
                    ended_any = True

    async def close(self) -> None:
        """Take no more questions, end every answer as INTERRUPTED, and return when all is kept."""
        self.closing = True
        for running in self._running.values():
            running.halt(Status.INTERRUPTED)
        await self.idle()
        await self._keeper.close()

    async def idle(self) -> None:
        """Return when no answer is live here."""
        while self._running:
            await next(iter(self._running.values())).over.wait()

    def _running_of(self, user: str, answer_id: str) -> Running | None:
        """The live answer, if it is here and theirs."""
        running = self._running.get(answer_id)
        return running if running is not None and running.user == user else None

    async def _conversation(self, asking: Asking) -> Conversation:
        """The conversation that is named, or a new one that is not stored yet."""
        if asking.conversation_id is None:
            return new_conversation(asking)
        return await self._storage.conversation(asking.user, asking.conversation_id)

    async def _history(self, asking: Asking, conversation: Conversation) -> tuple[Turn, ...]:
        room = self._limits.context_chars - len(asking.content)
        room -= len(asking.system_in(conversation) or "")
        return await history(self._storage, asking.user, conversation.id, room=room)

    async def _halt(self, running: Running, cause: Status) -> None:
        """Halt and wait until the ending is kept."""
        running.halt(cause)
        await running.over.wait()

    def _end_with(self, upstream: asyncio.Task[None], running: Running) -> None:
        """Have the answer end when its upstream call does, however that ends."""

        def begin_ending(_: asyncio.Task[None]) -> None:
            task = asyncio.create_task(self._end(running), name=f"end {running.answer.id}")
            self._endings.add(task)  # the loop itself holds tasks only weakly
            task.add_done_callback(self._endings.discard)

        upstream.add_done_callback(begin_ending)

    async def _end(self, running: Running) -> None:
        answer = running.answer
        running.let_go()
        ending = await self._keeper.keep(answer.id, ending_of(running))
        self._checkpoints.discard(answer)
        answer.end(ending)
        self._forget(running)
        log_ending(running, ending)
        # Its task holds what it ended with, the frames of that hold `running`: broken here, all of
        # the answer's memory goes at once and waits for no collector.
        running.upstream = None

    def _forget(self, running: Running) -> None:
        del self._running[running.answer.id]
        running.over.set()


def _retrieved(upstream: asyncio.Task[None]) -> None:
    """Its question was refused: how the call to nobody ended is of no interest."""
    if not upstream.cancelled():
        upstream.exception()
