"""The body of a chat completion's request, and the options of an `AskRequest` that it sets.

Fields that are not named here go on to providers with OpenAI's API as they are. Docstrings and
descriptions of fields are part of the OpenAPI document.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta

from handlers.openai.chat_messages import ChatMessage, OpenBody
from handlers.openai.field_errors import invalid_field, unsupported_field
from handlers.question_options import ModelName
from handlers.tool_definitions import MAX_SCHEMA_DEPTH, MAX_TOOLS, ToolName
from handlers.whole_numbers import Count, Seed, TopK, positive, seed_of, whole
from model.embedded_json import check_depth
from model.prompt import NamedTool, ReasoningEffort, ResponseFormat, Tool, ToolChoice

_MAX_STOPS = 4

_Penalty = Annotated[float, Meta(ge=-2, le=2)]
ChatMetadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]


class ChatFunction(OpenBody, frozen=True):
    """A function that the model may call."""

    name: Annotated[
        ToolName,
        Meta(description="A name of 1 to 64 letters, digits, `_` or `-`.", examples=["weather"]),
    ]
    description: Annotated[str | None, Meta(description="What it does and when to call it.")] = None
    parameters: Annotated[
        dict[str, Any] | None, Meta(description="The arguments as a JSON Schema of an object.")
    ] = None
    strict: Annotated[
        bool | None, Meta(description="True: the model keeps to the schema exactly.")
    ] = None

    def __post_init__(self) -> None:
        if self.parameters is not None:
            check_depth(self.parameters, MAX_SCHEMA_DEPTH)


class ChatTool(OpenBody, frozen=True):
    """A tool; there are functions only."""

    function: Annotated[ChatFunction, Meta(description="The function.")]
    type: Annotated[Literal["function"], Meta(description="Always `function`.")] = "function"


class ChosenName(OpenBody, frozen=True):
    """The name of a function."""

    name: Annotated[str, Meta(description="The function's name.", examples=["weather"])]


class ChosenFunction(OpenBody, frozen=True, tag_field="type", tag="function"):
    """For `tool_choice`: the model has to call this function."""

    function: Annotated[ChosenName, Meta(description="The function to call.")]


class ChatAllowedTools(OpenBody, frozen=True):
    """Functions, and whether the model has to call one."""

    mode: Annotated[
        Literal["auto", "required"], Meta(description="Whether the model has to call one.")
    ]
    tools: Annotated[list[ChosenFunction], Meta(description="The functions that it may call.")]

    @property
    def names(self) -> set[str]:
        """The functions' names."""
        return {tool.function.name for tool in self.tools}


class AllowedTools(OpenBody, frozen=True, tag_field="type", tag="allowed_tools"):
    """For `tool_choice`: the model may call only these functions."""

    allowed_tools: Annotated[
        ChatAllowedTools, Meta(description="The functions, and whether one has to be called.")
    ]


_Choice = Literal["auto", "none", "required"] | ChosenFunction | AllowedTools | None


class TextFormat(OpenBody, frozen=True, tag_field="type", tag="text"):
    """For `response_format`: any text."""


class ChatJsonObject(OpenBody, frozen=True, tag_field="type", tag="json_object"):
    """For `response_format`: the answer's text is a JSON object."""


class ChatSchema(OpenBody, frozen=True):
    """A JSON Schema with a name."""

    name: Annotated[ToolName, Meta(description="A name of 1 to 64 letters, digits, `_` or `-`.")]
    schema: Annotated[dict[str, Any] | None, Meta(description="The JSON Schema.")] = None
    description: Annotated[str | None, Meta(description="What the JSON is for.")] = None
    strict: Annotated[
        bool | None, Meta(description="True: the model keeps to the schema exactly.")
    ] = None

    def __post_init__(self) -> None:
        if self.schema is not None:
            check_depth(self.schema, MAX_SCHEMA_DEPTH)


class ChatJsonSchema(OpenBody, frozen=True, tag_field="type", tag="json_schema"):
    """For `response_format`: the answer's text is JSON that matches a schema."""

    json_schema: Annotated[ChatSchema, Meta(description="The schema.")]


class StreamOptions(OpenBody, frozen=True):
    """What a stream has besides the answer."""

    include_usage: Annotated[
        bool | None, Meta(description="True: a chunk before `[DONE]` has the usage.")
    ] = None
    continuous_usage_stats: Annotated[
        bool | None,
        Meta(description="True: with `include_usage` each chunk has an estimate of the usage."),
    ] = None


