"""A live answer of this process: its record, its upstream call, and for whom it goes on."""

import asyncio
from collections.abc import Callable

import msgspec

from model.blocks import ProviderData, ReasoningBlock, TextBlock, text_in
from model.messages import Attempt, FinishReason, Status
from model.prompt import Prompt
from model.usage import Usage
from providers.sink import Finish, Kind
from relay.answer import Answer
from relay.ask_request import Caller
from relay.errors import AnswerTooLong

# Each block costs some fifty bytes beside its text, in memory and in the store, whose documents are
# bounded. Models that think between their words change a few dozen times.
_MAX_BLOCKS = 10_000

# Of a tool call's id and name together: providers' ids have some 40 characters, names at most 64.
_MAX_NAME_CHARS = 1_000

# Of providers' data in one answer. A signature has some hundred, encrypted reasoning some thousand;
# as many as this still fit MongoDB's document beside the longest text.
_MAX_DATA_BYTES = 1_000_000


class Generation:
    """Takes what the provider sends into the answer, and stops it when there is nobody to read.

    `grace_seconds` is for how many seconds it goes on without a reader: 0 means not at all, None
    means to its end, whoever reads. `on_reader_timeout` is called when they are over. Providers'
    data is dropped unless `keeps_data`: a process that shares the store could not read it.
    """

    def __init__(
        self,
        answer: Answer,
        prompt: Prompt,
        *,
        user: str,
        provider: str,
        grace_seconds: float | None,
        max_chars: int,
        keeps_data: bool = True,
        on_reader_timeout: Callable[["Generation"], None],
        caller: Caller | None = None,
    ) -> None:
        self.answer = answer
        self.prompt = prompt
        self.user = user
        self.provider = provider
        self.caller = caller or Caller()
        self.upstream: asyncio.Task[None] | None = None
        self.over = asyncio.Event()  # its ending is kept, and readers were told
        self.cancelled_as: Status | None = None  # how it ends, if it was cancelled
        self.begun = False  # the question may leave for the provider
        self.stored = False  # question and answer are in the store
        self.asked = False  # the question has left for the provider
        self.counted: Usage | None = None  # by the provider
        self.finish_mark: Finish | None = None
        self.attempts: list[Attempt] = []
        # Moments by the loop's clock, None until they come.
        self.asked_at = asyncio.get_running_loop().time()
        self.sent_at: float | None = None
        self.first_token_at: float | None = None
        self.reasoning_at: float | None = None  # its first reasoning began
        self.reasoned_at: float | None = None  # ... and something else came behind it
        self.cancelled_at: float | None = None
        self.closed_at: float | None = None
        self.most_readers = 0  # at a time, in this process
        self._grace_seconds = grace_seconds
        self._on_reader_timeout = on_reader_timeout
        self._followed = False  # somebody reads it in another process
        self._max_chars = max_chars
        self._keeps_data = keeps_data
        self._full = False
        self._data_bytes = 0
        self._blocks = 0  # whose opening was noted
        self._last_call: asyncio.TimerHandle | None = None
        self._promised_until = 0.0  # by the loop's clock: a reader has so long to come

    # What a provider hands over: `providers/sink.py` says what each means. All of these raise
    # AnswerTooLong when it is more than fits.

    def text(self, text: str) -> None:
        """Grow by text."""
        self.answer.append_text(self._fitting(text))
        self._grown()

    refusal = text  # the model declines: readers see it as text

    def reasoning(self, text: str) -> None:
        """Grow by reasoning."""
        self.answer.append_reasoning(self._fitting(text))
        self._grown(reasons=True)

    def tool_call(self, call_id: str, name: str) -> None:
        """Grow by the opening of a tool call."""
        if len(call_id) + len(name) > _MAX_NAME_CHARS or not self._fitting("."):
            raise AnswerTooLong
        self.answer.open_tool_call(call_id, name)
        self._grown()

    def arguments(self, text: str) -> None:
        """Grow by arguments of the tool call that was opened last."""
        self.answer.append_arguments(self._fitting(text))
        self._grown()

    def data(self, data: ProviderData) -> None:
        """Grow by a provider's data on what came last, if every process can read that."""
        if self._keeps_data:
            self._data_bytes += len(msgspec.json.encode(data))
            if self._data_bytes > _MAX_DATA_BYTES or not self._fitting("."):
                raise AnswerTooLong
            self.answer.append_data(data)
            self._grown(reasons=True)

    def usage(self, usage: Usage) -> None:
        """Note the provider's figures: the last ones count."""
        self.counted = usage

    def finish(self, finish: Finish | None) -> None:
        """Note the provider's finish mark, or that the one there was does not stand."""
        self.finish_mark = finish

    def written(self, kind: Kind) -> str:
        """All of a kind so far; what is refused is text."""
        wanted = ReasoningBlock if kind == "reasoning" else TextBlock
        return "".join(text_in(block) for block in self.answer.blocks() if type(block) is wanted)

    def tried(self, attempt: Attempt) -> None:
        """Note a call that is over."""
        self.attempts.append(attempt)

    def sent(self) -> None:
        """The question is leaving for the provider: from now on it may cost."""
        self.asked = True
        if self.sent_at is None:  # a second time with a new credential
            self.sent_at = asyncio.get_running_loop().time()

    @property
    def finished(self) -> bool:
        """Whether the provider said that the answer is over, and whole."""
        mark = self.finish_mark
        return mark is not None and mark.reason is not FinishReason.ERROR

    def expect_reader(self, seconds: float) -> None:
        """Give the first reader this long to come, unless it goes on without any."""
        self._promised_until = asyncio.get_running_loop().time() + seconds
        self.reader_disconnected()

    def reader_connected(self) -> None:
        """A reader came: the answer goes on for as long as they stay."""
        self.most_readers = max(self.most_readers, self.answer.readers)
        self._promised_until = 0.0
        self.stop_waiting()

    def reader_disconnected(self) -> None:
        """A reader went. The last one to go may take the upstream call with them."""
        if self._grace_seconds is None or self._is_read or self._is_over:
            return
        loop = asyncio.get_running_loop()
        seconds = max(self._grace_seconds, self._promised_until - loop.time())
        if seconds == 0:
            self.cancel(Status.ABANDONED)
            return
        self.stop_waiting()
        self._last_call = loop.call_later(seconds, self._on_reader_timeout, self)

    def follow(self, followed: bool) -> None:
        """Somebody reads it in another process, or nobody does any more."""
        if followed == self._followed:
            return
        self._followed = followed
        if followed:
            self.reader_connected()
        else:
            self.reader_disconnected()

    def abandon(self) -> None:
        """Stop it if the wait for a reader is over that stands now: one may have come and gone."""
        wait = self._last_call
        if self._is_read or wait is None:
            return
        if wait.when() <= asyncio.get_running_loop().time():
            self.cancel(Status.ABANDONED)

    def cancel(self, status: Status) -> None:
        """Abort the upstream call at once; the answer ends as `status`. The first one counts."""
        if self._is_over or self.cancelled_as is not None:
            return
        assert self.upstream is not None
        self.cancelled_as = status
        self.cancelled_at = asyncio.get_running_loop().time()
        self.upstream.cancel()

    def stop_waiting(self) -> None:
        """No reader is waited for any more."""
        if self._last_call is not None:
            self._last_call.cancel()
            self._last_call = None

    @property
    def _is_read(self) -> bool:
        return self._followed or self.answer.readers > 0

    @property
    def _is_over(self) -> bool:
        return self.upstream is None or self.upstream.done()

    def _grown(self, *, reasons: bool = False) -> None:
        """Look whether it outgrew its bounds, and whether a block was opened."""
        if self.answer.block_count != self._blocks:
            self._note_opening(reasons=reasons)
        if self._full or self._blocks > _MAX_BLOCKS:
            raise AnswerTooLong

    def _note_opening(self, *, reasons: bool) -> None:
        """Note the moment, if it is one to be told. Openings are few, so a token pays nothing."""
        self._blocks = self.answer.block_count
        opened_at = asyncio.get_running_loop().time()
        if self.first_token_at is None:
            self.first_token_at = opened_at
        if reasons:
            if self.reasoning_at is None:
                self.reasoning_at = opened_at
        elif self.reasoning_at is not None and self.reasoned_at is None:
            self.reasoned_at = opened_at

    def _fitting(self, text: str) -> str:
        """As much of `text` as the answer has room for."""
        room = self._max_chars - self.answer.position
        if len(text) <= room:
            return text
        self._full = True
        return text[: max(room, 0)]
