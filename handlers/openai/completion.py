"""A whole answer as OpenAI's chat completion, and what its stream shares with it.

Docstrings and descriptions of fields are part of the OpenAPI document.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from handlers.openai.answer_error import answer_error
from handlers.openai.error_body import ErrorObject, error_body
from model.blocks import Block, ImageBlock, ReasoningBlock, TextBlock, ToolCallBlock
from model.messages import Ending, FinishReason, Status
from model.usage import Usage
from relay.answer import Answer

ID_PREFIX = "chatcmpl-"
CONVERSATION_PREFIX = "conv_"

FinishWord = Literal["stop", "length", "tool_calls", "content_filter"]
_WORDS: dict[str | None, FinishWord] = {
    FinishReason.LENGTH: "length",
    FinishReason.CONTENT_FILTER: "content_filter",
}


class PromptTokens(msgspec.Struct, frozen=True, omit_defaults=True):
    """Parts of the tokens of the prompt, as far as the provider gave them."""

    cached_tokens: Annotated[
        int, Meta(description="The tokens that were read from the provider's cache.")
    ]
    cache_write_tokens: Annotated[
        int, Meta(description="The tokens that were written to the provider's cache.")
    ] = 0


class CompletionTokens(msgspec.Struct, frozen=True):
    """Parts of the tokens of the answer, as far as the provider gave them."""

    reasoning_tokens: Annotated[int, Meta(description="The tokens that were spent on reasoning.")]


class CompletionUsage(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many tokens a completion took."""

    prompt_tokens: Annotated[int, Meta(description="Tokens of the prompt.")]
    completion_tokens: Annotated[int, Meta(description="Tokens that the model generated.")]
    total_tokens: Annotated[int, Meta(description="Tokens of the prompt and of the answer.")]
    prompt_tokens_details: Annotated[
        PromptTokens | None, Meta(description="Parts of the prompt's tokens.")
    ] = None
    completion_tokens_details: Annotated[
        CompletionTokens | None, Meta(description="Parts of the answer's tokens.")
    ] = None
    estimated: Annotated[
        bool, Meta(description="True if the provider gave no figures and these are estimates.")
    ] = False
    running: Annotated[
        bool, Meta(description="True if these are the provider's figures up to a cut-off.")
    ] = False


class CalledFunction(msgspec.Struct, frozen=True):
    """The function that a tool call names."""

    name: Annotated[str, Meta(description="The function's name.")]
    arguments: Annotated[
        str, Meta(description="JSON, as the model wrote it; it may have made a mistake.")
    ]


class CompletionToolCall(msgspec.Struct, frozen=True, tag_field="type", tag="function"):
    """A call that the model asks the client to carry out."""

    id: Annotated[str, Meta(description="The call's id, for the `tool` message with its result.")]
    function: Annotated[CalledFunction, Meta(description="The function to call.")]


class CompletionMessage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The answer as a message."""

    role: Annotated[str, Meta(description="Always `assistant`.")]
    content: Annotated[str | None, Meta(description="The text; null if there is none.")]
    refusal: Annotated[None, Meta(description="Always null: a refusal is text.")]
    reasoning_content: Annotated[
        str | None, Meta(description="The model's reasoning; left out if there is none.")
    ] = None
    tool_calls: Annotated[
        tuple[CompletionToolCall, ...] | None,
        Meta(description="The calls; left out if there are none."),
    ] = None
    images: Annotated[
        tuple[dict[str, Any], ...] | None, Meta(description="Images; left out if there are none.")
    ] = None


class Choice(msgspec.Struct, frozen=True):
    """The one choice of a completion."""

    index: Annotated[int, Meta(description="Always 0.")]
    message: Annotated[CompletionMessage, Meta(description="The answer.")]
    logprobs: Annotated[None, Meta(description="Always null.")]
    finish_reason: Annotated[
        FinishWord | None,
        Meta(description="Why the answer ended; null if it is not whole, see `status`."),
    ]


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole answer."""

    id: Annotated[str, Meta(description="The completion's id: `chatcmpl-` and the answer's id.")]
    object: Annotated[str, Meta(description="Always `chat.completion`.")]
    created: Annotated[int, Meta(description="When it was asked, in seconds since 1970.")]
    model: Annotated[str, Meta(description="The model, as `<provider>/<model>`.")]
    choices: Annotated[tuple[Choice, ...], Meta(description="The answer, as the only choice.")]
    usage: Annotated[
        CompletionUsage | None, Meta(description="How many tokens it took; null while it is live.")
    ]
    metadata: Annotated[
        dict[str, str] | None,
        Meta(
            description="Of a stored completion: what the client stored with it, and the id of its "
            "conversation as `conversation_id`."
        ),
    ] = None
    status: Annotated[
        Status | None,
        Meta(description="How a stored completion stands that is not whole; else left out."),
    ] = None
    error: Annotated[
        ErrorObject | None, Meta(description="Why a stored completion is not whole.")
    ] = None


