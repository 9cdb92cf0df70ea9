"""How an answer ended: one status, told alike to its readers, the store and the log."""

import asyncio
import logging

import msgspec

from providers.errors import ProviderError, Refused, Unreachable
from relay.errors import InternalError, RelayError, StorageUnavailable
from relay.running import Running
from relay.usage import estimate, estimate_output
from storage.base import Ending, Failure, Message, Status, Usage, now

log = logging.getLogger("headrace.relay")


def ending_of(running: Running) -> Ending:
    """How the answer ended, now that its upstream call is over."""
    error = _error(running)
    if error is None:
        status, failure = running.cause or Status.COMPLETE, None
    else:
        status, failure = Status.FAILED, Failure(error.code, str(error))
    blocks = running.answer.blocks()
    if running.usage is not None:
        usage = Usage(running.usage.input_tokens, running.usage.output_tokens)
    elif isinstance(error, Unreachable | Refused):
        usage = Usage(0, 0, estimated=True)  # nothing was generated, nothing is billed
    else:
        usage = estimate(running.prompt, blocks)
    finish = running.finish.reason if running.finish and status is Status.COMPLETE else None
    return Ending(
        status=status,
        blocks=blocks,
        finish_reason=finish,
        usage=usage,
        error=failure,
        ended_at=now(),
    )


def _error(running: Running) -> ProviderError | RelayError | None:
    """Why the upstream call failed, if it did and was not halted."""
    assert running.upstream is not None
    if running.cause is Status.FAILED:
        return StorageUnavailable()
    if running.cause is not None or running.upstream.cancelled():
        return None
    error = running.upstream.exception()
    if error is None or isinstance(error, ProviderError | RelayError):
        return error
    log.error("upstream call failed answer=%s", running.answer.id, exc_info=error)
    return InternalError()


def interrupted(ending: Ending, error: RelayError) -> Ending:
    """What readers are told when `ending` could not be kept."""
    return msgspec.structs.replace(
        ending,
        status=Status.INTERRUPTED,
        finish_reason=None,
        error=Failure(error.code, str(error)),
    )


def orphaned(message: Message) -> Ending:
    """The ending of a live answer whose process died."""
    asked = message.usage.input_tokens if message.usage else 0
    return Ending(
        status=Status.INTERRUPTED,
        blocks=message.blocks,
        usage=Usage(asked, estimate_output(message.blocks), estimated=True),
        ended_at=now(),
    )


def log_ending(running: Running, ending: Ending) -> None:
    """The one line in the log about an answer: no words of anybody's in it."""
    ended_at = asyncio.get_running_loop().time()
    first = running.first_token_at
    usage = ending.usage or Usage(0, 0)
    log.log(
        logging.WARNING if ending.error else logging.INFO,
        "answer ended status=%s code=%s provider=%s model=%s answer=%s chars=%d "
        "input_tokens=%d output_tokens=%d estimated=%s first_token_ms=%d total_ms=%d",
        ending.status,
        ending.error.code if ending.error else "-",
        running.provider,
        running.prompt.model,
        running.answer.id,
        running.answer.position,
        usage.input_tokens,
        usage.output_tokens,
        usage.estimated,
        -1 if first is None else (first - running.asked_at) * 1000,
        (ended_at - running.asked_at) * 1000,
    )
