"""The response object of OpenAI's Responses: an answer, and what its request said.

Open Responses wants every field to be there, null or its default where nothing is known.
"""

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from handlers.openai.response_items import ItemStatus, OutputItem, output_items
from model.blocks import Block
from model.messages import ClientData, Ending, FinishReason, Message, Status
from model.usage import Usage
from relay.answer import Answer

RESPONSE_PREFIX: Final = "resp_"
CONVERSATION_PREFIX: Final = "conv_"

# The name of this protocol in `ClientData`.
PROTOCOL: Final = "responses"


class ConversationName(msgspec.Struct, frozen=True):
    """The conversation of a response."""

    id: Annotated[str, Meta(description="`conv_` and the conversation's id.")]


class IncompleteDetails(msgspec.Struct, frozen=True):
    """Why a response is incomplete."""

    reason: Annotated[
        str,
        Meta(
            description="`max_output_tokens`, `content_filter`, or `stopped` if it was cancelled."
        ),
    ]


class ResponseError(msgspec.Struct, frozen=True):
    """Why a response failed."""

    code: Annotated[str, Meta(description="The error's code, which programs may match on.")]
    message: Annotated[str, Meta(description="What went wrong, for people.")]


class InputTokens(msgspec.Struct, frozen=True):
    """Parts of the input's tokens."""

    cached_tokens: Annotated[
        int, Meta(description="The tokens that were read from the provider's cache.")
    ]
    cache_write_tokens: Annotated[
        int, Meta(description="The tokens that were written to that cache.")
    ]


class OutputTokens(msgspec.Struct, frozen=True):
    """Parts of the output's tokens."""

    reasoning_tokens: Annotated[int, Meta(description="The tokens that were spent on reasoning.")]


class ResponseUsage(msgspec.Struct, frozen=True):
    """The tokens that a response took."""

    input_tokens: Annotated[int, Meta(description="Tokens of the prompt.")]
    input_tokens_details: Annotated[InputTokens, Meta(description="Parts of the input's tokens.")]
    output_tokens: Annotated[int, Meta(description="Tokens that the model generated.")]
    output_tokens_details: Annotated[
        OutputTokens, Meta(description="Parts of the output's tokens.")
    ]
    total_tokens: Annotated[int, Meta(description="Tokens of the prompt and of the output.")]


class ResponseObject(msgspec.Struct, frozen=True, kw_only=True):
    """A response, live or ended."""

    id: Annotated[str, Meta(description="`resp_` and the answer's id.")]
    object: Annotated[str, Meta(description="Always `response`.")] = "response"
    created_at: Annotated[int, Meta(description="When it was asked for, in seconds since 1970.")]
    completed_at: Annotated[
        int | None, Meta(description="When it ended; null while it is live.")
    ] = None
    status: Annotated[
        str, Meta(description="`in_progress`, `completed`, `incomplete`, `cancelled` or `failed`.")
    ]
    error: Annotated[
        ResponseError | None, Meta(description="Why it failed; null if it did not.")
    ] = None
    incomplete_details: Annotated[
        IncompleteDetails | None, Meta(description="Why it is incomplete; null if it is not.")
    ] = None
    model: Annotated[str, Meta(description="The model, as `<provider>/<model>`.")]
    output: Annotated[
        tuple[OutputItem, ...], Meta(description="The items, as far as they are generated.")
    ]
    usage: Annotated[
        ResponseUsage | None, Meta(description="How many tokens it took; null while it is live.")
    ] = None
    metadata: Annotated[dict[str, str], Meta(description="Up to 16 strings of the client.")] = {}
    conversation: Annotated[
        ConversationName | None,
        Meta(description="The conversation that it is stored in; null if it is not stored."),
    ] = None
    previous_response_id: Annotated[str | None, Meta(description="As the request had it.")] = None
    instructions: Annotated[str | None, Meta(description="As the request had it.")] = None
    tools: Annotated[list[dict[str, Any]], Meta(description="As the request had it.")] = []
    tool_choice: Annotated[Any, Meta(description="As the request had it.")] = "auto"
    parallel_tool_calls: Annotated[bool, Meta(description="As the request had it.")] = True
    text: Annotated[dict[str, Any], Meta(description="As the request had it.")] = msgspec.field(
        default_factory=lambda: {"format": {"type": "text"}}
    )
    reasoning: Annotated[dict[str, Any] | None, Meta(description="As the request had it.")] = None
    truncation: Annotated[str, Meta(description="As the request had it.")] = "disabled"
    temperature: Annotated[float, Meta(description="As the request had it.")] = 1.0
    top_p: Annotated[float, Meta(description="As the request had it.")] = 1.0
    presence_penalty: Annotated[float, Meta(description="As the request had it.")] = 0.0
    frequency_penalty: Annotated[float, Meta(description="As the request had it.")] = 0.0
    top_logprobs: Annotated[int, Meta(description="As the request had it.")] = 0
    max_output_tokens: Annotated[int | None, Meta(description="As the request had it.")] = None
    max_tool_calls: Annotated[int | None, Meta(description="As the request had it.")] = None
    store: Annotated[bool, Meta(description="As the request had it.")] = True
    background: Annotated[bool, Meta(description="As the request had it.")] = False
    service_tier: Annotated[str, Meta(description="As the request had it.")] = "default"
    safety_identifier: Annotated[str | None, Meta(description="As the request had it.")] = None
    prompt_cache_key: Annotated[str | None, Meta(description="As the request had it.")] = None
    user: Annotated[str | None, Meta(description="As the request had it.")] = None


