"""Google's Gemini through the Generative Language API: the request, and what its errors mean.

Checked against google-genai 3.6.1; `gemini_contents.py` writes the turns, and
`gemini_interpreter.py` reads the responses. What is easily done wrongly: the model is part of the
path, and the method's name and `alt=sse` request a stream; the key is sent in a header, although
the API also takes it in the query, which proxies log; unknown fields are refused;
`maxOutputTokens` includes the thoughts; models before Gemini 3 know budgets of thoughts, and later
ones levels.
"""

from collections.abc import Mapping
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
from providers.gemini_contents import check_parts, contents_of, is_older
from providers.gemini_interpreter import GeminiInterpreter
from providers.openai_options import up_to_high
from providers.options import Field, OptionTable, write_options
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


def _validated(tools: tuple[Tool, ...]) -> dict[str, Any] | None:
    return {"mode": "VALIDATED"} if any(tool.strict for tool in tools) else None


def _chosen(choice: ToolChoice) -> dict[str, Any] | None:
    if isinstance(choice, NamedTool):
        return {"mode": "ANY", "allowedFunctionNames": [choice.name]}
    modes = {"none": {"mode": "NONE"}, "required": {"mode": "ANY"}}
    return modes.get(choice)  # `auto` is the default, and leaves VALIDATED as it is


def _in_parallel(parallel: bool) -> None:
    if not parallel:  # models call in parallel whenever they want to
        raise UnsupportedOption("parallel_tool_calls")


def _json(_: ResponseFormat) -> str:
    return "application/json"


def _schema(response_format: ResponseFormat) -> Mapping[str, Any] | None:
    return response_format.schema  # adhered to always, so that `strict` changes nothing


def _budget(effort: ReasoningEffort) -> int:
    return _BUDGETS[up_to_high(effort)]


def _no_budget(effort: ReasoningEffort) -> int | None:
    return 0 if effort == "none" else None


def _level(effort: ReasoningEffort) -> str | None:
    return None if effort == "none" else up_to_high(effort).upper()


_CALLING: Final = "toolConfig.functionCallingConfig"
_THINKING: Final = "generationConfig.thinkingConfig"
_BUDGET: Final = f"{_THINKING}.thinkingBudget"

_OPTIONS: Final[OptionTable] = {
    "temperature": Field("generationConfig.temperature"),
    "top_p": Field("generationConfig.topP"),
    "top_k": Field("generationConfig.topK"),
    "max_tokens": Field("generationConfig.maxOutputTokens"),
    "stop": Field("generationConfig.stopSequences", _stops),
    "seed": Field("generationConfig.seed", _seed),
    "presence_penalty": Field("generationConfig.presencePenalty"),
    "frequency_penalty": Field("generationConfig.frequencyPenalty"),
    "reasoning_budget": Field(_BUDGET),
    "response_format": (
        Field("generationConfig.responseMimeType", _json),
        Field("generationConfig.responseJsonSchema", _schema),
    ),
    "tools": (Field("tools", _declared), Field(_CALLING, _validated)),
    "tool_choice": Field(_CALLING, _chosen),
    "parallel_tool_calls": Field("tools", _in_parallel),
}
_OLDER_OPTIONS: Final[OptionTable] = {
    **_OPTIONS,
    "reasoning_effort": Field(_BUDGET, _budget),
}
_NEWER_OPTIONS: Final[OptionTable] = {
    **_OPTIONS,
    "reasoning_effort": (Field(_BUDGET, _no_budget), Field(f"{_THINKING}.thinkingLevel", _level)),
}

# Objects that have fields of ours, in which `extra` may add others.
_SHARED: Final = ("generationConfig", "thinkingConfig", "toolConfig", "functionCallingConfig")


class Gemini(Dialect):
    """`streamGenerateContent`. `base_url` is everything before `/models/`, with the API's version.

    Summaries of thoughts are requested together with an effort or a budget, or, with
    `include_thoughts`, always: models that do not think refuse the field.
    """

    options = _NEWER_OPTIONS
    own_fields = frozenset({"contents", "systemInstruction", "model"})  # the path names the model

    def __init__(self, base_url: str, *, include_thoughts: bool = False) -> None:
        self._base_url = base_url.rstrip("/")
        self._include_thoughts = include_thoughts

    def check(self, prompt: Prompt) -> None:
        """Raises UnsupportedOption for the first option that the API cannot express, and
        UnsupportedPart for an image of a type that it does not take.
        """
        check_parts(prompt.turns[-1])
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
        _check_spelling(prompt.extra)
        table = _OLDER_OPTIONS if is_older(prompt.model) else _NEWER_OPTIONS
        write_options(body, prompt, table, self.own_fields)
        _check_choice(body, prompt)
        thinking: dict[str, Any] = body.get("generationConfig", {}).get("thinkingConfig", {})
        if "thinkingLevel" in thinking and "thinkingBudget" in thinking:
            raise UnsupportedOption("reasoning_budget")  # only one of them can be sent
        if thinking and thinking.get("thinkingBudget") != 0:
            thinking.setdefault("includeThoughts", True)
        elif not thinking and self._include_thoughts:
            config = body.setdefault("generationConfig", {})
            config["thinkingConfig"] = {"includeThoughts": True}


def _check_spelling(extra: Mapping[str, Any], above: str = "extra.") -> None:
    """Raise UnsupportedOption for a name with an underscore.

    The API takes each of its fields in two spellings, so that this could overwrite one of ours.
    """
    for name, value in extra.items():
        if "_" in name:
            raise UnsupportedOption(f"{above}{name}")
        if name in _SHARED and isinstance(value, Mapping):
            _check_spelling(value, f"{above}{name}.")


def _check_choice(body: dict[str, Any], prompt: Prompt) -> None:
    """Leave the choice of no tool out where there are none, which the API refuses."""
    if prompt.tools or "toolConfig" not in body:
        return
    if prompt.tool_choice not in (None, "none"):
        raise UnsupportedOption("tool_choice")
    if prompt.tool_choice == "none":
        del body["toolConfig"]


def _path(model: str) -> str:
    collection, separator, name = model.partition("/")
    if not separator or collection not in _COLLECTIONS:
        collection, name = "models", model
    return f"{collection}/{quote(name, safe='')}"
