"""The record of an ended answer, for the log, the metrics and the traces.

Its moments are noted while the answer is generated, which costs nothing per token. It contains no
text of questions and answers, no key, and the user only as a hash.
"""

import asyncio
import hashlib
import logging

import msgspec

from model.messages import Ending, Status
from model.usage import Usage
from providers.errors import ProviderError
from relay.ask_request import Caller
from relay.generation import Generation
from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.relay")

# Hexadecimal digits of a user's hash: 64 bits, so that no two users of a server share one.
_HASH_CHARS = 16


class AnswerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An ended answer of this process.

    Moments are by the loop's clock, and None if they did not come.
    """

    answer_id: str
    conversation_id: str
    user: str  # hashed
    caller: Caller
    model: str  # as it was requested: <provider>/<model>
    provider: str
    provider_model: str
    status: Status
    finish_reason: str | None
    code: str | None  # the code of the error that its readers got
    upstream_code: str | None  # the code of the provider's failure, if that ended it
    provider_code: str | None  # the provider's own code for it
    reason: str | None  # this server's reason, where the code is not precise
    usage: Usage
    chars: int
    most_readers: int  # the most at a time
    asked_at: float
    sent_at: float | None  # the request was sent to the provider
    first_token_at: float | None
    cancelled_at: (
        float | None
    )  # it was cancelled: its last reader disconnected, or a client stopped it
    closed_at: float  # the provider's call ended, its connection closed or returned to the pool
    ended_at: float  # readers got the end, and the store unless it failed

    @property
    def first_token_seconds(self) -> float | None:
        """Seconds from the question to the first token."""
        return None if self.first_token_at is None else self.first_token_at - self.asked_at

    @property
    def total_seconds(self) -> float:
        """Seconds from the question to the end."""
        return self.ended_at - self.asked_at

    @property
    def cancel_seconds(self) -> float | None:
        """Seconds from cancelling to the closing of the provider's connection."""
        return None if self.cancelled_at is None else self.closed_at - self.cancelled_at


def record_of(generation: Generation, ending: Ending) -> AnswerRecord:
    """The record of `generation`, whose readers got `ending`."""
    answer = generation.answer
    now = asyncio.get_running_loop().time()
    error = _provider_error(generation)
    return AnswerRecord(
        answer_id=answer.id,
        conversation_id=answer.conversation_id,
        user=user_hash(generation.user),
        caller=generation.caller,
        model=answer.model,
        provider=generation.provider,
        provider_model=generation.prompt.model,
        status=ending.status,
        finish_reason=ending.finish_reason,
        code=ending.error.code if ending.error else None,
        upstream_code=error.code if error else None,
        provider_code=error.provider_word if error else None,
        reason=error.reason if error else None,
        usage=ending.usage or Usage(0, 0),
        chars=answer.position,
        most_readers=generation.most_readers,
        asked_at=generation.timeline.asked_at,
        sent_at=generation.timeline.sent_at,
        first_token_at=generation.timeline.first_token_at,
        cancelled_at=generation.timeline.cancelled_at,
        closed_at=generation.timeline.closed_at or now,
        ended_at=now,
    )


def log_answer(record: AnswerRecord) -> None:
    """Write the one log line about an ended answer."""
    first = record.first_token_seconds
    event = LogEvent(
        "answer ended",
        status=record.status,
        code=record.code,
        provider_code=record.provider_code,
        reason=record.reason,
        provider=record.provider,
        model=record.provider_model,
        answer=record.answer_id,
        user=record.user,
        request=record.caller.request_id,
        chars=record.chars,
        input_tokens=record.usage.input_tokens,
        output_tokens=record.usage.output_tokens,
        estimated=record.usage.estimated,
        readers=record.most_readers,
        first_token_ms=-1 if first is None else int(first * 1000),
        total_ms=int(record.total_seconds * 1000),
    )
    log.log(logging.WARNING if record.code else logging.INFO, event)


def user_hash(user: str) -> str:
    """Return the hash of a user, by which log lines about one user can be found.

    It is a pseudonym and no secret: anyone with a list of users can compute their hashes.
    """
    return hashlib.sha256(user.encode()).hexdigest()[:_HASH_CHARS]


def _provider_error(generation: Generation) -> ProviderError | None:
    """The provider's failure; None if the answer was cancelled first."""
    error = generation.upstream.error
    return error if isinstance(error, ProviderError) else None
