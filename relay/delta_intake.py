"""Takes a provider's deltas into the answer, within the answer's bounds.

Each token passes here on its way from the provider's connection to the answer. It costs two calls:
no task, no timer, and the clock is read only where a block opens. Each read of the connection then
has one call of `deliver`, which hands what the answer has grown by to its readers.
"""

import msgspec

from model.blocks import ProviderData, ReasoningBlock, TextBlock, text_in
from model.messages import Attempt, FinishReason
from model.random_ids import random_id
from model.usage import Usage
from providers.sink import Finish, Kind
from relay.answer import Answer
from relay.errors import AnswerTooLong
from relay.pacing import Pacer
from relay.timeline import Timeline

# The largest number of blocks. Each takes some fifty bytes besides its text, in memory and in the
# store, whose documents are bounded. Models that think between their words change a few dozen
# times.
_MAX_BLOCKS = 10_000

# Characters of a tool call's id and name together: ids have some 40, names at most 64.
_MAX_NAME_CHARS = 1_000

# Bytes of provider data in one answer. A signature has some hundred, encrypted reasoning some
# thousand; this many fit into a MongoDB document together with the longest text.
_MAX_DATA_BYTES = 1_000_000


class DeltaIntake:
    """The `Sink` of one live answer; `providers/sink.py` describes its methods.

    Methods that grow the answer raise AnswerTooLong when it exceeds its bounds; the answer has what
    fits then. Provider data is dropped unless `keeps_data`: another process could not read it.
    """

    __slots__ = (
        "_answer",
        "_blocks",
        "_data_bytes",
        "_is_full",
        "_keeps_data",
        "_max_chars",
        "_pacer",
        "_timeline",
        "attempts",
        "finish_mark",
        "reported_usage",
    )

    def __init__(
        self,
        answer: Answer,
        timeline: Timeline,
        pacer: Pacer,
        *,
        max_chars: int,
        keeps_data: bool = True,
    ) -> None:
        self.reported_usage: Usage | None = None  # the provider's own figures
        self.finish_mark: Finish | None = None
        self.attempts: list[Attempt] = []  # ended calls, if several providers were tried
        self._answer = answer
        self._timeline = timeline
        self._pacer = pacer
        self._max_chars = max_chars
        self._keeps_data = keeps_data
        self._is_full = False
        self._data_bytes = 0
        self._blocks = 0  # blocks whose opening was noted

    @property
    def is_finished(self) -> bool:
        """Whether the provider reported that the answer is complete."""
        mark = self.finish_mark
        return mark is not None and mark.reason is not FinishReason.ERROR

    def text(self, text: str) -> None:
        """Grow by text."""
        # As the other methods do, with fewer calls: nearly every token is text that fits.
        answer = self._answer
        fits = len(text) <= self._max_chars - answer.position
        answer.append_text(text if fits else self._fitting(text))
        if not fits or answer.block_count != self._blocks:
            self._note_growth()

    refusal = text  # the model declines: readers get it as text

    def reasoning(self, text: str) -> None:
        """Grow by reasoning."""
        self._answer.append_reasoning(self._fitting(text))
        self._note_growth(is_reasoning=True)

    def tool_call(self, call_id: str, name: str) -> None:
        """Grow by the opening of a tool call.

        One without an id is given one, since the result that the client sends has to name it.
        """
        call_id = call_id or f"call_{random_id()}"
        if len(call_id) + len(name) > _MAX_NAME_CHARS or not self._fitting("."):
            raise AnswerTooLong
        self._answer.open_tool_call(call_id, name)
        self._note_growth()

    def arguments(self, text: str) -> None:
        """Grow by arguments of the tool call that was opened last."""
        self._answer.append_arguments(self._fitting(text))
        self._note_growth()

    def data(self, data: ProviderData) -> None:
        """Grow by provider data on the last block, if every process can read it."""
        if self._keeps_data:
            self._data_bytes += len(msgspec.json.encode(data))
            if self._data_bytes > _MAX_DATA_BYTES or not self._fitting("."):
                raise AnswerTooLong
            self._answer.append_data(data)
            self._note_growth(is_reasoning=True)

    def usage(self, usage: Usage) -> None:
        """Note the provider's figures; the last ones count."""
        self.reported_usage = usage

    def finish(self, finish: Finish | None) -> None:
        """Note the provider's finish mark, or with None that an earlier one is void."""
        self.finish_mark = finish

    def written(self, kind: Kind) -> str:
        """All text of a kind so far; a refusal counts as text."""
        wanted = ReasoningBlock if kind == "reasoning" else TextBlock
        return "".join(text_in(block) for block in self._answer.blocks() if type(block) is wanted)

    def deliver(self) -> None:
        """Hand the growth so far to the answer's readers, at once if the process has time."""
        self._pacer.deliver(self._answer)

    def attempt_ended(self, attempt: Attempt) -> None:
        """Note an ended call."""
        self.attempts.append(attempt)

    def _note_growth(self, *, is_reasoning: bool = False) -> None:
        """Note whether a block was opened, and raise AnswerTooLong beyond the bounds."""
        if self._answer.block_count != self._blocks:
            self._blocks = self._answer.block_count
            self._timeline.note_block(is_reasoning=is_reasoning)
        if self._is_full or self._blocks > _MAX_BLOCKS:
            raise AnswerTooLong

    def _fitting(self, text: str) -> str:
        """The beginning of `text` for which the answer has room."""
        room = self._max_chars - self._answer.position
        if len(text) <= room:
            return text
        self._is_full = True
        return text[: max(room, 0)]
