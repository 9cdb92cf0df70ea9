"""Decides how an answer ended: the one status for its readers, the store and the log.

COMPLETE and FAILED are decided here, by what the provider sent. The others are given by what
cancelled the call: ABANDONED by `reader_timeout.py`; STOPPED by `stopping.py`, `peer_requests.py`,
`conversations.py` and, for a conversation that another process deleted, `checkpoints.py`;
INTERRUPTED by `relay.py` at a shutdown and by `lease_keeper.py`.
"""

import logging

import msgspec

from model.blocks import Block, TextBlock
from model.messages import Ending, Failure, Message, Status, now
from model.usage import Usage
from providers.errors import ProviderError, Refused, StreamBroken, Unreachable
from relay.errors import AnswerTooLong, InternalError, RelayError
from relay.generation import Generation
from relay.usage import estimate, estimate_output
from telemetry.log_event import LogEvent

log = logging.getLogger("headrace.relay")

# By how much an estimate of tokens may exceed their number: of text with long words it is twice as
# much, hardly ever more.
_ESTIMATE_FACTOR = 4

_NOTHING = Usage(0, 0, estimated=True)  # nothing was generated, so nothing was billed


def ending_of(generation: Generation) -> Ending:
    """The ending of an answer whose provider call is over."""
    status, error = _outcome(generation)
    blocks = generation.answer.blocks()
    finish = generation.intake.finish_mark if status is Status.COMPLETE else None
    return Ending(
        status=status,
        blocks=blocks,
        finish_reason=finish.reason if finish else None,
        usage=_usage(generation, status, blocks, error),
        timing=generation.timeline.timing(),
        error=failure_of(error) if error else None,
        attempts=tuple(generation.intake.attempts),
        ended_at=now(),
    )


def _outcome(generation: Generation) -> tuple[Status, ProviderError | RelayError | None]:
    """The status, and the failure if there was one."""
    upstream = generation.upstream
    error = upstream.error
    if generation.intake.is_finished and error is None:
        return Status.COMPLETE, None  # even if it was cancelled after that
    if upstream.cancelled_as is not None:
        return upstream.cancelled_as, None
    if upstream.was_cancelled:
        return Status.INTERRUPTED, None
    if error is None:
        return Status.FAILED, StreamBroken(reason="no_finish_mark")
    if isinstance(error, ProviderError | RelayError):
        return Status.FAILED, error
    log.error(LogEvent("upstream call failed", answer=generation.answer.id), exc_info=error)
    return Status.FAILED, InternalError()


def failure_of(error: ProviderError | RelayError) -> Failure:
    """The failure that readers get and that is stored for an error."""
    if isinstance(error, ProviderError):
        return Failure(
            error.code, str(error), error.retryable, error.retry_after, error.provider_word
        )
    return Failure(error.code, str(error))


def _usage(
    generation: Generation,
    status: Status,
    blocks: tuple[Block, ...],
    error: ProviderError | RelayError | None,
) -> Usage:
    """The provider's figures, else an estimate of what it must have generated.

    Nothing was generated if the provider could not be reached, or refused with an error status; an
    error within a response that began as an answer is another case.
    """
    reported = generation.intake.reported_usage
    if reported is not None:
        return reported if status is Status.COMPLETE else _usage_up_to_now(reported, blocks)
    attempts = generation.intake.attempts
    accepted = any(200 <= (tried.http_status or 0) < 300 for tried in attempts)
    refused = isinstance(error, Unreachable | Refused) and not accepted and not blocks
    was_sent = generation.timeline.sent_at is not None
    return estimate(generation.prompt, blocks) if was_sent and not refused else _NOTHING


def _usage_up_to_now(reported: Usage, blocks: tuple[Block, ...]) -> Usage:
    """The figures that a provider gave before the answer was cut off.

    Anthropic counts the output at its end only, and says 1 until then: where the figure is a small
    part of what was written, the estimate of that takes its place.
    """
    written = estimate_output(blocks)
    if reported.output_tokens * _ESTIMATE_FACTOR < written:
        return msgspec.structs.replace(reported, output_tokens=written, estimated=True)
    return msgspec.structs.replace(reported, running=True)


def never_sent(error: RelayError) -> Ending:
    """The ending of an answer whose question was never sent to the provider."""
    return Ending(
        status=Status.FAILED,
        blocks=(),
        usage=_NOTHING,
        error=failure_of(error),
        ended_at=now(),
    )


def disconnected_before_sending() -> Ending:
    """The ending of an answer whose client disconnected before its question was sent."""
    return Ending(status=Status.ABANDONED, blocks=(), usage=_NOTHING, ended_at=now())


def orphaned(message: Message) -> Ending:
    """The ending of a live answer whose process died."""
    asked = message.usage.input_tokens if message.usage else 0
    return Ending(
        status=Status.INTERRUPTED,
        blocks=message.blocks,
        usage=Usage(asked, estimate_output(message.blocks), estimated=True),
        ended_at=now(),
    )


def deleted(ending: Ending) -> Ending:
    """`ending` for an answer whose conversation was deleted, which stops it."""
    return msgspec.structs.replace(ending, status=Status.STOPPED, finish_reason=None, error=None)


def interrupted(ending: Ending, error: RelayError) -> Ending:
    """`ending` for an answer whose end cannot be stored as it is."""
    return msgspec.structs.replace(
        ending,
        status=Status.INTERRUPTED,
        finish_reason=None,
        error=failure_of(error),
    )


def too_long(ending: Ending) -> Ending:
    """`ending` without what no store could hold; its text always fits.

    Text is bounded by `relay.max_answer_chars`; provider data and blocks that come whole are not.
    """
    return msgspec.structs.replace(
        ending,
        status=Status.FAILED,
        blocks=_text_in(ending),
        finish_reason=None,
        error=failure_of(AnswerTooLong()),
    )


def failed_by_a_bug(ending: Ending) -> Ending:
    """What becomes of `ending` when storing it raises what no store should: its text.

    The bug may be about the rest: a strange name of a tool, a number that is too large.
    """
    return msgspec.structs.replace(
        ending,
        status=Status.FAILED,
        blocks=_text_in(ending),
        finish_reason=None,
        attempts=(),
        error=failure_of(InternalError()),
    )


def _text_in(ending: Ending) -> tuple[TextBlock, ...]:
    return tuple(block for block in ending.blocks if isinstance(block, TextBlock))
