"""The body of a request for a response, and the options of an `AskRequest` that it sets.

A field that this server cannot do is refused by its name, and so is one that it does not know, as
OpenAI does. Docstrings and descriptions of fields are part of the OpenAPI document.
"""

from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from handlers.errors import ApiError
from handlers.json_limits import check_depth
from handlers.openai.response_object import CONVERSATION_PREFIX, REPEATED, RESPONSE_PREFIX
from handlers.question_options import ModelName
from handlers.whole_numbers import Count, whole
from model.prompt import NamedTool, ReasoningEffort, ResponseFormat, Tool, ToolChoice

_MAX_TOOLS = 128
_MAX_SCHEMA_DEPTH = 64

_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
_Penalty = Annotated[float, Meta(ge=-2, le=2)]
_Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16),
]
_Word = Annotated[str, Meta(max_length=512)]

# What `include` may name although no answer ever has it: it belongs to hosted tools.
_NOT_INCLUDED = "message.output_text.logprobs"


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the objects in a body."""


class NamedConversation(_Part, frozen=True):
    """A conversation by its id."""

    id: Annotated[str, Meta(description="The conversation's id.")]


class ReasoningOptions(_Part, frozen=True):
    """How the model reasons."""

    effort: Annotated[ReasoningEffort | None, Meta(description="How much it reasons.")] = None
    summary: Annotated[
        Literal["auto", "concise", "detailed"] | None,
        Meta(description="Repeated only: what a provider gives of the reasoning is sent."),
    ] = None
    generate_summary: Annotated[
        Literal["auto", "concise", "detailed"] | None, Meta(description="As `summary`.")
    ] = None


class AnyTextFormat(msgspec.Struct, frozen=True, tag_field="type", tag="text"):
    """Any text."""


class ResponseJsonObject(msgspec.Struct, frozen=True, tag_field="type", tag="json_object"):
    """A JSON object."""


class ResponseJsonSchema(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="json_schema"
):
    """JSON that matches a schema."""

    name: Annotated[_Name, Meta(description="The name: 1 to 64 letters, digits, `_` or `-`.")]
    schema: Annotated[dict[str, Any], Meta(description="The JSON Schema.")]
    strict: Annotated[
        bool | None, Meta(description="True: the model keeps to the schema exactly.")
    ] = None
    description: Annotated[str | None, Meta(description="What it is for.")] = None

    def __post_init__(self) -> None:
        check_depth(self.schema, _MAX_SCHEMA_DEPTH)


class TextOptions(_Part, frozen=True):
    """What the answer's text has to be."""

    format: Annotated[
        AnyTextFormat | ResponseJsonObject | ResponseJsonSchema | None,
        Meta(description="The form."),
    ] = None
    verbosity: Annotated[
        Literal["medium"] | None, Meta(description="Only `medium`: as long as the model likes.")
    ] = None


class FunctionTool(_Part, frozen=True):
    """A function that the model may call; the client carries the call out."""

    name: Annotated[_Name, Meta(description="The name: 1 to 64 letters, digits, `_` or `-`.")]
    description: Annotated[str | None, Meta(description="What it does and when to call it.")] = None
    parameters: Annotated[
        dict[str, Any] | None, Meta(description="The arguments as a JSON Schema of an object.")
    ] = None
    strict: Annotated[
        bool | None, Meta(description="True: the model keeps to the schema exactly.")
    ] = None
    type: Annotated[Literal["function"], Meta(description="Always `function`.")] = "function"

    def __post_init__(self) -> None:
        if self.parameters is not None:
            check_depth(self.parameters, _MAX_SCHEMA_DEPTH)


class ChosenResponseFunction(_Part, frozen=True, tag_field="type", tag="function"):
    """For `tool_choice`: the model has to call this function."""

    name: Annotated[str, Meta(description="The function's name.")]


