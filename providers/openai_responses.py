"""OpenAI's Responses API: the request, and what errors mean.

The server keeps the conversation, not OpenAI: `store` is false, and each request has all of the
history. `openai_responses_input.py` writes that, `openai_responses_interpreter.py` reads answers.

Checked against openai 3.54.0, whose requests for the same conversation are the same. What that SDK
does not show, and was reported by its users: models that do not reason refuse to be asked for
encrypted reasoning, and summaries are refused to organizations that are not verified.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from model.prompt import NamedTool, Prompt, ResponseFormat, Tool, ToolChoice
from presets import ReasoningSummary
from providers.assembler import Assembler
from providers.dialect import Dialect, Interpreter, OutgoingRequest
from providers.error_parsing import unless_told_not_to_retry
from providers.errors import ProviderError
from providers.openai_responses_input import input_items
from providers.openai_responses_interpreter import OpenAIResponsesInterpreter
from providers.options import Field, write_options

# OpenAI's models that do not reason, by how their names begin. Fine-tuned ones have `ft:` before,
# and gateways the vendor's name.
_NOT_REASONING: Final = re.compile(
    r"(.*/)?(ft:)?(gpt-[34]|chatgpt-|gpt-audio|gpt-[5-9][.\d]*-chat)"
)


def _tools(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    return [_tool(tool) for tool in tools]


def _tool(tool: Tool) -> dict[str, Any]:
    """Return a function. Unlike chat completions, this API is strict unless told otherwise."""
    sent: dict[str, Any] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        sent["description"] = tool.description
    nothing = {"type": "object", "properties": {}, "additionalProperties": False}
    sent["parameters"] = nothing if tool.parameters is None else tool.parameters
    sent["strict"] = bool(tool.strict)
    return sent


def _tool_choice(choice: ToolChoice) -> Any:
    return {"type": "function", "name": choice.name} if isinstance(choice, NamedTool) else choice


def _text_format(wanted: ResponseFormat) -> dict[str, Any]:
    if wanted.schema is None:
        return {"type": "json_object"}
    return {
        "type": "json_schema",
        "name": wanted.name,
        "schema": wanted.schema,
        "strict": bool(wanted.strict),
    }


_OPTIONS: Final = {
    "temperature": Field("temperature"),
    "top_p": Field("top_p"),
    "max_tokens": Field("max_output_tokens"),
    "reasoning_effort": Field("reasoning.effort"),
    "response_format": Field("text.format", _text_format),
    "tools": Field("tools", _tools),
    "tool_choice": Field("tool_choice", _tool_choice),
    "parallel_tool_calls": Field("parallel_tool_calls"),
}


class OpenAIResponses(Dialect):
    """The Responses API. `base_url` is everything before `/responses`, as in the SDK.

    `reasoning_summary` asks for summaries of the reasoning. `encrypted_reasoning` may be switched
    off for servers and models that refuse it; reasoning is not sent back then. `stream_options` may
    be switched off for servers that refuse the field.
    """

    # The last three would have the history, or the answer, be kept by OpenAI.
    own_fields = frozenset(
        {
            *("model", "input", "instructions", "stream", "stream_options", "store", "include"),
            *("background", "conversation", "previous_response_id"),
        }
    )

    options = _OPTIONS
    openai_fields: ClassVar = {
        name: name for name in ("text.verbosity", "service_tier", "reasoning.summary")
    }

    def __init__(
        self,
        base_url: str,
        *,
        reasoning_summary: ReasoningSummary | None = None,
        encrypted_reasoning: bool = True,
        stream_options: bool = True,
    ) -> None:
        self._url = base_url.rstrip("/") + "/responses"
        self._reasoning_summary = reasoning_summary
        self._encrypted_reasoning = encrypted_reasoning
        self._stream_options = stream_options

    def request(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """Build a request for a response that streams and that OpenAI does not keep."""
        body: dict[str, Any] = {
            "model": prompt.model,
            "input": input_items(prompt),
            "stream": True,
            "store": False,
        }
        if prompt.system:
            body["instructions"] = prompt.system
        if self._stream_options:  # turns off the random padding that hides the lengths of tokens
            body["stream_options"] = {"include_obfuscation": False}
        write_options(body, prompt, self.options, self.own_fields)
        if not _NOT_REASONING.match(prompt.model):
            if self._encrypted_reasoning:
                body["include"] = ["reasoning.encrypted_content"]
            if self._reasoning_summary is not None:  # unless `extra` asks for another one
                body.setdefault("reasoning", {}).setdefault("summary", self._reasoning_summary)
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",  # also accepted, since errors are JSON
        }
        if credential:
            headers["Authorization"] = f"Bearer {credential}"
        return OutgoingRequest(self._url, headers, msgspec.json.encode(body))

    def interpreter(self, out: Assembler, model: str) -> Interpreter:
        """Return an interpreter for one response of `model`."""
        return OpenAIResponsesInterpreter(out, model)

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """Return the error that the body states, else that of the status."""
        return unless_told_not_to_retry(super().error(status, body, headers), headers)
