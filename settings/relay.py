"""An answer: its readers, its bound, what goes along with its question, its way to storage."""

from typing import Literal, Self

from pydantic import Field, model_validator

from settings.values import Count, Seconds, Section


class RelaySettings(Section):
    """One relayed answer: its readers, its bound, its way to storage."""

    # okhttp-eventsource gives up after 5 silent seconds; carrier NATs and proxies after 30 to 60.
    heartbeat_seconds: Seconds = 4.0
    # What a crash may cost of an answer, against one write per process and tick.
    checkpoint_seconds: Seconds = 1.0
    # An upstream is never paused, so this bounds its memory. At 4 bytes a character three million
    # still fit MongoDB's 16 MB document, with room for usage and titles.
    max_answer_chars: int = Field(1_000_000, gt=0, le=3_000_000)
    # When the last reader leaves: stop paying at once, or run to the end and store it.
    on_disconnect: Literal["cancel", "finish"] = "cancel"
    # After `Prefer: respond-async` the first reader needs one more round trip, on a phone perhaps
    # with a new connection; who has not come by then is not coming.
    attach_seconds: Seconds = 10.0
    # Who asks under an Idempotency-Key intends to come back: a change of networks takes a phone
    # some seconds, and an EventSource or a library's backoff a few more. It does not count without
    # a key, with `on_disconnect = "finish"`, or if the question has an `on_disconnect` of its own.
    grace_seconds: Seconds = 15.0
    # A reader whose machine acknowledges nothing for so long, no probe either, is gone: a phone in
    # a tunnel, which comes back and resumes. An hour: the kernel's keepalive counts so far.
    reader_dead_seconds: float = Field(60.0, ge=1, le=3600)
    # A reader that is there and takes nothing for so long is cut. Who takes 500 bytes a second may
    # take none for 100: a machine opens its window again when half of it is free.
    reader_stall_seconds: float = Field(180.0, ge=1, le=86_400)
    # At SIGTERM: most answers are over within it, and supervisors wait for longer (systemd: 90).
    drain_seconds: float = Field(30.0, ge=0, allow_inf_nan=False)
    # How long a silent process counts as alive: longer than any pause of a healthy one, shorter
    # than people wait for an answer that will not go on.
    lease_seconds: Seconds = 30.0

    @model_validator(mode="after")
    def _lease_outlives_ticks(self) -> Self:
        # Else a crash would cost more of an answer than it takes to notice.
        if self.lease_seconds < 3 * self.checkpoint_seconds:
            raise ValueError("lease_seconds should be at least three times checkpoint_seconds")
        return self

    @model_validator(mode="after")
    def _readers_hear_before_they_are_cut(self) -> Self:
        # A sign of life has to be sent within it, and has a second to be acknowledged.
        if self.reader_dead_seconds < self.heartbeat_seconds + 1:
            raise ValueError("reader_dead_seconds should be a second more than heartbeat_seconds")
        return self


class ContextSettings(Section):
    """How much of a conversation goes along with a question."""

    # 15,000 to 60,000 tokens by language: within the 128k window of today's usual models.
    max_chars: Count = 60_000
    # Each hundred are a read of the store: without this, a conversation of thousands of one-letter
    # messages would cost dozens of reads a question.
    max_messages: Count = 200
