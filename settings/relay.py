"""Answers: their readers, their bounds, the history that is sent, and how they are stored."""

from typing import Literal, Self

from pydantic import Field, model_validator

from settings.values import Count, Seconds, Section


class RelaySettings(Section):
    """Answers: their readers, their bounds, and how they are stored."""

    # okhttp-eventsource disconnects after 5 s without data; carrier NATs and proxies after 30 to
    # 60.
    heartbeat_seconds: Seconds = 4.0
    # The seconds of an answer that a crash may lose, against one write per process and tick.
    checkpoint_seconds: Seconds = 1.0
    # The provider's stream is never paused, so this limits the memory. With 4 bytes per character,
    # three million still fit into MongoDB's 16 MB per document, together with usage and titles.
    max_answer_chars: int = Field(1_000_000, gt=0, le=3_000_000)
    # When the last reader disconnects: cancel the call, to save its cost, or finish and store the
    # answer.
    on_disconnect: Literal["cancel", "finish"] = "cancel"
    # Seconds to wait for the first reader after `Prefer: respond-async`. It needs another round
    # trip, on a phone perhaps with a new connection; later than this, none is expected.
    attach_seconds: Seconds = 10.0
    # Seconds to wait for a reader again if the question has an Idempotency-Key, whose client
    # intends to reconnect: a change of networks takes a phone some seconds, and an EventSource or a
    # library's backoff a few more. It has no effect without a key, with `on_disconnect = "finish"`,
    # or for a question with its own `on_disconnect`.
    grace_seconds: Seconds = 15.0
    # Seconds after which a client that waits for an answer as JSON gets a first sign of life, which
    # is white space before the JSON; then one every `heartbeat_seconds`. Proxies give up after 30
    # to 60 silent seconds. The first one sends the status 200, so an answer that fails later breaks
    # the connection off: nearly all that fail do so within seconds. 0: none is sent.
    first_sign_seconds: float = Field(25.0, ge=0, allow_inf_nan=False)
    # Seconds after which a reader is disconnected whose machine acknowledges nothing, probes
    # included, such as a phone in a tunnel, which reconnects and resumes later. At most an hour, as
    # the kernel's keepalive allows.
    reader_dead_seconds: float = Field(60.0, ge=1, le=3600)
    # Seconds after which a reader is disconnected that is alive but reads nothing. One that reads
    # 500 bytes per second may seem to read nothing for 100 s, because a machine opens its TCP
    # window again only when half of it is free.
    reader_stall_seconds: float = Field(180.0, ge=1, le=86_400)
    # The longest time, in milliseconds, for which a busy process holds tokens, to write them
    # together; 0 for never. Models send a token every 10 to 40 ms, so that reading stays as fluent.
    pace_ms: float = Field(25.0, ge=0, le=1000)
    # Seconds to wait for live answers at SIGTERM: most end within it, and supervisors wait longer
    # (systemd: 90).
    drain_seconds: float = Field(30.0, ge=0, allow_inf_nan=False)
    # Seconds for which a process counts as alive without a sign of it: longer than any pause of a
    # healthy one, and shorter than people wait for an answer that has stopped.
    lease_seconds: Seconds = 30.0

    @model_validator(mode="after")
    def _lease_outlives_ticks(self) -> Self:
        # Otherwise an answer's checkpoints would be further apart than the detection of a crash.
        if self.lease_seconds < 3 * self.checkpoint_seconds:
            raise ValueError("lease_seconds should be at least three times checkpoint_seconds")
        return self

    @model_validator(mode="after")
    def _readers_hear_before_they_are_cut(self) -> Self:
        # A heartbeat has to be sent within that time, and has a second to be acknowledged.
        if self.reader_dead_seconds < self.heartbeat_seconds + 1:
            raise ValueError(
                "reader_dead_seconds should be at least one second more than heartbeat_seconds"
            )
        return self


class ContextSettings(Section):
    """How much of a conversation is sent with a question."""

    # 15,000 to 60,000 tokens, depending on the language: within the 128k tokens of current models.
    max_chars: Count = 60_000
    # Each hundred cost a read of the store: without a limit, a conversation with thousands of one-
    # letter messages would cost dozens of reads per question.
    max_messages: Count = 200
    # Bytes of images and files that are sent again, besides those of the question itself: two
    # images of 5 MB, of the 20 to 50 MB that providers accept in a request. The newest ones are
    # sent; of those with an address, only the address counts.
    max_part_bytes: int = Field(10_485_760, ge=0)
