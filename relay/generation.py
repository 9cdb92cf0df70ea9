"""A live answer of this process, with all that belongs to it until it has ended."""

import asyncio

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
    """An answer as it comes: who asked what of whom, and the parts that its life has.

    The upstream call hands what comes to the intake, which grows the answer; the reader timeout
    ends the call when nobody reads; the timeline has the moments of all that. None of the parts
    knows the generation, so that its memory goes when the last part is let go of.
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
        self.ended = asyncio.Event()  # its ending is stored, and readers were told
        self.is_begun = False  # the question may leave for the provider
        self.is_stored = False  # question and answer are in the store
        self.most_readers = 0  # at a time, in this process

    def cancel(self, status: Status) -> None:
        """Abort the upstream call at once; the answer ends as `status`. The first one counts."""
        self.upstream.cancel(status)

    def reader_connected(self) -> None:
        """A reader came to this process."""
        self.most_readers = max(self.most_readers, self.answer.readers)
        self.reader_timeout.reader_connected()
