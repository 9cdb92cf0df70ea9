"""The tools of a request for a response, and which of them the model may or has to call."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from handlers.openai.field_errors import converted, invalid_field, unsupported_field
from handlers.tool_definitions import MAX_SCHEMA_DEPTH, ToolName
from model.embedded_json import check_depth
from model.prompt import NamedTool, Tool, ToolChoice

# Fields of functions with values that ask for nothing but what happens without them.
_DEFAULTS = (("defer_loading", False), ("async", False), ("allowed_callers", ["direct"]))

Choice = Literal["auto", "none", "required"] | dict[str, Any] | None


class BodyPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the objects in a body; a field that is not known is refused, as OpenAI does."""


class FunctionTool(BodyPart, frozen=True):
    """A function that the model may call; the client carries the call out."""

    name: Annotated[ToolName, Meta(description="The name: 1 to 64 letters, digits, `_` or `-`.")]
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
            check_depth(self.parameters, MAX_SCHEMA_DEPTH)


class ChosenResponseFunction(BodyPart, frozen=True, tag_field="type", tag="function"):
    """For `tool_choice`: the model has to call this function."""

    name: Annotated[str, Meta(description="The function's name.")]


class AllowedFunctions(BodyPart, frozen=True, tag_field="type", tag="allowed_tools"):
    """For `tool_choice`: the model may call only these functions."""

    mode: Annotated[
        Literal["auto", "required"], Meta(description="Whether the model has to call one.")
    ]
    tools: Annotated[
        list[dict[str, Any]], Meta(description="The functions that it may call, by type and name.")
    ]


def functions_of(tools: list[dict[str, Any]] | None) -> tuple[FunctionTool, ...]:
    """The functions in `tools`. Raises ApiError for one that is none, and for two of one name."""
    found = []
    for index, given in enumerate(tools or ()):
        place = f"tools[{index}]"
        if given.get("type") != "function":
            kind = given.get("type")
            word = kind if isinstance(kind, str) and kind.replace("_", "").isalnum() else "?"
            raise unsupported_field(
                place, f"`{place}`: this server does not take tools of type `{word[:64]}`."
            )
        asked = {
            name: value
            for name, value in given.items()
            if value is not None and (name, value) not in _DEFAULTS
        }
        found.append(converted(asked, FunctionTool, place))
    names = [tool.name for tool in found]
    if len(set(names)) < len(names):
        raise invalid_field("tools", "Two `tools` have the same name.")
    return tuple(found)


def chosen_from(
    functions: tuple[FunctionTool, ...], given: Choice
) -> tuple[ToolChoice | None, tuple[FunctionTool, ...]]:
    """The choice, and the functions that it leaves. Raises ApiError."""
    choice, left = _chosen_from(functions, given)
    if choice == "required" and not left:
        raise invalid_field("tool_choice", "`tool_choice` needs `tools`.")
    return choice, left


def _chosen_from(
    functions: tuple[FunctionTool, ...], given: Choice
) -> tuple[ToolChoice | None, tuple[FunctionTool, ...]]:
    if given is None or isinstance(given, str):
        return given, functions
    kind = given.get("type")
    if kind == "function":
        chosen = converted(given, ChosenResponseFunction, "tool_choice")
        if all(tool.name != chosen.name for tool in functions):
            raise invalid_field("tool_choice", "`tool_choice` names none of the `tools`.")
        return NamedTool(chosen.name), functions
    if kind == "allowed_tools":
        allowed = converted(given, AllowedFunctions, "tool_choice")
        names = [tool.get("name") for tool in allowed.tools]  # of any type
        known = {tool.name for tool in functions}
        if not all(isinstance(name, str) and name in known for name in names):
            raise invalid_field("tool_choice", "`tool_choice` names none of the `tools`.")
        return allowed.mode, tuple(tool for tool in functions if tool.name in names)
    raise unsupported_field("tool_choice", "`tool_choice` may name functions only.")


def tool_of(function: FunctionTool) -> Tool:
    """The tool as providers are asked with it."""
    return Tool(function.name, function.description, function.parameters, function.strict)


def shown_tool(function: FunctionTool) -> dict[str, Any]:
    """The tool as the response repeats it."""
    return {
        "type": "function",
        "name": function.name,
        "description": function.description,
        "parameters": function.parameters,
        "strict": function.strict,
    }
