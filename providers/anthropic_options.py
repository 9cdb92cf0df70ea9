"""The options of a prompt as fields of Anthropic's Messages API.

Models think within a budget of tokens, or as much as they find right, by an effort. By Anthropic's
pages on extended and adaptive thinking, Claude up to 4.5 knows only budgets, Claude 4.6 both, and
later ones only efforts. So an effort becomes a budget where the model's name has an older version,
or none, as with those of gateways. A budget that was asked for is sent to any model.
"""

import re
from typing import Any, Final

from model.prompt import NamedTool, Prompt, ReasoningEffort, ResponseFormat, Tool, ToolChoice
from providers.errors import UnsupportedOption
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

# `claude-sonnet-4-5-20250929`, `claude-3-7-sonnet-latest`, `anthropic.claude-opus-5`.
_VERSION: Final = re.compile(r"claude-(?:[a-z]+-)*(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_ADAPTIVE_SINCE: Final = (4, 6)


def _at_most_one(value: float) -> float:
    if value > 1:
        raise UnsupportedOption("temperature")
    return value


def _format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.schema is None:  # any JSON at all cannot be asked for
        raise UnsupportedOption("response_format")
    return {"type": "json_schema", "schema": wanted.schema}


def _tool(tool: Tool) -> dict[str, Any]:
    fields: dict[str, Any] = {"name": tool.name}
    if tool.description:
        fields["description"] = tool.description
    fields["input_schema"] = tool.parameters or {"type": "object", "properties": {}}
    if tool.strict is not None:
        fields["strict"] = tool.strict
    return fields


def _tool_choice(choice: ToolChoice) -> dict[str, Any]:
    if isinstance(choice, NamedTool):
        return {"type": "tool", "name": choice.name}
    return {"type": "any" if choice == "required" else choice}


def _elsewhere(_: object) -> None:
    """`complete` writes this one, which depends on others."""


_OPTIONS: Final[OptionTable] = {
    "temperature": Field("temperature", _at_most_one),
    "top_p": Field("top_p"),
    "top_k": Field("top_k"),
    "max_tokens": Field("max_tokens"),
    "stop": Field("stop_sequences", list),
    "reasoning_effort": Field("output_config.effort", _elsewhere),
    "reasoning_budget": Field("thinking.budget_tokens", _elsewhere),
    "response_format": Field("output_config.format", _format),
    "tools": Field("tools", lambda tools: [_tool(tool) for tool in tools]),
    "tool_choice": Field("tool_choice", _tool_choice),
    "parallel_tool_calls": Field("tool_choice.disable_parallel_tool_use", _elsewhere),
}


def options_of(version: str) -> OptionTable:
    """The options that a version of the API can express."""
    if version < NO_SAMPLING_VERSION:
        return _OPTIONS
    gone = ("temperature", "top_p", "top_k")
    return {name: field for name, field in _OPTIONS.items() if name not in gone}


def complete(body: dict[str, Any], prompt: Prompt) -> None:
    """Write what depends on several options, or on the model, into a body that has the others.

    Raises UnsupportedOption for options that exclude each other.
    """
    _complete_thinking(body, prompt)
    _complete_tool_choice(body, prompt)


def _complete_thinking(body: dict[str, Any], prompt: Prompt) -> None:
    effort, budget = prompt.reasoning_effort, prompt.reasoning_budget
    limit = prompt.max_tokens
    is_adaptive = _is_adaptive(prompt.model)
    if effort is not None and budget is not None and (effort == "none" or not is_adaptive):
        raise UnsupportedOption("reasoning_effort")
    if budget is not None:
        _think_within(body, budget, limit)
    elif effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif effort is not None and is_adaptive:
        # Newer models leave the text of their thinking out unless they are asked for it.
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
    elif effort is not None:
        wanted = _BUDGETS[effort]
        half = wanted if limit is None else max(limit // 2, _LEAST_BUDGET)
        _think_within(body, min(wanted, half), limit)  # half of the answer is left for its text
    if effort not in (None, "none") and is_adaptive:
        level = "low" if effort == "minimal" else effort
        body.setdefault("output_config", {})["effort"] = level
    thinking = body.get("thinking")
    body.setdefault("max_tokens", DEFAULT_MAX_TOKENS + (thinking or {}).get("budget_tokens", 0))
    if thinking is not None and thinking["type"] != "disabled":
        _check_with_thinking(prompt)


def _think_within(body: dict[str, Any], budget: int, limit: int | None) -> None:
    """Ask for thinking within a budget, which is a part of the limit of the whole answer."""
    if budget == 0:
        body["thinking"] = {"type": "disabled"}
        return
    if budget < _LEAST_BUDGET:
        raise UnsupportedOption("reasoning_budget")
    if limit is not None and limit <= budget:
        raise UnsupportedOption("max_tokens")
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _check_with_thinking(prompt: Prompt) -> None:
    """Raises UnsupportedOption for what the API refuses of a model that thinks."""
    if prompt.temperature not in (None, 1):
        raise UnsupportedOption("temperature")
    if prompt.top_k is not None:
        raise UnsupportedOption("top_k")
    if prompt.top_p is not None and prompt.top_p < _LEAST_THINKING_TOP_P:
        raise UnsupportedOption("top_p")
    if prompt.tool_choice not in (None, "auto", "none"):
        raise UnsupportedOption("tool_choice")


def _complete_tool_choice(body: dict[str, Any], prompt: Prompt) -> None:
    if not prompt.tools:
        # Without tools the API refuses any choice, where `auto` and `none` change nothing.
        if prompt.tool_choice not in (None, "auto", "none"):
            raise UnsupportedOption("tool_choice")
        body.pop("tool_choice", None)
    elif prompt.parallel_tool_calls is False and prompt.tool_choice != "none":
        body.setdefault("tool_choice", {"type": "auto"})["disable_parallel_tool_use"] = True


def _is_adaptive(model: str) -> bool:
    """Whether a model thinks by an effort rather than within a budget."""
    found = _VERSION.search(model.lower())
    if found is None:
        return False
    return (int(found[1]), int(found[2] or 0)) >= _ADAPTIVE_SINCE
