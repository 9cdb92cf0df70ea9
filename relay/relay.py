"""The relay: takes a question, runs its answer, lets readers on, and ends every answer truthfully.

Asking is one sequence. Connecting to the provider begins first, question and live answer are
stored meanwhile, and only when that is acknowledged do the request's bytes leave: so durability
costs little time, and nobody is billed for a question that was never kept.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial

import msgspec

from model.blocks import TextBlock, later_kinds
from model.messages import Conversation, Ending, Message, Role, Status
from relay.admission import Admission, Allowance, Slot
from relay.answer import Answer, Reader
from relay.answer_record import AnswerRecord, log_answer, record_of
from relay.ask_request import AskRequest, AskResult, Caller, messages, new_conversation
from relay.checkpoints import Checkpoints
from relay.context import History, history
from relay.deletion_sweep import DeletionSweep
from relay.ended_answers import EndedAnswers
from relay.ending_writer import EndingWriter
from relay.endings import (
    deleted,
    disconnected_before_sending,
    ending_of,
    interrupted,
    never_sent,
    orphaned,
)
from relay.errors import (
    LeaseLost,
    QuestionTooLong,
    ShuttingDown,
    StorageUnavailable,
    TooManyRequests,
    TooManyStreams,
    UnsupportedContent,
    Upgrading,
    forget_frames,
)
from relay.generation import Generation
from relay.idempotency import IdempotentAsks
from relay.leases import Lease, sweep_orphans
from relay.models import Models, Source
from relay.peer_requests import PeerRequestPoller
from relay.remote_answers import RemoteAnswers
from relay.stats import RelayStats
from relay.titles import title_of
from relay.unsent_budget import UnsentBudget
from relay.user_concurrency import UserConcurrencyLimit
from storage.contract import Storage
from storage.errors import Busy, KeyTaken, NotFound, StorageError
from storage.sizes import conversation_bytes, facts_bytes, messages_bytes
from storage.values import Changes
from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.relay")


# Seconds for an answer that is stopped to end, as the store has it: somebody waits. It is stopped
# before its conversation is deleted, too; the stop has reached another process by then, or that
# process is dead or cut off, and finds the answer gone when it comes back.
_STOP_TIMEOUT = 5.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The relay's settings. Times are seconds, lengths are characters."""

    allowance: Allowance
    max_unsent_bytes: int
    max_question_chars: int
    max_answer_chars: int
    context_chars: int
    context_messages: int
    grace_seconds: float | None  # as in `Generation`, where a question does not say
    keyed_grace_seconds: float  # the least for a question that has an idempotency key
    checkpoint_seconds: float
    attach_seconds: float
    lease_seconds: float


