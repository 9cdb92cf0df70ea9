"""What one request, one user and all of them together may cost."""

from typing import Self

from pydantic import model_validator

from settings.values import Count, Limit, Seconds, Section


class LimitsSettings(Section):
    """What one request, one user and all of them together may cost. 0 lifts a limit on users."""

    # Held in memory whole. Sixteen times the default context; pictures travel as addresses.
    max_body_bytes: Count = 1_048_576
    # Of all bodies until it is known whose they are, beyond their first 16 KiB each: two hundred of
    # the longest.
    # Connections may be ten thousand, and nobody has shown a key yet.
    max_bodies_bytes: Count = 268_435_456
    # Of all responses that nobody has taken yet, beyond their first 64 KiB each, and of the ended
    # answers that are being read: two hundred of the longest pages. A user has an eighth of it, so
    # that seven of them who read nothing keep nobody out.
    max_unsent_bytes: Count = 268_435_456
    # Browsers stay below 8 KiB, with room for long tokens.
    max_header_bytes: Count = 32_768
    # Apache's own limit; browsers and proxies together send thirty. Each takes 10 µs to read.
    max_headers: Count = 100
    # From its first byte to its empty line. It fits into a few packets, of which some may get lost.
    head_seconds: Seconds = 20.0
    # All of a body: 1 MiB at 17 KB a second, which is a phone at the edge of its network.
    body_seconds: Seconds = 60.0
    # Between requests. Longer than nginx and cloud balancers keep connections to us (60): they
    # should be the ones to hang up, or a request sent in that very moment is lost.
    idle_seconds: Seconds = 75.0
    # Readers', open at a time. Less where the limit on open files wants it: an answer takes one
    # more, to its provider.
    connections: Count = 10_000
    # With the system prompt. What models of 128k tokens take, in English; whatever is longer would
    # be stored, sent and refused there.
    max_question_chars: Count = 400_000
    # Written by this process at a time. A core carries some 500 at reading speed; four times as
    # many still arrive, in larger pieces. More would make all of them late: better some say 503.
    answers: Count = 2_000
    # Of one user at a time, in this process: a person's tabs and devices need a handful, a program
    # of theirs some dozens.
    answers_per_user: Limit = 100
    # Of one user at a time, in this process. As many as answers may be waited for as JSON, and as
    # many again for all else, which takes milliseconds. Streams do not count: they last.
    requests_per_user: Limit = 200
    # The same. A person's tabs need a dozen, and as many again have connections that are dead, and
    # nobody has noticed yet; but a backend may read for all its people as one user. With a tenth of
    # `connections` it takes ten of them to keep others out.
    streams_per_user: Limit = 1_000
    # Of one user at all processes: five a second is no person, and a program gone wild. So many
    # conversations may be made or changed as well; one that brings 10,000 bytes counts as two.
    questions_per_minute: Limit = 300
    # What one user may keep: a thousand for each conversation, and what they put into them. It is
    # a hundred questions a day for fifteen years. Where a program asks for many people by one key,
    # it wants more.
    kept_bytes_per_user: Limit = 268_435_456
    # Of one user at all processes, in and out, until midnight UTC. What a token costs, and who
    # pays for it, only the operator knows.
    tokens_per_day: Limit = 0

    @model_validator(mode="after")
    def _has_room_for_a_body(self) -> Self:
        # Bodies are read up to twice max_body_bytes, to refuse them in words: one has to fit.
        if self.max_bodies_bytes < 2 * self.max_body_bytes:
            raise ValueError("max_bodies_bytes should be at least twice max_body_bytes")
        return self
