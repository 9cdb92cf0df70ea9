"""Google's Gemini through the Generative Language API: the request, and what its errors mean.

Checked against google-genai 3.4.0; `gemini_contents.py` writes the turns, and
`gemini_interpreter.py` reads the responses. What is easily done wrongly: the model is part of the
path, and the method's name and `alt=sse` request a stream; the key is sent in a header, although
the API also takes it in the query, which proxies log; unknown fields are refused;
`maxOutputTokens` includes the thoughts; models before Gemini 3 know budgets of thoughts, and later
ones levels.
"""

from typing import Any, Final
from urllib.parse import quote

import msgspec

from model.prompt import NamedTool, Prompt, ReasoningEffort, ResponseFormat, Tool, ToolChoice
from providers.assembler import Assembler
from providers.dialect import Dialect, Interpreter, OutgoingRequest
from providers.errors import (
    BadRequest,
    ProviderError,
    StreamBroken,
    Unauthorized,
    UnsupportedOption,
)
from providers.gemini_contents import contents_of, is_older
from providers.gemini_interpreter import GeminiInterpreter
from providers.options import Field, write_options
from providers.sink import Finish

_METHOD: Final = ":streamGenerateContent?alt=sse"

# Models whose names have a prefix of their own; all others are in `models/`.
_COLLECTIONS: Final = ("models", "tunedModels")

_MAX_STOPS: Final = 5  # the API's own limit
_SEEDS: Final = range(-(2**31), 2**31)  # the field has 32 bits

# What Google's own translation of OpenAI's efforts takes: tokens of thoughts, for older models.
_BUDGETS: Final = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}


def _stops(stops: tuple[str, ...]) -> list[str]:
    if len(stops) > _MAX_STOPS:
        raise UnsupportedOption("stop")
    return list(stops)


def _seed(seed: int) -> int:
    if seed not in _SEEDS:
        raise UnsupportedOption("seed")
    return seed


def _in_parallel(parallel: bool) -> None:
    if not parallel:  # models call in parallel whenever they want to
        raise UnsupportedOption("parallel_tool_calls")