class Relay:
    """The live answers of this process, and those of others that are read here."""

    def __init__(
        self,
        storage: Storage,
        models: Models,
        limits: Limits,
        on_finished: Callable[[AnswerRecord], None] = log_answer,
    ) -> None:
        self._storage = storage
        self._models = models
        self._limits = limits
        self._on_finished = on_finished
        self._admission = Admission(storage, limits.allowance)
        self._generations: dict[str, Generation] = {}
        self._slots: dict[str, Slot] = {}  # by answer, of the live ones
        self._remote_answers = RemoteAnswers(storage, lease_seconds=limits.lease_seconds)
        allowance = limits.allowance
        self.requests = UserConcurrencyLimit(allowance.requests_per_user, TooManyRequests)
        self.streams = UserConcurrencyLimit(allowance.streams_per_user, TooManyStreams)
        self.unsent_budget = UnsentBudget(limits.max_unsent_bytes)
        self._ended_answers = EndedAnswers(storage, self.unsent_budget, self._remote_answers.follow)
        self._lease = Lease(storage, self._remote_answers, seconds=limits.lease_seconds)
        interval = limits.checkpoint_seconds
        self._checkpoints = Checkpoints(
            storage,
            interval=interval,
            may_write=lambda: self._lease.is_held,
            gone=self._deleted_elsewhere,
        )
        self._deletion_sweep = DeletionSweep(storage, lease_seconds=limits.lease_seconds)
        self._peer_requests = PeerRequestPoller(
            storage,
            self._checkpoints,
            self._generations,
            interval=interval,
            lease_seconds=limits.lease_seconds,
        )
        self._ending_writer = EndingWriter(storage, lease_seconds=limits.lease_seconds)
        self._idempotent_asks = IdempotentAsks(
            storage, self._begin, self.answer, self._ending_writer.settled
        )
        self._endings: set[asyncio.Task[None]] = set()  # the loop itself holds tasks only weakly
        self._unread: list[Generation] = []  # whose time without a reader is over
        self._looking: asyncio.Task[None] | None = None
        self.closing = False  # on its way out: requests had better go elsewhere
        self._refusing = False  # takes no more questions

    @property
    def live(self) -> int:
        """How many answers run, or are being ended, in this process."""
        return len(self._generations)

    @property
    def stats(self) -> RelayStats:
        """How things stand. It looks at each live answer, and so takes a millisecond for 5,000."""
        unsaved_chars, unsaved_seconds = self._checkpoints.backlog
        return RelayStats(
            live=self.live,
            followed=self._remote_answers.count,
            unsent_bytes=self.unsent_budget.held,
            unsaved_chars=unsaved_chars,
            unsaved_seconds=unsaved_seconds,
            late_endings=self._ending_writer.late,
            holds_lease=self._lease.is_held,
        )

    async def open(self) -> None:
        """Take the lease, and end what dead processes left. Raises StorageError."""
        await self._lease.renew()
        await self.end_orphans()

    def chores(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """What has to run for as long as the relay is open."""
        yield self._checkpoints.run
        yield self._remote_answers.run
        yield self._peer_requests.run
        yield self._admission.counts.run
        yield self._deletion_sweep.run
        yield partial(self._lease.keep, self._end_lost)
        yield partial(sweep_orphans, self.end_orphans, lease_seconds=self._limits.lease_seconds)

    async def ask(self, request: AskRequest) -> AskResult:
        """Keep the question and start its answer, which the caller reads with `reader` at once.

        Under a key that was used before it is the answer that was begun then, if what is asked is
        kept. Raises UnknownModel, ModelNotAllowed, UnknownParent, UnsupportedContent, Upgrading,
        NotFound (the conversation), Busy (it has a live answer), KeyReused, QuestionTooLong,
        RetryLater, StorageQuotaExceeded, ShuttingDown and StorageError; nothing has left for the
        provider then.
        """
        if request.idempotency_key is not None and request.store:
            return await self._idempotent_asks.ask(request)
        return AskResult(await self._begin(request, None), is_new=True)

    def outlives_its_reader(self, request: AskRequest) -> bool:
        """Whether it is to be answered although whoever asked has left before it was kept.

        So want those who sent a key, to ask again under it, and those whose answers run to their
        end without them.
        """
        return request.idempotency_key is not None or self._grace_seconds(request) is None

    async def regenerate_request(self, user: str, answer_id: str) -> AskRequest:
        """The question of an answer, for one more answer beside it, of the same model.

        Raises NotFound and StorageError.
        """
        answer = await self._answer_message(user, answer_id)
        question = await self._storage.message(user, answer.parent_id or "")
        parts = tuple(block for block in question.blocks if not isinstance(block, TextBlock))
        request = AskRequest(user=user, content=question.text, model=answer.model, parts=parts)
        return request.as_kept(question)

    async def _begin(self, request: AskRequest, replaced: Answer | None) -> Answer:
        """Start the answer, beside `replaced`, whose question was kept but never asked."""
        slot = await self._admission.enter(request.user)
        try:
            return await self._begin_in(slot, request, replaced)
        except BaseException:
            self._admission.leave(slot)
            raise

    async def _begin_in(self, slot: Slot, request: AskRequest, replaced: Answer | None) -> Answer:
        placed = request
        if replaced is not None:
            placed = request.as_kept(
                await self._storage.message(request.user, replaced.question_id)
            )
        is_new = placed.conversation_id is None
        if placed.conversation_id is None:
            conversation = new_conversation(request)
        else:
            conversation = await self._storage.conversation(request.user, placed.conversation_id)
        if request.chars_in(conversation) > self._limits.max_question_chars:
            raise QuestionTooLong(self._limits.max_question_chars)
        model = request.model or conversation.model or self._models.default_for(request.allowed)
        source, source_model = self._models.resolve(model, request.allowed)
        unreadable = await self._unreadable(placed, source)
        past = await self._history(placed, conversation)
        prompt = request.prompt(source_model, conversation, past.turns)
        process = self._storage.process
        question, live = messages(placed, conversation.id, past.parent_id, model, prompt, process)
        if request.store:
            brought = messages_bytes(() if question is None else (question,))
            if is_new:
                brought += conversation_bytes(conversation)
            await self._admission.make_room(slot, brought)
        if self._refusing:  # since: from here on `close` knows of the answer and ends it
            raise ShuttingDown

        answer = Answer.restored(live)
        generation = Generation(
            answer,
            prompt,
            user=request.user,
            provider=source.name,
            grace_seconds=self._grace_seconds(request) if request.store else 0.0,
            max_chars=self._limits.max_answer_chars,
            keeps_data="data" not in unreadable,
            on_reader_timeout=self._reader_timed_out,
            caller=request.caller or Caller(),
        )
        may_send = asyncio.get_running_loop().create_future()
        upstream = asyncio.create_task(
            source.answer(prompt, may_send=may_send, on_sent=generation.sent, sink=generation),
            name=f"upstream {live.id}",
        )
        generation.upstream = upstream
        self._generations[live.id] = generation
        self._slots[live.id] = slot
        try:
            if request.store:
                new = conversation if is_new else None
                await self._keep(request, question, live, new, replaced)
        except BaseException as error:
            upstream.cancel()
            upstream.add_done_callback(_retrieved)
            if not isinstance(error, NotFound | Busy | KeyTaken):
                # Nobody knows whether it was kept. If it was, its answer must not stay live.
                left = isinstance(error, asyncio.CancelledError)
                ending = disconnected_before_sending() if left else never_sent(StorageUnavailable())
                self._ending_writer.write_if_stored(live.id, ending)
            self._forget(generation)
            raise
        self._admission.stored(slot)
        generation.begun, generation.stored = True, request.store
        may_send.set_result(None)
        if request.store:
            self._checkpoints.add(answer)
        self._end_with(upstream, generation)
        return answer

    @contextmanager
    def reader(self, answer: Answer, position: int = 0) -> Iterator[Reader]:
        """Read `answer` from `position`; leaving this block may stop its upstream call."""
        reader = Reader(answer, position)
        answer.attach(reader)
        generation = self._generations.get(answer.id)
        if generation is not None:
            generation.reader_connected()
        elif not self._remote_answers.reader_connected(answer):
            reader.disconnect()
        try:
            yield reader
        finally:
            answer.detach(reader)
            if generation is not None:
                generation.reader_disconnected()
            else:
                self._remote_answers.reader_disconnected(answer)

    def expect_reader(self, answer: Answer) -> None:
        """Nobody reads `answer` yet; somebody is said to come."""
        if generation := self._generations.get(answer.id):
            generation.expect_reader(self._limits.attach_seconds)
        else:
            self._remote_answers.expect_reader(answer, self._limits.attach_seconds)

    async def answer(self, user: str, answer_id: str) -> Answer:
        """The answer, live or ended.

        Raises NotFound and StorageError; Overloaded and TooMuchUnread if it is a long one to load.
        """
        if generation := self._generation_of(user, answer_id):
            return generation.answer
        if remote := self._remote_answers.answer(user, answer_id):
            return remote
        return await self._ended_answers.answer(user, answer_id)

    async def check_answer(self, user: str, answer_id: str) -> None:
        """Return if there is such an answer. Raises NotFound and StorageError."""
        if self._generation_of(user, answer_id) is None:
            await self._storage.answer_status(user, answer_id)

    async def peek(self, user: str, answer_id: str) -> Answer:
        """The answer as it stands, for who will not read it: nothing goes on or ends by that.

        Raises as `answer` does.
        """
        if generation := self._generation_of(user, answer_id):
            return generation.answer
        return Answer.restored(await self._answer_message(user, answer_id))

    async def stop(self, user: str, answer_id: str) -> Answer:
        """End the answer as STOPPED if it is live, and return it. Raises as `answer` does.

        If another process has it, that one is told, and the answer returned may still be live, as
        it may if the store does not take its end; raises TooManyStops where that process cannot be
        told of one more.
        """
        if generation := self._generation_of(user, answer_id):
            await self._cancel_and_wait(generation, Status.STOPPED)
            return generation.answer
        message = await self._answer_message(user, answer_id)
        if message.status is not Status.LIVE:
            return Answer.restored(message)
        answer = self._remote_answers.stop(message)
        await self._lease.publish()
        return answer

    async def create_conversation(self, conversation: Conversation) -> None:
        """Keep a new one. Raises TooManyChanges, StorageQuotaExceeded and StorageError."""
        size = conversation_bytes(conversation)
        async with self._admission.changing(conversation.user, size):
            await self._storage.create_conversation(conversation)

    async def change_conversation(
        self, user: str, conversation_id: str, changes: Changes, updated_at: datetime
    ) -> Conversation:
        """Apply `changes`. Raises NotFound, and as `create_conversation` does."""
        async with self._admission.changing(user, facts_bytes(changes)):
            return await self._storage.change_conversation(
                user, conversation_id, changes, updated_at
            )

    async def delete_conversation(self, user: str, conversation_id: str) -> None:
        """Forget a conversation; its live answer is stopped first. Raises NotFound."""
        answer_id = await self._storage.live_answer(user, conversation_id)
        if answer_id is not None:
            if answer_id not in self._generations:
                await self.end_orphans()  # a dead process's need not be waited for
            with suppress(TimeoutError, NotFound):
                async with asyncio.timeout(_STOP_TIMEOUT):
                    answer = await self.stop(user, answer_id)
                    with self.reader(answer) as reader:
                        await reader.ended()
        await self._storage.delete_conversation(user, conversation_id)
        self._deletion_sweep.begin()
        self._admission.freed(user)
        # A question may have slipped in between.
        for generation in list(self._generations.values()):
            if generation.answer.conversation_id == conversation_id:
                generation.cancel(Status.STOPPED)

    async def end_orphans(self) -> bool:
        """End what processes that died have left live; whether any was. Raises StorageError."""
        ended_any = False
        while orphans := await self._storage.orphans():
            ended = [message.id for message in orphans if await self._end_orphan(message)]
            if not ended:  # they are another sweeper's
                break
            ended_any = True
        return ended_any

    def retire(self) -> None:
        """Be on the way out: the next request had better go to another process."""
        self.closing = True

    def refuse(self) -> None:
        """Take no more questions. What is live goes on, and can be read."""
        self.retire()
        self._refusing = True

    async def close(self) -> None:
        """Take no more questions, end every answer as INTERRUPTED, and return when all is kept."""
        self.refuse()
        for generation in self._generations.values():
            generation.cancel(Status.INTERRUPTED)
        await self.idle()
        await self._admission.counts.share()
        self._remote_answers.close()
        await self._ended_answers.close()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        await self._ending_writer.close()

    async def idle(self) -> None:
        """Return when no answer is live here."""
        while self._generations:
            await next(iter(self._generations.values())).over.wait()

    def _generation_of(self, user: str, answer_id: str) -> Generation | None:
        """The live answer, if it is here and theirs."""
        generation = self._generations.get(answer_id)
        return generation if generation is not None and generation.user == user else None

    def _grace_seconds(self, request: AskRequest) -> float | None:
        """For how many seconds the answer goes on without a reader."""
        if request.grace_seconds is not msgspec.UNSET:
            return request.grace_seconds
        grace_seconds = self._limits.grace_seconds
        if request.idempotency_key is None or grace_seconds is None:
            return grace_seconds
        return max(
            grace_seconds, self._limits.keyed_grace_seconds
        )  # who has a key intends to come back

    async def _history(self, request: AskRequest, conversation: Conversation) -> History:
        """What the question goes on from; nothing if it is a first one."""
        parent_id = request.parent_id
        if request.history is not None:
            return History(turns=request.history)
        if parent_id is None or (parent_id is msgspec.UNSET and request.conversation_id is None):
            return History()
        last = None if parent_id is msgspec.UNSET else parent_id
        return await history(
            self._storage,
            request.user,
            conversation.id,
            last,
            room=self._limits.context_chars - request.chars_in(conversation),
            messages=self._limits.context_messages,
        )

    async def _unreadable(self, request: AskRequest, source: Source) -> frozenset[str]:
        """What of the answer cannot be kept, because a process beside this one could not read it.

        Raises Upgrading if that is so of the question, and UnsupportedContent if it carries what
        `source` does not take. Most questions are text, and cost no look at the store.
        """
        asked = later_kinds(request.blocks)
        if not asked <= source.input_kinds:
            raise UnsupportedContent
        if not request.store or not (asked or source.output_kinds):
            return frozenset()
        unreadable = await self._storage.unreadable(asked | source.output_kinds)
        if asked & unreadable:
            raise Upgrading
        return unreadable

    async def _answer_message(self, user: str, answer_id: str) -> Message:
        message = await self._storage.message(user, answer_id)
        if message.role != Role.ASSISTANT:
            raise NotFound
        return message

    async def _keep(
        self,
        request: AskRequest,
        question: Message | None,
        live: Message,
        new: Conversation | None,
        replaced: Answer | None,
    ) -> None:
        """Store the question. The live answer of a dead process does not keep it out."""
        key = request.stored_key(live)
        replaces = replaced.id if replaced is not None else None

        async def ask() -> None:
            await self._storage.ask(
                question, live, title=title_of(request.content), new=new, key=key, replaces=replaces
            )

        try:
            await ask()
        except Busy:
            if not await self.end_orphans():
                raise
            await ask()

    async def _end_orphan(self, message: Message) -> bool:
        ending = orphaned(message)
        ended = await self._storage.end_answer(message.id, message.owner or "", ending)
        if ended:
            log.info(LogEvent("answer interrupted, its process died", answer=message.id))
            self._spent(message.user, ending)
        return ended

    async def _cancel_and_wait(self, generation: Generation, status: Status) -> None:
        """Cancel and wait until the ending is kept, unless the store takes too long over that."""
        generation.cancel(status)
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT):
                await generation.over.wait()

    def _end_with(self, upstream: asyncio.Task[None], generation: Generation) -> None:
        """Have the answer end when its upstream call does, however that ends."""

        def begin_ending(_: asyncio.Task[None]) -> None:
            generation.closed_at = asyncio.get_running_loop().time()
            task = asyncio.create_task(self._end(generation), name=f"end {generation.answer.id}")
            self._endings.add(task)
            task.add_done_callback(self._endings.discard)

        upstream.add_done_callback(begin_ending)

    async def _end(self, generation: Generation) -> None:
        answer = generation.answer
        generation.stop_waiting()
        ending = ending_of(generation)
        told = await self._ending_writer.write(answer.id, ending) if generation.stored else ending
        self._checkpoints.discard(answer)
        if told is not None:
            self._spent(generation.user, ending)
            answer.end(told)
        else:
            await self._end_as_kept(generation, ending)
        self._forget(generation)
        if told is ending and generation.stored and answer.readers:
            # Behind those whom the end has woken: who waited for nothing else is gone by then.
            asyncio.get_running_loop().call_soon(self._ended_answers.adopt, generation.user, answer)
        assert answer.ending is not None
        self._on_finished(record_of(generation, answer.ending))
        # Its task holds what it ended with, the frames of that hold `generation`: broken here, all
        # of the memory of the answer goes at once and waits for no collector.
        if generation.upstream is not None and not generation.upstream.cancelled():
            forget_frames(generation.upstream.exception())
        generation.upstream = None

    async def _end_as_kept(self, generation: Generation, ending: Ending) -> None:
        """Tell readers what is kept of an answer that another process ended, or deleted."""
        answer = generation.answer
        try:
            kept = await self._storage.message(generation.user, answer.id)
        except NotFound:  # deleted: nobody else has counted what it cost
            self._spent(generation.user, ending)
            answer.end(deleted(ending))
            return
        except StorageError:
            pass
        except Exception as error:  # a bug; it must not leave readers waiting for ever
            log.error(LogEvent("ending not read", answer=answer.id), exc_info=error)
        else:
            if kept.ended_at is not None:
                answer.settle(kept)
                return
        answer.end(interrupted(ending, LeaseLost()))

    async def _end_lost(self) -> None:
        """Cancel what others ended while this process was taken for dead. Raises StorageError."""
        ours = [generation for generation in self._generations.values() if generation.stored]
        if not ours:
            return
        live = await self._storage.own_live_answers()
        for generation in ours:
            if generation.answer.id not in live:
                self._checkpoints.discard(generation.answer)  # not one chunk more
                generation.cancel(Status.INTERRUPTED)

    def _deleted_elsewhere(self, answer: Answer) -> None:
        """A question had slipped in here between its conversation's last answer and its end."""
        if generation := self._generations.get(answer.id):
            generation.cancel(Status.STOPPED)

    def _reader_timed_out(self, generation: Generation) -> None:
        """Its time without a reader is over. But somebody may just have come elsewhere."""
        if self.closing:  # nobody could come back: it has the time that the drain gives it
            return
        self._unread.append(generation)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._abandon_unread())

    async def _abandon_unread(self) -> None:
        """Look once more for all of them together, and give up those that nobody reads."""
        while unread := self._unread:
            self._unread = []
            with suppress(StorageError):  # then what was heard last has to do
                await self._peer_requests.poll()
            for generation in unread:
                generation.abandon()

    def _spent(self, user: str, ending: Ending) -> None:
        if ending.usage is not None:
            self._admission.spent(user, ending.usage.input_tokens + ending.usage.output_tokens)

    def _forget(self, generation: Generation) -> None:
        del self._generations[generation.answer.id]
        self._admission.leave(self._slots.pop(generation.answer.id), ended=generation.begun)
        generation.over.set()


def _retrieved(upstream: asyncio.Task[None]) -> None:
    """Its question was refused: how the call to nobody ended is of no interest."""
    if not upstream.cancelled():
        upstream.exception()