class ChatCompletionBody(OpenBody, frozen=True):
    """A request for a chat completion.

    Further fields are sent on to providers with OpenAI's API, and refused for all others.
    """

    model: Annotated[
        ModelName, Meta(description="The model, as `<provider>/<model>`.", examples=["openai/m"])
    ]
    messages: Annotated[
        Annotated[list[ChatMessage], Meta(min_length=1)],
        Meta(
            description="The conversation so far; the last message is a user's or a tool's, a "
            "system's that is asked like a user's, or an answer that is to go on."
        ),
    ]
    stream: Annotated[bool | None, Meta(description="True: the answer comes as a stream.")] = None
    stream_options: Annotated[
        StreamOptions | None, Meta(description="What the stream has besides the answer.")
    ] = None
    store: Annotated[
        bool | None,
        Meta(
            description="True: the last message and the answer are stored, in the conversation "
            "that `metadata.conversation_id` names, or in a new one."
        ),
    ] = None
    metadata: Annotated[
        ChatMetadata | None, Meta(description="Up to 16 strings, which are stored with the answer.")
    ] = None
    max_completion_tokens: Annotated[
        Count | None, Meta(description="The largest number of tokens to generate.")
    ] = None
    max_tokens: Annotated[
        Count | None, Meta(description="The former name of `max_completion_tokens`.")
    ] = None
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(description="The sampling temperature, 0 to 2."),
    ] = None
    top_p: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="The probability mass for sampling, 0 to 1."),
    ] = None
    top_k: Annotated[TopK | None, Meta(description="Not OpenAI's; many providers have it.")] = None
    stop: Annotated[
        str | Annotated[list[str], Meta(max_length=_MAX_STOPS)] | None,
        Meta(description="A string at which the model stops, or up to four."),
    ] = None
    seed: Annotated[Seed | None, Meta(description="A number for sampling.")] = None
    presence_penalty: Annotated[
        _Penalty | None, Meta(description="Against tokens that occurred, -2 to 2.")
    ] = None
    frequency_penalty: Annotated[
        _Penalty | None, Meta(description="The same by how often they occurred, -2 to 2.")
    ] = None
    reasoning_effort: Annotated[
        ReasoningEffort | None, Meta(description="How much the model reasons.")
    ] = None
    response_format: Annotated[
        TextFormat | ChatJsonObject | ChatJsonSchema | None,
        Meta(description="What the answer's text has to be."),
    ] = None
    tools: Annotated[
        Annotated[list[ChatTool], Meta(max_length=MAX_TOOLS)] | None,
        Meta(description="Functions that the model may call."),
    ] = None
    tool_choice: Annotated[
        _Choice, Meta(description="Whether the model calls tools, and which.")
    ] = None
    parallel_tool_calls: Annotated[
        bool | None, Meta(description="False: the model calls one tool at a time.")
    ] = None
    n: Annotated[int | None, Meta(description="Only 1 is possible: one answer.")] = None
    logprobs: Annotated[bool | None, Meta(description="Only false is possible.")] = None
    top_logprobs: Annotated[int | None, Meta(description="Only 0 is possible.")] = None
    modalities: Annotated[list[str] | None, Meta(description="Only `text` is possible.")] = None
    audio: Annotated[Any, Meta(description="Refused: answers are text.")] = None
    functions: Annotated[Any, Meta(description="Refused: use `tools`.")] = None
    function_call: Annotated[
        Any, Meta(description="Refused, except for `auto` and `none`: use `tool_choice`.")
    ] = None

    def check(self) -> None:
        """Raise ApiError 400 for what no provider's answer could have here."""
        for name, is_refused in (
            ("n", self.n not in (None, 1)),
            ("logprobs", bool(self.logprobs)),
            ("top_logprobs", bool(self.top_logprobs)),
            ("modalities", self.modalities not in (None, [], ["text"])),
            ("audio", self.audio is not None),
            ("functions", bool(self.functions)),
            # Without functions these words say nothing, and older clients send them all the same.
            ("function_call", self.function_call not in (None, "auto", "none")),
        ):
            if is_refused:
                raise unsupported_field(name)
        names = [tool.function.name for tool in self.tools or ()]
        if len(set(names)) < len(names):
            raise invalid_field("tools", "Two `tools` have the same name.")
        if not _names_in(self.tool_choice) <= set(names):
            raise invalid_field("tool_choice", "`tool_choice` names none of the `tools`.")
        if _choice_of(self.tool_choice) == "required" and not self._allowed():
            raise invalid_field("tool_choice", "`tool_choice` needs `tools`.")

    @property
    def given_names(self) -> dict[str, str]:
        """The names in this body of options that have several, by their names in `options`."""
        is_newer = self.max_completion_tokens is not None
        return {"max_tokens": "max_completion_tokens"} if is_newer else {}

    def options(self) -> dict[str, Any]:
        """The options of an `AskRequest` by name."""
        tools = self._allowed()
        return {
            "model": self.model,
            "max_tokens": whole(self.max_completion_tokens or self.max_tokens),
            "temperature": self.temperature,
            "top_p": positive(self.top_p),
            "top_k": whole(self.top_k),
            "stop": self._stops(),
            "seed": seed_of(self.seed),
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "reasoning_effort": self.reasoning_effort,
            "response_format": _format_of(self.response_format),
            "tools": tuple(map(_tool_of, tools)),
            # Without tools these say nothing, and some clients send them all the same.
            "tool_choice": _choice_of(self.tool_choice) if tools else None,
            "parallel_tool_calls": self.parallel_tool_calls if tools else None,
        }

    def _allowed(self) -> list[ChatTool]:
        """The tools that the model may call."""
        tools = self.tools or []
        if isinstance(self.tool_choice, AllowedTools):
            names = self.tool_choice.allowed_tools.names
            return [tool for tool in tools if tool.function.name in names]
        return tools

    def _stops(self) -> tuple[str, ...]:
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(filter(None, stops))


def _tool_of(tool: ChatTool) -> Tool:
    function = tool.function
    return Tool(function.name, function.description, function.parameters, function.strict)


def _names_in(choice: _Choice) -> set[str]:
    match choice:
        case ChosenFunction(function=function):
            return {function.name}
        case AllowedTools(allowed_tools=allowed):
            return allowed.names
        case _:
            return set()


def _choice_of(choice: _Choice) -> ToolChoice | None:
    match choice:
        case ChosenFunction(function=function):
            return NamedTool(function.name)
        case AllowedTools(allowed_tools=allowed):
            return allowed.mode
        case _:
            return choice


def _format_of(asked: TextFormat | ChatJsonObject | ChatJsonSchema | None) -> ResponseFormat | None:
    match asked:
        case ChatJsonObject():
            return ResponseFormat()
        case ChatJsonSchema(json_schema=given):
            schema = given.schema or {}
            if given.description is not None:  # for models, the same as a schema's own
                schema = {"description": given.description, **schema}
            return ResponseFormat(schema, given.name, given.strict)
        case _:
            return None
