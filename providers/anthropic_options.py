"""The options of a prompt as fields of Anthropic's Messages API.

Models think within a budget of tokens, or as much as they find right, by an effort. By Anthropic's
pages on extended and adaptive thinking, Claude up to 4.5 knows only budgets, Claude 4.6 both, and
later ones only efforts. So an effort becomes a budget where the model's name has an older version,
or none, as with those of gateways. A budget that was asked for is sent to any model.
"""

from typing import Any, Final

from model.prompt import NamedTool, Prompt, ReasoningEffort, ResponseFormat, Tool
from providers.anthropic_thinking import is_adaptive
from providers.errors import UnsupportedOption
from providers.openai_options import parameters_of, up_to_high
from providers.options import Field, OptionTable

# Tokens. The API requires a limit. So many are a long answer, and no model that is served today
# refuses them: the SDK lists 8,192 as the least of the models' limits.
DEFAULT_MAX_TOKENS: Final = 8192

# The version from which on temperature, top_p and top_k are refused.
NO_SAMPLING_VERSION: Final = "2026-10-21"

# Tokens; the API refuses a smaller budget.
_LEAST_BUDGET: Final = 1024

# Tokens of thinking, for models that know no effort. The API has no such table: these are doubled
# from the least that is permitted, to what Anthropic calls a lot of thinking (16k).
_BUDGETS: Final[dict[ReasoningEffort, int]] = {
    "minimal": _LEAST_BUDGET,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
}

# With thinking, the API permits no smaller top_p.
_LEAST_THINKING_TOP_P: Final = 0.95


def _format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.schema is None:  # any JSON at all cannot be asked for
        raise UnsupportedOption("response_format")
    return {"type": "json_schema", "schema": wanted.schema}


def _stops(stops: tuple[str, ...]) -> list[str]:
    if not all(stop.strip() for stop in stops):  # the API refuses blank ones
        raise UnsupportedOption("stop")
    return list(stops)


def _tool(tool: Tool) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": tool.name}
    if tool.description:
        fields["description"] = tool.description
    fields["input_schema"] = parameters_of(tool)
    if tool.strict is not None:
        fields["strict"] = tool.strict
    return fields


def _elsewhere(_: object) -> None:
    """`dependent_fields` has it, since it depends on others."""


_OPTIONS: Final[OptionTable] = {
    "temperature": Field("temperature", lambda value: min(value, 1.0)),
    "top_p": Field("top_p"),
    "top_k": Field("top_k"),
    "max_tokens": Field("max_tokens"),
    "stop": Field("stop_sequences", _stops),
    "reasoning_effort": Field("output_config.effort", _elsewhere),
    "reasoning_budget": Field("thinking.budget_tokens", _elsewhere),
    "response_format": Field("output_config.format", _format),
    "tools": Field("tools", lambda tools: [_tool(tool) for tool in tools]),
    "tool_choice": Field("tool_choice", _elsewhere),
    "parallel_tool_calls": Field("tool_choice.disable_parallel_tool_use", _elsewhere),
}


def options_of(version: str) -> OptionTable:
    """The options that a version of the API can express."""
    if version < NO_SAMPLING_VERSION:
        return _OPTIONS
    gone = ("temperature", "top_p", "top_k")
    return {name: field for name, field in _OPTIONS.items() if name not in gone}


def dependent_fields(prompt: Prompt) -> dict[str, Any]:
    """Return the fields that depend on several options, or on the model.

    Raises UnsupportedOption for options that exclude each other.
    """
    fields = _thinking(prompt)
    if (choice := _tool_choice(prompt)) is not None:
        fields["tool_choice"] = choice
    return fields


def _thinking(prompt: Prompt) -> dict[str, Any]:
    effort, budget = prompt.reasoning_effort, prompt.reasoning_budget
    limit, fields = prompt.max_tokens, dict[str, Any]()
    by_effort = is_adaptive(prompt.model)
    if effort is not None and budget is not None and (effort == "none" or not by_effort):
        raise UnsupportedOption("reasoning_effort")
    if effort is not None and effort != "none":
        if by_effort:
            # Newer models leave the text of their thinking out unless they are asked for it.
            fields["thinking"] = {"type": "adaptive", "display": "summarized"}
            fields["output_config"] = {"effort": "low" if effort == "minimal" else effort}
        else:  # half of the answer is left for its text
            wanted = _BUDGETS[up_to_high(effort)]
            budget = wanted if limit is None else min(wanted, max(limit // 2, _LEAST_BUDGET))
    if budget is not None:
        _check_budget(budget, limit)
        fields["thinking"] = {"type": "enabled", "budget_tokens": budget}
    if effort == "none" or budget == 0:
        fields["thinking"] = {"type": "disabled"}
    elif "thinking" in fields:
        _check_with_thinking(prompt)
    fields["max_tokens"] = limit or DEFAULT_MAX_TOKENS + (budget or 0)
    return fields


def _check_budget(budget: int, limit: int | None) -> None:
    """Raises UnsupportedOption for a budget that the API refuses; 0 is no thinking."""
    if 0 < budget < _LEAST_BUDGET:
        raise UnsupportedOption("reasoning_budget")
    if limit is not None and 0 < limit <= budget:
        raise UnsupportedOption("max_tokens")


def _check_with_thinking(prompt: Prompt) -> None:
    """Raises UnsupportedOption for what the API refuses of a model that thinks."""
    if prompt.temperature is not None and prompt.temperature < 1:
        raise UnsupportedOption("temperature")
    if prompt.top_k is not None:
        raise UnsupportedOption("top_k")
    if prompt.top_p is not None and prompt.top_p < _LEAST_THINKING_TOP_P:
        raise UnsupportedOption("top_p")
    if prompt.tool_choice not in (None, "auto", "none"):
        raise UnsupportedOption("tool_choice")


def _tool_choice(prompt: Prompt) -> dict[str, Any] | None:
    choice = prompt.tool_choice
    if not prompt.tools:
        # Without tools the API refuses any choice, where `auto` and `none` change nothing.
        if choice not in (None, "auto", "none"):
            raise UnsupportedOption("tool_choice")
        return None
    is_single = prompt.parallel_tool_calls is False
    if choice is None and not is_single:
        return None
    if isinstance(choice, NamedTool):
        fields: dict[str, Any] = {"type": "tool", "name": choice.name}
    else:
        fields = {"type": "any" if choice == "required" else choice or "auto"}
    if is_single and choice != "none":
        fields["disable_parallel_tool_use"] = True
    return fields