def completion_id(answer_id: str) -> str:
    """The id of the completion that an answer is."""
    return ID_PREFIX + answer_id


def answer_id_of(given: str) -> str:
    """The id of the answer that a completion's id names; no answer's id if it is none."""
    return given.removeprefix(ID_PREFIX)


def created_at(answer: Answer) -> int:
    """When the question was asked, in seconds since 1970."""
    return int(answer.created_at.timestamp())


def finish_word(ending: Ending, *, has_calls: bool) -> FinishWord | None:
    """OpenAI's word for the end of a whole answer; None for one that is not whole.

    Some providers say `stop` also after tool calls, for which some clients look at this word.
    """
    if ending.status is not Status.COMPLETE:
        return None
    word = _WORDS.get(ending.finish_reason)
    return word or ("tool_calls" if has_calls else "stop")


def completion_usage(usage: Usage) -> CompletionUsage:
    """The usage as OpenAI spells it."""
    read, written = usage.input_tokens, usage.output_tokens
    cached, cache_written = usage.cached_tokens, usage.cache_written_tokens
    return CompletionUsage(
        read,
        written,
        read + written,
        PromptTokens(cached, cache_written) if cached or cache_written else None,
        CompletionTokens(usage.reasoning_tokens) if usage.reasoning_tokens else None,
        usage.estimated,
        usage.running,
    )


def completion_of(answer: Answer) -> ChatCompletion:
    """The answer, which may still be live, as a chat completion."""
    ending = answer.ending
    word = None if ending is None else finish_word(ending, has_calls=answer.tool_calls > 0)
    usage = None if ending is None else ending.usage
    return ChatCompletion(
        id=completion_id(answer.id),
        object="chat.completion",
        created=created_at(answer),
        model=answer.model,
        choices=(Choice(0, _message(answer.blocks()), None, word),),
        usage=None if usage is None else completion_usage(usage),
    )


def stored_completion(answer: Answer, request_id: str | None = None) -> ChatCompletion:
    """An answer that is stored, with what its client stored with it, and how it stands."""
    ending, client = answer.ending, answer.client
    error = None if ending is None else answer_error(ending)
    status = Status.LIVE if ending is None else ending.status
    named = {"conversation_id": f"{CONVERSATION_PREFIX}{answer.conversation_id}"}
    return msgspec.structs.replace(
        completion_of(answer),
        metadata=named | (client.metadata if client is not None else {}),
        status=None if status is Status.COMPLETE else status,
        error=None if error is None else error_body(error, request_id).error,
    )


def image_url(image: ImageBlock) -> dict[str, Any]:
    """An image as gateways spell one in an answer; OpenAI's own completions have none."""
    url = image.url or f"/api/v1/files/{image.file_id}"
    return {"type": "image_url", "image_url": {"url": url}}


def _message(blocks: Iterable[Block]) -> CompletionMessage:
    """The message of an answer; its texts are joined, also where something else is in between."""
    texts: list[str] = []
    reasoning: list[str] = []
    calls: list[CompletionToolCall] = []
    images: list[dict[str, Any]] = []
    for block in blocks:
        match block:
            case TextBlock():
                texts.append(block.text)
            case ReasoningBlock():
                reasoning.append(block.text)
            case ToolCallBlock():
                function = CalledFunction(block.name, block.arguments)
                calls.append(CompletionToolCall(block.id, function))
            case ImageBlock():
                images.append(image_url(block))
    return CompletionMessage(
        role="assistant",
        content="".join(texts) if texts or not calls else None,
        refusal=None,
        reasoning_content="".join(reasoning) or None,
        tool_calls=tuple(calls) or None,
        images=tuple(images) or None,
    )
