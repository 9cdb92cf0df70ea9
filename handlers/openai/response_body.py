"""The body of a request for a response, and the options of an `AskRequest` that it sets.

A field that this server cannot do is refused by its name, and so is one that it does not know, as
OpenAI does. Docstrings and descriptions of fields are part of the OpenAPI document.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from handlers.openai.field_errors import invalid_field, unsupported_field
from handlers.openai.response_object import CONVERSATION_PREFIX, REPEATED, RESPONSE_PREFIX
from handlers.openai.response_tools import (
    BodyPart,
    Choice,
    chosen_from,
    functions_of,
    shown_tool,
    tool_of,
)
from handlers.question_options import ModelName
from handlers.tool_definitions import MAX_SCHEMA_DEPTH, MAX_TOOLS, ToolName
from handlers.whole_numbers import Count, positive, whole
from model.embedded_json import check_depth
from model.prompt import ReasoningEffort, ResponseFormat

_Penalty = Annotated[float, Meta(ge=-2, le=2)]
_Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]
_Word = Annotated[str, Meta(max_length=512)]

# What `include` may name although no answer ever has it: it belongs to hosted tools.
_NOT_INCLUDED = "message.output_text.logprobs"


# Words of OpenAI's own fields that ask for nothing but what happens without them.
_NEUTRAL = (("text.verbosity", "medium"), ("service_tier", "auto"), ("service_tier", "default"))


class NamedConversation(BodyPart, frozen=True):
    """A conversation by its id."""

    id: Annotated[str, Meta(description="The conversation's id.")]


class ReasoningOptions(BodyPart, frozen=True):
    """How the model reasons."""

    effort: Annotated[ReasoningEffort | None, Meta(description="How much the model reasons.")] = (
        None
    )
    summary: Annotated[
        Literal["auto", "concise", "detailed"] | None,
        Meta(
            description="Asked for where the model's provider has the Responses API; others give "
            "of the reasoning what they give."
        ),
    ] = None
    generate_summary: Annotated[
        Literal["auto", "concise", "detailed"] | None,
        Meta(description="The former name of `summary`; without effect."),
    ] = None
    context: Annotated[
        Literal["auto"] | None,
        Meta(
            description="Only `auto` is possible: the model gets back what it needs of earlier "
            "reasoning."
        ),
    ] = None
    mode: Annotated[
        Literal["standard"] | None, Meta(description="Only `standard` is possible.")
    ] = None


class AnyTextFormat(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """The answer's text may be any text."""


class ResponseJsonObject(msgspec.Struct, frozen=True, tag_field="type", tag="json_object"):
    """The answer's text is a JSON object."""


class ResponseJsonSchema(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="json_schema"
):
    """The answer's text is JSON that matches a schema."""

    name: Annotated[ToolName, Meta(description="A name of 1 to 64 letters, digits, `_` or `-`.")]
    schema: Annotated[dict[str, Any], Meta(description="The JSON Schema.")]
    strict: Annotated[
        bool | None, Meta(description="True: the model keeps to the schema exactly.")
    ] = None
    description: Annotated[str | None, Meta(description="What the JSON is for.")] = None

    def __post_init__(self) -> None:
        check_depth(self.schema, MAX_SCHEMA_DEPTH)


class TextOptions(BodyPart, frozen=True):
    """What the answer's text has to be."""

    format: Annotated[
        AnyTextFormat | ResponseJsonObject | ResponseJsonSchema | None,
        Meta(description="The format of the text. Null: any text."),
    ] = None
    verbosity: Annotated[
        Literal["low", "medium", "high"] | None,
        Meta(
            description="How long the answer is. Others than `medium` need a `model` of OpenAI's, "
            "or of a provider with its API."
        ),
    ] = None


class ResponseStreamOptions(BodyPart, frozen=True):
    """Options of the stream."""

    include_obfuscation: Annotated[
        bool | None, Meta(description="Without effect: events are never padded.")
    ] = None


_REPEATED = Meta(description="Accepted and repeated in the response, without effect.")
_UNSUPPORTED = Meta(description="Not supported: any value but null is refused.")


class ResponseBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request for a response."""

    input: Annotated[
        str | list[dict[str, Any]],
        Meta(
            description="What is asked: a text, or items, of which the last is the user's.",
            examples=["What is a headrace?"],
        ),
    ]
    model: Annotated[
        ModelName | None,
        Meta(
            description="The model, as `<provider>/<model>`. Null: the conversation's, else the "
            "server's default.",
            examples=["openai/gpt-4o-mini"],
        ),
    ] = None
    instructions: Annotated[
        str | None,
        Meta(description="The system prompt of this response, not of those that follow it."),
    ] = None
    previous_response_id: Annotated[
        str | None,
        Meta(description="The response that this one follows. Several may follow the same one."),
    ] = None
    conversation: Annotated[
        str | NamedConversation | None,
        Meta(
            description="The conversation to go on with; not together with `previous_response_id`."
        ),
    ] = None
    stream: Annotated[
        bool | None, Meta(description="True: the response is a stream of events.")
    ] = None
    stream_options: Annotated[
        ResponseStreamOptions | None, Meta(description="The options of the stream.")
    ] = None
    background: Annotated[
        bool | None,
        Meta(
            description="True: the response is returned at once, and generated to its end even if "
            "nobody reads it."
        ),
    ] = None
    store: Annotated[
        bool | None,
        Meta(
            description="False: nothing is stored, and the response is cancelled when its client "
            "disconnects. Null: true."
        ),
    ] = None
    metadata: Annotated[
        _Metadata | None,
        Meta(description="Up to 16 strings, which are stored and returned with the response."),
    ] = None
    include: Annotated[
        list[str] | None,
        Meta(description="Without effect, except that log probabilities are refused."),
    ] = None
    max_output_tokens: Annotated[
        Count | None, Meta(description="The largest number of tokens to generate.")
    ] = None
    max_tool_calls: Annotated[
        Count | None,
        Meta(
            description="Accepted and repeated in the response, without effect: it limits calls "
            "of hosted tools."
        ),
    ] = None
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(description="The sampling temperature, 0 to 2."),
    ] = None
    top_p: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="The probability mass to sample from, 0 to 1."),
    ] = None
    presence_penalty: Annotated[
        _Penalty | None, Meta(description="Makes words that occurred less likely, -2 to 2.")
    ] = None
    frequency_penalty: Annotated[
        _Penalty | None, Meta(description="Makes frequent words less likely, -2 to 2.")
    ] = None
    top_logprobs: Annotated[
        Annotated[int, Meta(ge=0, le=20)] | None, Meta(description="Only 0 is possible.")
    ] = None
    reasoning: Annotated[ReasoningOptions | None, Meta(description="How the model reasons.")] = None
    text: Annotated[TextOptions | None, Meta(description="What the answer's text has to be.")] = (
        None
    )
    tools: Annotated[
        Annotated[list[dict[str, Any]], Meta(max_length=MAX_TOOLS)] | None,
        Meta(description="Functions that the model may call. Hosted tools are refused."),
    ] = None
    tool_choice: Annotated[
        Choice,
        Meta(description="Whether the model calls functions, and which."),
    ] = None
    parallel_tool_calls: Annotated[
        bool | None, Meta(description="False: the model calls one function at a time.")
    ] = None
    truncation: Annotated[
        Literal["auto", "disabled"] | None,
        Meta(
            description="Accepted and repeated in the response, without effect: of a history that "
            "is too long the newest part is sent."
        ),
    ] = None
    service_tier: Annotated[
        Literal["auto", "default", "flex", "scale", "priority", "fast"] | None,
        Meta(
            description="How fast, and at which price, OpenAI answers. Others than `auto` and "
            "`default` need a `model` of OpenAI's, or of a provider with its API."
        ),
    ] = None
    safety_identifier: Annotated[_Word | None, _REPEATED] = None
    prompt_cache_key: Annotated[_Word | None, _REPEATED] = None
    prompt_cache_retention: Annotated[
        _Word | None, Meta(description="Accepted, without effect.")
    ] = None
    prompt_cache_options: Annotated[
        dict[str, Any] | None, Meta(description="Accepted, without effect.")
    ] = None
    user: Annotated[_Word | None, _REPEATED] = None
    prompt: Annotated[Any, _UNSUPPORTED] = None
    context_management: Annotated[Any, _UNSUPPORTED] = None
    moderation: Annotated[Any, _UNSUPPORTED] = None
    image: Annotated[Any, _UNSUPPORTED] = None
    access_programs: Annotated[Any, _UNSUPPORTED] = None
    background_options: Annotated[Any, _UNSUPPORTED] = None

    def check(self) -> None:
        """Raise ApiError for what this server cannot do."""
        for name in (
            *("prompt", "context_management", "moderation", "image", "access_programs"),
            "background_options",
        ):
            if getattr(self, name) is not None:
                raise unsupported_field(name)
        if self.top_logprobs:
            raise unsupported_field("top_logprobs")
        if _NOT_INCLUDED in (self.include or ()):
            raise unsupported_field("include", f"`include` may not name `{_NOT_INCLUDED}`.")
        if self.background and self.store is False:
            raise invalid_field("background", "A response in the background is stored.")
        if self.previous_response_id is not None and self.conversation is not None:
            raise invalid_field(
                "conversation", "`conversation` and `previous_response_id` exclude each other."
            )
        if self.store is False and self.conversation is not None:
            raise invalid_field("store", "With a `conversation` the response is stored.")

    @property
    def conversation_id(self) -> str | None:
        """The id of the conversation, as the store has it."""
        given = self.conversation
        name = given.id if isinstance(given, NamedConversation) else given
        return None if name is None else name.removeprefix(CONVERSATION_PREFIX)

    @property
    def previous_answer_id(self) -> str | None:
        """The id of the answer that the response follows."""
        given = self.previous_response_id
        return None if given is None else given.removeprefix(RESPONSE_PREFIX)

    def options(self) -> dict[str, Any]:
        """The options of an `AskRequest`, by their names. Raises ApiError."""
        choice, functions = chosen_from(functions_of(self.tools), self.tool_choice)
        reasoning, text = self.reasoning, self.text
        return {
            "model": self.model,
            "temperature": self.temperature,
            "top_p": positive(self.top_p),
            "max_tokens": whole(self.max_output_tokens),
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "reasoning_effort": None if reasoning is None else reasoning.effort,
            "response_format": None if text is None else _format(text.format),
            "tools": tuple(map(tool_of, functions)),
            "tool_choice": choice if functions else None,
            "parallel_tool_calls": self.parallel_tool_calls if functions else None,
        }

    def openai_fields(self) -> dict[str, str]:
        """The fields of OpenAI's own that ask for something, by their paths."""
        reasoning, text = self.reasoning, self.text
        summary = None if reasoning is None else reasoning.summary or reasoning.generate_summary
        asked = {
            "text.verbosity": None if text is None else text.verbosity,
            "service_tier": self.service_tier,
            "reasoning.summary": summary,
        }
        return {
            path: word
            for path, word in asked.items()
            if word is not None and (path, word) not in _NEUTRAL
        }

    def repeated(self) -> dict[str, Any]:
        """The fields that the response repeats, as they are shown; without what is not set."""
        plain = msgspec.to_builtins(self)
        fields = {
            name: value for name, value in plain.items() if name in REPEATED and value is not None
        }
        if self.tools:
            fields["tools"] = list(map(shown_tool, functions_of(self.tools)))
        if self.text is not None:
            shown = fields["text"]
            shown["format"] = shown.get("format") or {"type": "text"}
        if self.service_tier == "auto":
            fields["service_tier"] = "default"
        return fields


def _format(
    given: AnyTextFormat | ResponseJsonObject | ResponseJsonSchema | None,
) -> ResponseFormat | None:
    match given:
        case ResponseJsonObject():
            return ResponseFormat()
        case ResponseJsonSchema(schema=schema):
            if given.description is not None:  # for models, the same as a schema's own
                schema = {"description": given.description, **schema}
            return ResponseFormat(schema, given.name, given.strict)
        case _:
            return None