class AllowedFunctions(_Part, frozen=True, tag_field="type", tag="allowed_tools"):
    """For `tool_choice`: the model may call only these functions."""

    mode: Annotated[Literal["auto", "required"], Meta(description="Whether it has to.")]
    tools: Annotated[list[dict[str, Any]], Meta(description="The functions.")]


class ResponseStreamOptions(_Part, frozen=True):
    """Options of the stream."""

    include_obfuscation: Annotated[
        bool | None, Meta(description="Without effect: events are never padded.")
    ] = None


_UNSUPPORTED = Meta(description="Refused if it is set.")


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
        str | None, Meta(description="The response that this one follows; two may follow one.")
    ] = None
    conversation: Annotated[
        str | NamedConversation | None,
        Meta(description="The conversation to go on with. Not with `previous_response_id`."),
    ] = None
    stream: Annotated[bool | None, Meta(description="True: the response comes as events.")] = None
    stream_options: Annotated[ResponseStreamOptions | None, Meta(description="The options.")] = None
    background: Annotated[
        bool | None,
        Meta(
            description="True: it is generated to its end without a reader, and returned at once."
        ),
    ] = None
    store: Annotated[
        bool | None,
        Meta(description="False: nothing is stored, and leaving cancels. Null: true."),
    ] = None
    metadata: Annotated[_Metadata | None, Meta(description="Up to 16 strings of yours.")] = None
    include: Annotated[
        list[str] | None, Meta(description="Without effect, except that log probabilities fail.")
    ] = None
    max_output_tokens: Annotated[
        Count | None, Meta(description="The largest number of tokens to generate.")
    ] = None
    max_tool_calls: Annotated[
        Count | None, Meta(description="Repeated only: it counts calls of hosted tools.")
    ] = None
    temperature: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None, Meta(description="From 0 to 2.")
    ] = None
    top_p: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None, Meta(description="Above 0, up to 1.")
    ] = None
    presence_penalty: Annotated[_Penalty | None, Meta(description="From -2 to 2.")] = None
    frequency_penalty: Annotated[_Penalty | None, Meta(description="From -2 to 2.")] = None
    top_logprobs: Annotated[Literal[0] | None, Meta(description="Only 0 is possible.")] = None
    reasoning: Annotated[ReasoningOptions | None, Meta(description="How it reasons.")] = None
    text: Annotated[TextOptions | None, Meta(description="What the text has to be.")] = None
    tools: Annotated[
        Annotated[list[dict[str, Any]], Meta(max_length=_MAX_TOOLS)] | None,
        Meta(description="Functions that the model may call. Hosted tools are refused."),
    ] = None
    tool_choice: Annotated[
        Literal["auto", "none", "required"] | dict[str, Any] | None,
        Meta(description="Whether it calls them."),
    ] = None
    parallel_tool_calls: Annotated[bool | None, Meta(description="False: one call at a time.")] = (
        None
    )
    truncation: Annotated[
        Literal["auto", "disabled"] | None,
        Meta(description="Repeated only: of a long history the newest part is sent."),
    ] = None
    service_tier: Annotated[
        Literal["auto", "default"] | None, Meta(description="Only the default.")
    ] = None
    safety_identifier: Annotated[_Word | None, Meta(description="Repeated only.")] = None
    prompt_cache_key: Annotated[_Word | None, Meta(description="Repeated only.")] = None
    prompt_cache_retention: Annotated[_Word | None, Meta(description="Without effect.")] = None
    prompt_cache_options: Annotated[dict[str, Any] | None, Meta(description="Without effect.")] = (
        None
    )
    user: Annotated[_Word | None, Meta(description="Repeated only.")] = None
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
                raise _unsupported(name)
        if _NOT_INCLUDED in (self.include or ()):
            raise _unsupported("include", f"`include` may not name `{_NOT_INCLUDED}`.")
        if self.background and self.store is False:
            raise _invalid("background", "A response in the background is stored.")
        if self.previous_response_id is not None and self.conversation is not None:
            raise _invalid(
                "conversation", "`conversation` and `previous_response_id` exclude each other."
            )
        if self.store is False and self.conversation is not None:
            raise _invalid("store", "With a `conversation` the response is stored.")

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

    def functions(self) -> tuple[FunctionTool, ...]:
        """The tools. Raises ApiError for one that is no function."""
        found = []
        for index, given in enumerate(self.tools or ()):
            place = f"tools[{index}]"
            if given.get("type") != "function":
                kind = given.get("type")
                word = kind if isinstance(kind, str) and kind.replace("_", "").isalnum() else "?"
                raise _unsupported(
                    place, f"`{place}`: tools of type `{word[:64]}` are not hosted here."
                )
            known = {key: value for key, value in given.items() if value is not None}
            found.append(_converted(known, FunctionTool, place))
        names = [tool.name for tool in found]
        if len(set(names)) < len(names):
            raise _invalid("tools", "Two `tools` have the same name.")
        return tuple(found)

    def options(self) -> dict[str, Any]:
        """The options of an `AskRequest`, by their names. Raises ApiError."""
        functions = self.functions()
        choice, functions = self._choice(functions)
        reasoning, text = self.reasoning, self.text
        return {
            "model": self.model,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": whole(self.max_output_tokens),
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "reasoning_effort": None if reasoning is None else reasoning.effort,
            "response_format": None if text is None else _format(text.format),
            "tools": tuple(
                Tool(tool.name, tool.description, tool.parameters, tool.strict)
                for tool in functions
            ),
            "tool_choice": choice if functions else None,
            "parallel_tool_calls": self.parallel_tool_calls if functions else None,
        }

    def _choice(
        self, functions: tuple[FunctionTool, ...]
    ) -> tuple[ToolChoice | None, tuple[FunctionTool, ...]]:
        given = self.tool_choice
        if given is None or isinstance(given, str):
            return given, functions
        kind = given.get("type")
        if kind == "function":
            chosen = _converted(given, ChosenResponseFunction, "tool_choice")
            if all(tool.name != chosen.name for tool in functions):
                raise _invalid("tool_choice", "`tool_choice` names none of the `tools`.")
            return NamedTool(chosen.name), functions
        if kind == "allowed_tools":
            allowed = _converted(given, AllowedFunctions, "tool_choice")
            names = {tool.get("name") for tool in allowed.tools}
            if not names <= {tool.name for tool in functions}:
                raise _invalid("tool_choice", "`tool_choice` names none of the `tools`.")
            return allowed.mode, tuple(tool for tool in functions if tool.name in names)
        raise _unsupported("tool_choice", "`tool_choice` may name functions only.")

    def repeated(self) -> dict[str, Any]:
        """The fields that the response repeats, as they are shown; without what is not set."""
        plain = msgspec.to_builtins(self)
        fields = {
            name: value for name, value in plain.items() if name in REPEATED and value is not None
        }
        if self.tools:
            fields["tools"] = [
                {"type": "function", **_shown_tool(tool)} for tool in self.functions()
            ]
        if self.text is not None:
            shown = fields["text"]
            shown["format"] = shown.get("format") or {"type": "text"}
        if self.service_tier is not None:
            fields["service_tier"] = "default"
        return fields


def _shown_tool(tool: FunctionTool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }


def _format(
    given: AnyTextFormat | ResponseJsonObject | ResponseJsonSchema | None,
) -> ResponseFormat | None:
    match given:
        case ResponseJsonObject():
            return ResponseFormat()
        case ResponseJsonSchema():
            return ResponseFormat(given.schema, given.name, given.strict)
        case _:
            return None


def _converted(value: Any, kind: Any, place: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        words, _, inner = str(error).partition(" - at `$")
        raise _invalid(place, f"{words} - at `{place}{inner.rstrip('`')}`.") from None


def _invalid(param: str, message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_body", message, param=param)


def _unsupported(param: str, message: str | None = None) -> ApiError:
    return ApiError(
        HTTPStatus.BAD_REQUEST,
        "unsupported_parameter",
        message or f"This server cannot do `{param}`. Leave it out.",
        param=param,
    )