class DeletedResponse(msgspec.Struct, frozen=True):
    """What is left of a response that was deleted."""

    id: Annotated[str, Meta(description="The response's id.")]
    object: Annotated[str, Meta(description="Always `response`.")] = "response"
    deleted: Annotated[bool, Meta(description="Always true.")] = True


# The fields that a response repeats from its request.
REPEATED: Final = frozenset(
    ResponseObject.__struct_fields__[
        ResponseObject.__struct_fields__.index("previous_response_id") :
    ]
)


def begun_response(answer: Answer) -> ResponseObject:
    """The response as it was when it began, whatever became of it."""
    return _response(answer, answer.client)


def response_of(answer: Answer) -> ResponseObject:
    """The response as it is now."""
    return _as_ended(_response(answer, answer.client), answer.ending, answer.blocks())


def _response(answer: Answer, client: ClientData | None) -> ResponseObject:
    repeated: dict[str, Any] = {}
    metadata: dict[str, str] = {}
    if client is not None:
        metadata = client.metadata
        if client.protocol == PROTOCOL:
            repeated = {key: value for key, value in client.request.items() if key in REPEATED}
    stored = repeated.get("store", True)
    return ResponseObject(
        id=RESPONSE_PREFIX + answer.id,
        created_at=_seconds(answer.created_at),
        status="in_progress",
        model=answer.model,
        output=(),
        metadata=metadata,
        conversation=(
            ConversationName(CONVERSATION_PREFIX + answer.conversation_id) if stored else None
        ),
        **repeated,
    )


def _as_ended(
    response: ResponseObject, ending: Ending | None, blocks: tuple[Block, ...]
) -> ResponseObject:
    message_id = response.id.removeprefix(RESPONSE_PREFIX)
    if ending is None:
        return msgspec.structs.replace(
            response, output=output_items(message_id, blocks, "in_progress")
        )
    status, reason = outcome(ending)
    return msgspec.structs.replace(
        response,
        status=status,
        completed_at=_seconds(ending.ended_at),
        error=_error(ending) if status == "failed" else None,
        incomplete_details=None if reason is None else IncompleteDetails(reason),
        output=output_items(message_id, blocks, last_item_status(ending)),
        usage=_usage(ending.usage),
    )


def outcome(ending: Ending) -> tuple[str, str | None]:
    """The status of an ended response, and the reason if it is incomplete."""
    match ending.status, ending.finish_reason:
        case Status.COMPLETE, FinishReason.LENGTH:
            return "incomplete", "max_output_tokens"
        case Status.COMPLETE, FinishReason.CONTENT_FILTER:
            return "incomplete", "content_filter"
        case Status.COMPLETE, _:
            return "completed", None
        case Status.STOPPED, _:
            return "cancelled", "stopped"
        case _:
            return "failed", None


def last_item_status(ending: Ending) -> ItemStatus:
    """The status of the last item of an ended response; all before it are completed."""
    return "completed" if outcome(ending)[0] == "completed" else "incomplete"


def items_of_answer(message: Message) -> tuple[OutputItem, ...]:
    """The items of an answer as it is stored."""
    ending = Answer.restored(message).ending
    last: ItemStatus = "in_progress" if ending is None else last_item_status(ending)
    return output_items(message.id, message.blocks, last)


def _error(ending: Ending) -> ResponseError:
    if ending.error is not None:
        return ResponseError(ending.error.code, ending.error.message)
    if ending.status is Status.ABANDONED:
        return ResponseError("abandoned", "The last reader disconnected, which ended the response.")
    return ResponseError(
        "interrupted", "The server stopped while it generated this response. Ask again."
    )


def _usage(usage: Usage | None) -> ResponseUsage | None:
    if usage is None:
        return None
    return ResponseUsage(
        usage.input_tokens,
        InputTokens(usage.cached_tokens, usage.cache_written_tokens),
        usage.output_tokens,
        OutputTokens(usage.reasoning_tokens),
        usage.input_tokens + usage.output_tokens,
    )


def _seconds(time: datetime) -> int:
    return int(time.timestamp())
