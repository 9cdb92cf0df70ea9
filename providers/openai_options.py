"""The options of chat completions, as OpenAI spells them; other servers copied most of them."""

from collections.abc import Callable
from typing import Any, Final

from model.prompt import NamedTool, ReasoningEffort, ResponseFormat, Tool, ToolChoice
from providers.errors import UnsupportedOption
from providers.options import Field


def tool_definitions(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    """`tools`, as functions."""
    return [{"type": "function", "function": _function(tool)} for tool in tools]


def _function(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = parameters_of(tool)
    if tool.strict is not None:
        function["strict"] = tool.strict
    return function


def parameters_of(tool: Tool) -> Any:
    """The schema of a tool's parameters, also where it has none, or an empty one: many servers
    require that of an object.
    """
    if tool.parameters:
        return tool.parameters
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    if tool.strict:  # OpenAI requires it then
        schema["additionalProperties"] = False
    return schema


def tool_choice(choice: ToolChoice) -> Any:
    """A word, or the function that has to be called."""
    if isinstance(choice, NamedTool):
        return {"type": "function", "function": {"name": choice.name}}
    return choice


def response_format(asked: ResponseFormat) -> dict[str, Any]:
    """Any JSON object, or one that matches a schema."""
    if asked.schema is None:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": asked.name, "schema": asked.schema}
    if asked.strict is not None:
        schema["strict"] = asked.strict
    return {"type": "json_schema", "json_schema": schema}


def any_json_only(asked: ResponseFormat) -> dict[str, Any]:
    """For servers that know no schemas."""
    if asked.schema is not None:
        raise UnsupportedOption("response_format.schema")
    return {"type": "json_object"}


def stops(most: int, most_chars: int | None = None) -> Callable[[tuple[str, ...]], list[str]]:
    """Up to `most` stop sequences, each of up to `most_chars` characters."""

    def convert(asked: tuple[str, ...]) -> list[str]:
        if len(asked) > most or any(len(stop) > (most_chars or len(stop)) for stop in asked):
            raise UnsupportedOption("stop")
        return list(asked)

    return convert


def only_choices(*known: str, named: bool = True) -> Callable[[ToolChoice], Any]:
    """The words of `known`, and a tool by name unless `named` is false."""

    def convert(choice: ToolChoice) -> Any:
        if not (named if isinstance(choice, NamedTool) else choice in known):
            raise UnsupportedOption("tool_choice")
        return tool_choice(choice)

    return convert


def always_parallel(asked: bool) -> None:
    """For servers that have no switch: several calls at once cannot be forbidden."""
    if not asked:
        raise UnsupportedOption("parallel_tool_calls")


def is_thinking(effort: ReasoningEffort) -> bool:
    """For servers whose models think or do not think: any effort is thinking."""
    return effort != "none"


def thinking_type(effort: ReasoningEffort) -> str:
    """The same for servers that have two words for it."""
    return "enabled" if is_thinking(effort) else "disabled"


def up_to_high(effort: ReasoningEffort) -> ReasoningEffort:
    """The effort, for APIs that know none above `high`. Raises UnsupportedOption."""
    if effort in ("xhigh", "max"):
        raise UnsupportedOption("reasoning_effort")
    return effort


def effort_if_any(effort: ReasoningEffort) -> str | None:
    """The effort where another field switches thinking off, and `minimal` is not known."""
    return {"none": None, "minimal": "low"}.get(effort, up_to_high(effort))


OPENAI_OPTIONS: Final = {
    "temperature": Field("temperature"),
    "top_p": Field("top_p"),
    "max_tokens": Field("max_tokens"),
    "stop": Field("stop", list),
    "seed": Field("seed"),
    "presence_penalty": Field("presence_penalty"),
    "frequency_penalty": Field("frequency_penalty"),
    "reasoning_effort": Field("reasoning_effort"),
    "response_format": Field("response_format", response_format),
    "tools": Field("tools", tool_definitions),
    "tool_choice": Field("tool_choice", tool_choice),
    "parallel_tool_calls": Field("parallel_tool_calls"),
}
