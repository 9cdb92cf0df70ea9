"""How a response of the Responses API ended: why, with which error, and after how many tokens."""

from collections.abc import Mapping
from typing import Final

from model.messages import FinishReason
from model.usage import Usage
from providers.error_bodies import ErrorFields, error_fields_in, says_no_error
from providers.error_parsing import error_from
from providers.errors import ProviderError
from providers.finish import finish_of
from providers.openai_responses_events import ResponsesBody, ResponsesEvent
from providers.sink import Finish

# Of `incomplete_details`, what `finish_of` does not know.
_INCOMPLETE: Final[Mapping[str, FinishReason]] = {"max_messages": FinishReason.LENGTH}

# Reasons which an incomplete answer cannot have.
_COMPLETE: Final = (FinishReason.STOP, FinishReason.TOOL_CALLS)


def finish_of_response(response: ResponsesBody, status: str, *, has_calls: bool) -> Finish | None:
    """Return the finish mark of a response with this status; None if it goes on elsewhere.

    Its word is the status or, of an incomplete response, the reason.
    """
    if status == "completed" and has_calls:
        return Finish(FinishReason.TOOL_CALLS, status)
    if status in ("completed", "failed", "cancelled"):
        return finish_of(status)
    if status != "incomplete":  # it is queued or in progress
        return None
    details = response.incomplete_details
    word = (details.reason if details is not None else None) or status
    if word in _INCOMPLETE:
        return Finish(_INCOMPLETE[word], word)
    finish = finish_of(word)
    return (
        Finish(FinishReason.ERROR, word) if finish is None or finish.reason in _COMPLETE else finish
    )


def usage_of(response: ResponsesBody) -> Usage | None:
    """Return the tokens of a response; None if it does not say."""
    usage = response.usage
    if usage is None or usage.input_tokens is None:
        return None
    read, made = usage.input_tokens_details, usage.output_tokens_details
    return Usage(
        usage.input_tokens,
        usage.output_tokens or 0,
        cached_tokens=(read.cached_tokens or 0) if read is not None else 0,
        cache_written_tokens=(read.cache_write_tokens or 0) if read is not None else 0,
        reasoning_tokens=(made.reasoning_tokens or 0) if made is not None else 0,
    )


def error_of(event: ResponsesEvent) -> ProviderError:
    """Return the error in an `error` event, whose fields may be nested in `error`."""
    if not says_no_error(event.error):
        return error_in(event.error)
    found = error_fields_in({"code": event.code, "message": event.message})
    return error_from(found or ErrorFields(event.code, "error", event.message))


def error_in(error: object) -> ProviderError:
    """Return the error in an `error` field."""
    return error_from(error_fields_in({"error": error}) or ErrorFields())
