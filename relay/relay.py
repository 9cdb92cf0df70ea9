"""The relay as handlers and the server use it: its parts, and what it offers.

A question's way is in `asking.py`, finding and reading an answer in `reading.py`, its end in
`finishing.py`. What processes that share a store do for each other is in `lease.py`,
`peer_requests.py`, `remote_answers.py` and `orphans.py`.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from model.messages import Message, Status
from relay.admission import Admission
from relay.answer import Answer
from relay.answer_record import AnswerRecord, log_answer
from relay.ask_request import AskRequest, AskResult, text_and_parts
from relay.asking import Asker
from relay.checkpoints import Checkpoints
from relay.conversations import Conversations
from relay.deletion_sweep import DeletionSweep
from relay.ended_answers import EndedAnswers
from relay.ending_writer import EndingWriter
from relay.errors import TooManyRequests, TooManyStreams
from relay.file_threads import FileThreads
from relay.finishing import Finisher
from relay.idempotency import IdempotentAsks
from relay.lease import Lease
from relay.lease_keeper import LeaseKeeper
from relay.limits import Limits
from relay.live_answers import LiveAnswers
from relay.models import Models
from relay.orphans import Orphans
from relay.outbox import Outbox
from relay.pacing import Pacer
from relay.peer_requests import PeerRequestPoller
from relay.prompt_files import PromptFiles
from relay.reader import Reader
from relay.reader_timeout import UnreadAnswers
from relay.reading import Answers
from relay.recent_asks import RecentAsks
from relay.remote_answers import RemoteAnswers
from relay.sdk_retries import SdkRetries
from relay.stats import RelayStats
from relay.stopping import Stopper
from relay.unsent_budget import UnsentBudget
from relay.user_concurrency import UserConcurrencyLimit
from relay.user_quota import QuotaState
from storage.contract import Storage
from storage.sizes import metadata_bytes


class Relay:
    """The live answers of this process, and those of other processes that are read here.

    It shuts down in three steps, each of which includes the one before:

    | method             | `/readyz` | new questions | live answers                  |
    |--------------------|-----------|---------------|-------------------------------|
    | `start_draining`   | fails     | are taken     | go on, also without a reader  |
    | `refuse_questions` | fails     | are refused   | go on                         |
    | `close`            | fails     | are refused   | end as INTERRUPTED            |
    """

    def __init__(
        self,
        storage: Storage,
        models: Models,
        limits: Limits,
        on_finished: Callable[[AnswerRecord], None] = log_answer,
        outbox: Outbox | None = None,
    ) -> None:
        self._storage = storage
        self._limits = limits
        allowance, lease_seconds = limits.allowance, limits.lease_seconds
        self.requests = UserConcurrencyLimit(allowance.requests_per_user, TooManyRequests)
        self.streams = UserConcurrencyLimit(allowance.streams_per_user, TooManyStreams)
        self.unsent_budget = UnsentBudget(limits.max_unsent_bytes)
        self.is_draining = False  # shutting down: requests should go to another process

        self._admission = Admission(storage, allowance)
        self.live_answers = LiveAnswers(self._admission)
        self.remote_answers = RemoteAnswers(storage, lease_seconds=lease_seconds)
        self._ended_answers = EndedAnswers(storage, self.unsent_budget, self.remote_answers)
        self._answers = Answers(
            storage,
            live=self.live_answers,
            remote_answers=self.remote_answers,
            ended_answers=self._ended_answers,
            attach_seconds=limits.attach_seconds,
        )

        self._lease = Lease(storage, self.remote_answers, seconds=lease_seconds)
        self._checkpoints = Checkpoints(
            storage, self._lease, self.live_answers, interval=limits.checkpoint_seconds
        )
        self._lease_keeper = LeaseKeeper(
            storage,
            self._lease,
            live=self.live_answers,
            checkpoints=self._checkpoints,
            remote_answers=self.remote_answers,
        )
        self._peer_requests = PeerRequestPoller(
            storage,
            self._checkpoints,
            self.live_answers,
            interval=limits.checkpoint_seconds,
            lease_seconds=lease_seconds,
        )
        self.unread_answers = UnreadAnswers(self._peer_requests)
        self._orphans = Orphans(
            storage, self._admission, lease_seconds=lease_seconds, outbox=outbox
        )

        self._ending_writer = EndingWriter(storage, lease_seconds=lease_seconds, outbox=outbox)
        self._pacer = Pacer(limits.pace_seconds, self.live_answers)
        self.file_threads = FileThreads()
        self._deletion_sweep = DeletionSweep(storage, lease_seconds=lease_seconds)
        self._recent_asks = RecentAsks()
        self._asker = Asker(
            storage,
            models,
            limits,
            admission=self._admission,
            live=self.live_answers,
            unread=self.unread_answers,
            pacer=self._pacer,
            prompt_files=PromptFiles(storage, self.file_threads),
            deletion_sweep=self._deletion_sweep,
            checkpoints=self._checkpoints,
            orphans=self._orphans,
            ending_writer=self._ending_writer,
            finisher=Finisher(
                storage,
                admission=self._admission,
                live=self.live_answers,
                checkpoints=self._checkpoints,
                ending_writer=self._ending_writer,
                ended_answers=self._ended_answers,
                recent_asks=self._recent_asks,
                on_finished=on_finished,
            ),
        )
        retries = storage, self._asker, self._answers, self._ending_writer, self._recent_asks
        self._idempotent_asks = IdempotentAsks(*retries)
        self._sdk_retries = SdkRetries(*retries)
        self._stopper = Stopper(
            live=self.live_answers,
            answers=self._answers,
            remote_answers=self.remote_answers,
            lease=self._lease,
        )
        self.conversations = Conversations(
            storage,
            admission=self._admission,
            live=self.live_answers,
            answers=self._answers,
            stopper=self._stopper,
            orphans=self._orphans,
            deletion_sweep=self._deletion_sweep,
        )

    # For the server's life cycle.

    async def open(self) -> None:
        """Take the lease, and end the orphans. Raises StorageError."""
        await self._lease.renew()
        await self._orphans.end_all()

    def background_tasks(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """The background work that has to run while the relay is open."""
        yield self._checkpoints.run
        yield self.remote_answers.run
        yield self._peer_requests.run
        yield self._admission.counts.run
        yield self._deletion_sweep.run
        yield self._lease_keeper.run
        yield self._orphans.run

    @property
    def stats(self) -> RelayStats:
        """The current state. It reads each live answer, which takes a millisecond for 5,000."""
        unsaved_chars, unsaved_seconds = self._checkpoints.backlog
        return RelayStats(
            live=len(self.live_answers),
            followed=self.remote_answers.count,
            unsent_bytes=self.unsent_budget.held,
            unsaved_chars=unsaved_chars,
            unsaved_seconds=unsaved_seconds,
            late_endings=self._ending_writer.late,
            holds_lease=self._lease.is_held,
            pace_seconds=self._pacer.window,
        )

    def start_draining(self) -> None:
        """Begin to shut down: the next request should go to another process."""
        self.is_draining = True
        self.unread_answers.pause()

    def refuse_questions(self) -> None:
        """Take no more questions. Live answers go on and can be read."""
        self.start_draining()
        self._asker.close()

    async def idle(self) -> None:
        """Wait until no answer is live here."""
        await self.live_answers.wait_until_empty()

    async def close(self) -> None:
        """Take no more questions, end every answer as INTERRUPTED; return when all is stored."""
        self.refuse_questions()
        self.live_answers.cancel_all(Status.INTERRUPTED)
        await self.idle()
        await self._admission.counts.share()
        self.remote_answers.close()
        await self._ended_answers.close()
        await self.unread_answers.close()
        await self._ending_writer.close()
        self._recent_asks.close()
        self.file_threads.close()

    # For handlers.

    async def ask(self, request: AskRequest) -> AskResult:
        """Store the question and start its answer, which the caller reads with `reader` at once.

        With an idempotency key that was used before, it is the answer that was started then, if its
        question is stored or not long ago. So it is if an SDK sends a question again. Raises
        UnknownModel, ModelNotAllowed, UnknownParent, UnknownToolCall, MissingToolResults,
        UnsupportedContent, UnsupportedParameter, Upgrading, NotFound (the conversation), Busy (it
        has a live answer), KeyReused, QuestionTooLong, ToolLoopTooLong, RetryLater,
        StorageQuotaExceeded, IdBeingDeleted, ShuttingDown and StorageError; nothing was sent to the
        provider then.
        """
        if request.idempotency_key is not None:
            return await self._idempotent_asks.ask(request)
        if request.sdk_retry is not None:
            return await self._sdk_retries.ask(request)
        return AskResult(await self._asker.ask(request), is_new=True)

    def quotas(self, user: str) -> tuple[QuotaState | None, QuotaState | None]:
        """What is left for a user: of questions within the minute, and of tokens within the day."""
        return self._admission.quotas(user)

    def outlives_its_reader(self, request: AskRequest) -> bool:
        """Whether the question is asked although its client disconnected before it was stored.

        That is so with an idempotency key, whose client will retry, and if its answer runs to its
        end without readers.
        """
        return request.idempotency_key is not None or self._limits.grace_for(request) is None

    async def regenerate_request(self, user: str, answer_id: str) -> AskRequest:
        """The request for another answer to the question of an answer, from the same model.

        Raises NotFound and StorageError.
        """
        answer = await self._answers.stored(user, answer_id)
        question = await self._storage.message(user, answer.parent_id or "")
        text, parts = text_and_parts(question.blocks)
        request = AskRequest(user=user, content=text, model=answer.model, parts=parts)
        return request.regenerating(question)

    async def answer(self, user: str, answer_id: str) -> Answer:
        """Return the answer, live or ended, to be read. Raises as `Answers.find` does."""
        return await self._answers.find(user, answer_id)

    async def check_answer(self, user: str, answer_id: str) -> None:
        """Return if there is such an answer. Raises NotFound and StorageError."""
        await self._answers.check(user, answer_id)

    async def peek(self, user: str, answer_id: str) -> Answer:
        """Return the answer as it is now, without counting as a reader of it.

        Raises as `answer` does.
        """
        return await self._answers.peek(user, answer_id)

    async def change_client_metadata(
        self, user: str, answer_id: str, metadata: Mapping[str, str]
    ) -> Message:
        """Replace the metadata that a client stored with an answer, and return the answer.

        Raises NotFound, TooManyChanges, StorageQuotaExceeded and StorageError.
        """
        async with self._admission.changing(user, metadata_bytes(metadata)):
            return await self._answers.change_client_metadata(user, answer_id, metadata)

    def reader(self, answer: Answer, position: int = 0) -> AbstractContextManager[Reader]:
        """Read `answer` from `position`; leaving this block may cancel the provider's call."""
        return self._answers.reader(answer, position)

    def expect_reader(self, answer: Answer) -> None:
        """Keep `answer`, which has no reader yet, because a first one is expected."""
        self._answers.expect_reader(answer)

    async def stop(self, user: str, answer_id: str) -> Answer:
        """End the answer as STOPPED if it is live, and return it. Raises as `Stopper.stop` does."""
        return await self._stopper.stop(user, answer_id)

    async def stop_unread(self, user: str, answer_id: str) -> bool:
        """End the answer as STOPPED if nobody reads it; False if somebody does. Raises NotFound and
        StorageError.
        """
        return await self._stopper.stop_unread(user, answer_id)
