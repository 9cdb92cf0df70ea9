"""Anthropic's Messages API (Claude): the request, and what errors mean.

DeepSeek, Moonshot, Zhipu and DashScope offer gateways with the same API.
`anthropic_interpreter.py` reads the responses, `anthropic_messages.py` writes the messages,
`anthropic_options.py` knows the options, and `anthropic_thinking.py` what both say of thinking.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from model.prompt import Prompt, begun_by_user
from providers.anthropic_interpreter import AnthropicInterpreter
from providers.anthropic_messages import check_parts, messages, tool_names
from providers.anthropic_options import dependent_fields, options_of
from providers.anthropic_thinking import settle_thinking
from providers.assembler import Assembler
from providers.dialect import Dialect, Interpreter, OutgoingRequest
from providers.error_parsing import unless_told_not_to_retry
from providers.errors import BadRequest, ProviderError, QuotaExceeded
from providers.options import write_options
from providers.tool_history import paired

# Older accounts get an ordinary invalid request for want of balance, which only its message tells.
_LOW_BALANCE: Final = re.compile(rb"credit balance is too low", re.IGNORECASE)

# Marks the end of what the provider keeps for five minutes, to read it again at a tenth of the
# price; writing it costs a quarter more.
_CACHE: Final = {"type": "ephemeral"}


class Anthropic(Dialect):
    """Messages. `base_url` is everything before `/v1/messages`, as in the SDK.

    `version` is sent as `anthropic-version`. With `prompt_cache`, the provider keeps the prompt up
    to the system prompt's end, and up to the last turn's end, for the next question.
    """

    own_fields = frozenset({"model", "messages", "stream", "system", "cache_control"})

    def __init__(self, base_url: str, *, version: str, prompt_cache: bool) -> None:
        self._url = base_url.rstrip("/") + "/v1/messages"
        self._version = version
        self._caches = prompt_cache
        self.options = options_of(version)

    def check(self, prompt: Prompt) -> None:
        """Raises UnsupportedOption for what the API cannot express, and UnsupportedPart for a media
        type that it does not take.
        """
        super().check(prompt)
        dependent_fields(prompt)
        check_parts(prompt.turns[-1])  # those of the history are left out

    def request(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """Build a message that streams."""
        turns = begun_by_user(paired(prompt.turns))
        body = dependent_fields(prompt)
        write_options(body, prompt, self.options, self.own_fields)
        body |= {"model": prompt.model, "messages": messages(prompt, turns), "stream": True}
        if prompt.system and prompt.system.strip():  # the API refuses blank texts
            body["system"] = prompt.system
        settle_thinking(body)
        if not prompt.tools and (names := tool_names(turns)):
            _define(body, names)
        if self._caches:
            _mark(body)
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",  # also accepted, since errors are JSON
            "anthropic-version": self._version,
        }
        if credential:
            headers["x-api-key"] = credential
        return OutgoingRequest(self._url, headers, msgspec.json.encode(body))

    def interpreter(self, out: Assembler, model: str) -> Interpreter:
        """Return an interpreter for one response."""
        return AnthropicInterpreter(out, model)

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """Return the error that the body states, else that of the status."""
        error = super().error(status, body, headers)
        if type(error) is BadRequest and _LOW_BALANCE.search(body):
            return QuotaExceeded(provider_code=error.provider_code, reason=error.reason)
        return unless_told_not_to_retry(error, headers)


def _define(body: dict[str, Any], names: list[str]) -> None:
    """Define the tools of earlier calls, where the question has none.

    The API refuses calls in a history without tools. The model cannot call these: a client that
    does not know them could not run them.
    """
    schema = {"type": "object"}
    body["tools"] = [{"name": name, "input_schema": schema} for name in names]
    body["tool_choice"] = {"type": "none"}


def _mark(body: dict[str, Any]) -> None:
    """Mark the ends of the system prompt and of the last turn."""
    if system := body.get("system"):
        body["system"] = [{"type": "text", "text": system, "cache_control": _CACHE}]
    body["messages"][-1]["content"][-1]["cache_control"] = _CACHE
