"""Limits on what one request, one user and all users together may use."""

from typing import Self

from pydantic import Field, model_validator

from settings.values import Count, Limit, Seconds, Section


class LimitsSettings(Section):
    """Limits on what one request, one user and all users together may use.

    For limits on users, 0 means unlimited.
    """

    # A request body is kept in memory as a whole. This is sixteen times the default context. The
    # contents of files in a question do not count; these have limits of their own below.
    max_body_bytes: Count = 1_048_576
    # Bytes of all request bodies until their users are authenticated, without the first 16 KiB of
    # each: two hundred of the longest bodies. There may be ten thousand connections, none of which
    # has shown an API key yet.
    max_bodies_bytes: Count = 268_435_456
    # Bytes of one image or file of a question. Photos of phones have 2 to 8 MB; providers accept
    # images of 5 to 20 MB. A MongoDB document has 16 MB at most.
    max_file_bytes: int = Field(10_000_000, gt=0, le=15_000_000)
    # Images and files that one question may bring. Each is a write of its own, and people attach a
    # handful.
    max_files: Count = 20
    # Bytes of the body of a question with files, in base64 as in JSON: one of the largest files and
    # as much text as without files. Providers accept requests of 20 to 50 MB. At least
    # `max_body_bytes`, also where only that is set.
    max_file_body_bytes: Count = Field(
        default_factory=lambda data: max(16_777_216, data.get("max_body_bytes", 0))
    )
    # Bytes of the bodies of all questions with files, each without its first `max_body_bytes`, and,
    # counted for itself, of the files in all prompts whose answers have not ended: eight of the
    # longest bodies, or twenty with an image of 5 MB. A user's prompts may have half of it.
    max_file_bodies_bytes: Count = Field(
        default_factory=lambda data: max(134_217_728, 2 * data.get("max_file_body_bytes", 0))
    )
    # Bytes of all responses that clients have not read yet, without the first 64 KiB of each, and
    # of the ended answers that are being read: two hundred of the longest pages. A user may have an
    # eighth of it, so that seven who read nothing do not exclude the others.
    max_unsent_bytes: Count = 268_435_456
    # Browsers send less than 8 KiB; the rest is for long tokens.
    max_header_bytes: Count = 32_768
    # Header fields of a request. This is Apache's limit; browsers and proxies together send thirty.
    # Each takes 10 µs to parse.
    max_headers: Count = 100
    # Seconds for a request's head, from its first byte to the empty line. It fits into a few
    # packets, some of which may get lost.
    head_seconds: Seconds = 20.0
    # Seconds for a whole request body: 1 MiB at 17 KB per second, as on a phone with a weak signal.
    body_seconds: Seconds = 60.0
    # Seconds between requests of a connection. Longer than nginx and cloud load balancers keep
    # connections to servers (60): they should close first, because a request that is sent just when
    # the server closes is lost.
    idle_seconds: Seconds = 75.0
    # Client connections open at a time. Fewer are accepted if the limit on open files requires it:
    # each answer needs another connection, to its provider.
    connections: Count = 10_000
    # Characters of a question with its system prompt. This is what models with 128k tokens take in
    # English; a longer question would be stored and sent only to be refused.
    max_question_chars: Count = 400_000
    # Answers that this process generates at a time. A core handles some 500 at reading speed; four
    # times as many still arrive, in larger pieces. More would delay all of them, so that it is
    # better to respond with 503.
    answers: Count = 2_000
    # Answers of one user at a time in this process: a person's tabs and devices need a handful, a
    # program some dozens.
    answers_per_user: Limit = 100
    # Requests of one user at a time in this process. As many as `answers_per_user` may wait for
    # their answers as JSON, and as many again are left for other requests, which take milliseconds.
    # Streams do not count, since they last.
    requests_per_user: Limit = 200
    # Streams of one user at a time in this process. A person's tabs need a dozen, and as many
    # connections may be dead without having been noticed; but a backend may read for all of its
    # people as one user. At a tenth of `connections` it takes ten users to exclude others.
    streams_per_user: Limit = 1_000
    # Questions of one user per minute, in all processes: five per second is a program out of
    # control. As many conversations may be created or changed; one with 10,000 bytes counts as two.
    questions_per_minute: Limit = 300
    # Bytes that one user may store: a thousand for each conversation, and what they put into it. It
    # allows a hundred questions a day for fifteen years. It needs a higher value where a program
    # asks for many people with one API key.
    kept_bytes_per_user: Limit = 268_435_456
    # Tokens of one user, in and out, in all processes until midnight UTC. Only the operator knows
    # what tokens cost and who pays for them, so there is no limit by default.
    tokens_per_day: Limit = 0

    @model_validator(mode="after")
    def _has_room_for_a_body(self) -> Self:
        # Bodies are read up to twice max_body_bytes, so that the refusal can be sent: one has to
        # fit.
        if self.max_bodies_bytes < 2 * self.max_body_bytes:
            raise ValueError("max_bodies_bytes should be at least twice max_body_bytes")
        return self

    @model_validator(mode="after")
    def _has_room_for_files(self) -> Self:
        if self.max_file_body_bytes < self.max_body_bytes:
            raise ValueError("max_file_body_bytes should be at least max_body_bytes")
        # A question's files count twice, for its body and for its prompt.
        if self.max_file_bodies_bytes < 2 * self.max_file_body_bytes:
            raise ValueError("max_file_bodies_bytes should be at least twice max_file_body_bytes")
        return self
