"""OpenAI's chat completions: the request, and what errors and finish marks mean.

Most other vendors speak this dialect as well, each a little differently; `openai_interpreter.py`
reads what they answer.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from model.prompt import Prompt, Turn
from presets import USUAL, Switches
from providers.assembler import Assembler
from providers.dialect import Dialect, Interpreter, Outgoing
from providers.errors import (
    ProviderError,
    ProviderOverloaded,
    Refused,
    StreamBroken,
)
from providers.openai_interpreter import OpenAIInterpreter
from providers.sink import Finish

# Hosts whose newer models refuse `max_tokens`. Everybody else understands `max_tokens`, and many
# compatible servers nothing but that: they would silently generate without a limit.
_OWN_HOSTS: Final = (".api.openai.com", ".openai.azure.com")

_BUSY: Final = ("insufficient_system_resource", "network_error")  # DeepSeek's and Zhipu's


class OpenAI(Dialect):
    """Chat completions. `base_url` is all before `/chat/completions`, as the SDK has it.

    Every option of a prompt is sent. Reasoning models of OpenAI refuse some of them with a 400.
    `switches` are what some compatible servers need.
    """

    def __init__(self, base_url: str, switches: Switches = USUAL) -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._switches = switches
        host = f".{urlsplit(base_url).hostname}"
        self._is_openai = host.endswith(_OWN_HOSTS)

    def request(self, prompt: Prompt, credential: str | None) -> Outgoing:
        """A chat completion that streams and counts its tokens."""
        messages = [_message(turn) for turn in prompt.turns]
        if prompt.system:
            messages.insert(0, {"role": "system", "content": prompt.system})
        body: dict[str, Any] = {"model": prompt.model, "messages": messages, "stream": True}
        if self._switches.stream_options:
            body["stream_options"] = {"include_usage": True}
            if self._is_openai:  # spares the random padding that is meant to hide token lengths
                body["stream_options"]["include_obfuscation"] = False
        if prompt.temperature is not None:
            body["temperature"] = prompt.temperature
        if prompt.top_p is not None:
            body["top_p"] = prompt.top_p
        if prompt.max_tokens is not None:
            own = "max_completion_tokens" if self._is_openai else "max_tokens"
            body[self._switches.max_tokens_name or own] = prompt.max_tokens
        if prompt.stop:
            body["stop"] = list(prompt.stop)
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",  # errors are JSON
        }
        if credential:
            headers["Authorization"] = f"Bearer {credential}"
        return Outgoing(self._url, headers, msgspec.json.encode(body))

    def interpreter(self, out: Assembler) -> Interpreter:
        """What reads one response."""
        return OpenAIInterpreter(out, done_ends=self._switches.done_ends)

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """By what the body says, else by status."""
        error = super().error(status, body, headers)
        if error.retryable and headers.get("x-should-retry", "").lower() == "false":
            # OpenAI means it, its SDK obeys.
            return Refused(provider_code=error.provider_code, reason=error.reason)
        return error

    def unfinished(self, finish: Finish) -> ProviderError:
        """DeepSeek ran out of resources and Zhipu lost its network; others just broke off."""
        if finish.word.lower() in _BUSY:
            return ProviderOverloaded(provider_code=finish.word)
        return StreamBroken(provider_code=finish.word)


def _message(turn: Turn) -> dict[str, Any]:
    return {"role": turn.role.value, "content": turn.text}
