"""The fields that are read of the events of OpenAI's Responses API.

Every event has the same type here: which fields it has, its `type` says.
"""

from typing import Any, Literal

import msgspec

from providers.lenient_json import Content


class ResponsesPart(msgspec.Struct, gc=False):
    """A part of a message, of reasoning or of its summary."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None


class ResponsesItem(msgspec.Struct, gc=False):
    """An item of the output: a message, reasoning, a function call, or of another type."""

    type: str | None = None
    id: str | None = None
    status: str | None = None
    content: list[ResponsesPart] | None = None
    # of reasoning
    summary: list[ResponsesPart] | None = None
    encrypted_content: str | None = None
    # of a function call
    call_id: str | None = None
    name: str | None = None
    arguments: Content = None


class _ResponsesInputDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _ResponsesOutputDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class ResponsesUsage(msgspec.Struct, gc=False):
    """The tokens of a response."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _ResponsesInputDetails | None = None
    output_tokens_details: _ResponsesOutputDetails | None = None


class _IncompleteDetails(msgspec.Struct, gc=False):
    reason: str | None = None


class ResponsesBody(msgspec.Struct, gc=False):
    """A response, whole or up to some event."""

    object: str | None = None
    status: str | None = None
    output: list[ResponsesItem] | None = None
    usage: ResponsesUsage | None = None
    incomplete_details: _IncompleteDetails | None = None
    error: Any = None


class ResponsesEvent(ResponsesBody, gc=False):
    """The fields that are read of an event; without a type it is a whole response, or an error."""

    type: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item_id: str | None = None
    delta: Content = None
    text: str | None = None
    refusal: str | None = None
    name: str | None = None
    arguments: Content = None
    part: ResponsesPart | None = None
    item: ResponsesItem | None = None
    response: ResponsesBody | None = None
    code: str | int | None = None
    message: Any = None


class ResponsesTextDelta(msgspec.Struct, gc=False):
    """A piece of text and nothing else."""

    type: Literal["response.output_text.delta"]
    delta: str
    output_index: int
    content_index: int