def _declared(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    return [{"functionDeclarations": [_declaration(tool) for tool in tools]}]


def _declaration(tool: Tool) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declared["description"] = tool.description
    if tool.parameters:
        # `parameters` would take a part of OpenAPI's schema only, and refuse everything else.
        declared["parametersJsonSchema"] = tool.parameters
    return declared


def _chosen(choice: ToolChoice) -> dict[str, Any]:
    if isinstance(choice, NamedTool):
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    return {"mode": {"auto": "AUTO", "none": "NONE", "required": "ANY"}[choice]}


def _json(_: ResponseFormat) -> str:
    return "application/json"  # the schema is a field of its own


def _level(effort: ReasoningEffort) -> dict[str, Any]:
    return {"thinkingBudget": 0} if effort == "none" else {"thinkingLevel": effort.upper()}


_THINKING: Final = "generationConfig.thinkingConfig"
_BUDGET: Final = f"{_THINKING}.thinkingBudget"

_OPTIONS: Final = {
    "temperature": Field("generationConfig.temperature"),
    "top_p": Field("generationConfig.topP"),
    "top_k": Field("generationConfig.topK"),
    "max_tokens": Field("generationConfig.maxOutputTokens"),
    "stop": Field("generationConfig.stopSequences", _stops),
    "seed": Field("generationConfig.seed", _seed),
    "presence_penalty": Field("generationConfig.presencePenalty"),
    "frequency_penalty": Field("generationConfig.frequencyPenalty"),
    "reasoning_budget": Field(_BUDGET),
    "response_format": Field("generationConfig.responseMimeType", _json),
    "tools": Field("tools", _declared),
    "tool_choice": Field("toolConfig.functionCallingConfig", _chosen),
    "parallel_tool_calls": Field("tools", _in_parallel),
}

_OLDER_OPTIONS: Final = {**_OPTIONS, "reasoning_effort": Field(_BUDGET, _BUDGETS.get)}
_NEWER_OPTIONS: Final = {**_OPTIONS, "reasoning_effort": Field(_THINKING, _level)}


class Gemini(Dialect):
    """`streamGenerateContent`. `base_url` is everything before `/models/`, with the API's version.

    Summaries of thoughts are requested together with an effort or a budget, or, with
    `include_thoughts`, always: models that do not think refuse the field.
    """

    options = _NEWER_OPTIONS
    # With the other spelling that the API accepts, and the model, which the path names already.
    own_fields = frozenset(
        {
            *("contents", "model", "tools", "systemInstruction", "system_instruction"),
            *("generationConfig", "generation_config", "toolConfig", "tool_config"),
        }
    )

    def __init__(self, base_url: str, *, include_thoughts: bool = False) -> None:
        self._base_url = base_url.rstrip("/")
        self._include_thoughts = include_thoughts

    def check(self, prompt: Prompt) -> None:
        """Raises UnsupportedOption for the first option that the API cannot express."""
        self._write_options({}, prompt)

    def request(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """Build a request for a stream of events."""
        body: dict[str, Any] = {"contents": contents_of(prompt)}
        if prompt.system:
            body["systemInstruction"] = {"parts": [{"text": prompt.system}]}
        self._write_options(body, prompt)
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",
        }
        if credential:
            headers["x-goog-api-key"] = credential
        url = f"{self._base_url}/{_path(prompt.model)}{_METHOD}"
        return OutgoingRequest(url, headers, msgspec.json.encode(body))

    def interpreter(self, out: Assembler, model: str) -> Interpreter:
        """Return an interpreter for one response."""
        return GeminiInterpreter(out, model)

    def unfinished(self, finish: Finish) -> ProviderError:
        """Return the error of a finish word: most say that the model failed, and may not again."""
        match finish.word:
            case "MISSING_THOUGHT_SIGNATURE":
                return BadRequest(provider_code=finish.word)
            case "PUP_LIMITED_DISABLED":  # the account broke Google's rules
                return Unauthorized(provider_code=finish.word)
            case _:
                return StreamBroken(provider_code=finish.word)

    def _write_options(self, body: dict[str, Any], prompt: Prompt) -> None:
        for name in prompt.extra:
            if name in self.own_fields:
                raise UnsupportedOption(f"extra.{name}")
        write_options(body, prompt, _OLDER_OPTIONS if is_older(prompt.model) else _NEWER_OPTIONS)
        _complete(body, prompt)
        if self._include_thoughts and not _thinking_in(body):
            config = body.setdefault("generationConfig", {})
            config["thinkingConfig"] = {"includeThoughts": True}


def _thinking_in(body: dict[str, Any]) -> dict[str, Any]:
    thinking: dict[str, Any] = body.get("generationConfig", {}).get("thinkingConfig", {})
    return thinking


def _complete(body: dict[str, Any], prompt: Prompt) -> None:
    """Write what follows from several options, or is another field of the same one."""
    config = body.get("generationConfig", {})
    if prompt.response_format is not None and prompt.response_format.schema is not None:
        config["responseJsonSchema"] = prompt.response_format.schema
    thinking = _thinking_in(body)
    if "thinkingLevel" in thinking and "thinkingBudget" in thinking:
        raise UnsupportedOption("reasoning_budget")  # one of them can be sent
    if thinking and thinking.get("thinkingBudget") != 0:
        thinking["includeThoughts"] = True
    if not prompt.tools and prompt.tool_choice is not None:
        if prompt.tool_choice not in ("auto", "none"):
            raise UnsupportedOption("tool_choice")
        del body["toolConfig"]  # refused without tools
    elif prompt.tool_choice in (None, "auto") and any(tool.strict for tool in prompt.tools):
        body["toolConfig"] = {"functionCallingConfig": {"mode": "VALIDATED"}}


def _path(model: str) -> str:
    collection, separator, name = model.partition("/")
    if not separator or collection not in _COLLECTIONS:
        collection, name = "models", model
    return f"{collection}/{quote(name, safe='')}"
