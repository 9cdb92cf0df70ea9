"""A live answer of this process, with all its parts, until it has ended."""

from model.messages import Status
from model.prompt import Prompt
from relay.admission import Slot
from relay.answer import Answer
from relay.ask_request import Caller
from relay.delta_intake import DeltaIntake
from relay.reader_timeout import ReaderTimeout
from relay.timeline import Timeline
from relay.upstream_call import UpstreamCall


class Generation:
    """One answer being generated: its request, its source, and the parts of its life.

    The provider's call passes deltas to the intake, which grows the answer; the reader timeout
    cancels the call when nobody reads; the timeline notes moments. None of the parts refers to the
    generation, so that its memory is freed with the last part.
    """

    def __init__(
        self,
        answer: Answer,
        prompt: Prompt,
        *,
        user: str,
        provider: str,
        caller: Caller,
        slot: Slot,
        timeline: Timeline,
        intake: DeltaIntake,
        upstream: UpstreamCall,
        reader_timeout: ReaderTimeout,
    ) -> None:
        self.answer = answer
        self.prompt = prompt
        self.user = user
        self.provider = provider
        self.caller = caller
        self.slot = slot
        self.timeline = timeline
        self.intake = intake
        self.upstream = upstream
        self.reader_timeout = reader_timeout
        self.is_begun = False  # the request may be sent to the provider
        self.is_stored = False  # question and answer are in the store
        self.most_readers = 0  # the most at a time, in this process

    def cancel(self, status: Status) -> None:
        """Cancel the provider's call at once; the answer ends as `status`. The first call
        counts.
        """
        self.upstream.cancel(status)

    def reader_connected(self) -> None:
        """A reader connected to this process."""
        self.most_readers = max(self.most_readers, self.answer.readers)
        self.reader_timeout.reader_connected()
