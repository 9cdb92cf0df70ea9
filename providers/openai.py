"""OpenAI's chat completions: the request, and what errors and finish marks mean.

Most other providers speak this dialect too, each a little differently; `openai_interpreter.py`
reads their responses.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from model.prompt import Prompt, Turn
from presets import USUAL, Switches
from providers.assembler import Assembler
from providers.dialect import Dialect, Interpreter, OutgoingRequest
from providers.error_parsing import unless_told_not_to_retry
from providers.errors import ProviderError, ProviderOverloaded, StreamBroken
from providers.openai_interpreter import OpenAIInterpreter
from providers.options import Field, write_options
from providers.sink import Finish

# Hosts whose newer models reject `max_tokens`. All other servers accept it, and many know no other
# name: they would silently generate without a limit.
_OWN_HOSTS: Final = (".api.openai.com", ".openai.azure.com")

_BUSY: Final = ("insufficient_system_resource", "network_error")  # of DeepSeek and Zhipu

_OPTIONS: Final = {
    "temperature": Field("temperature"),
    "top_p": Field("top_p"),
    "stop": Field("stop", list),
}


class OpenAI(Dialect):
    """Chat completions. `base_url` is everything before `/chat/completions`, as in the SDK.

    Every option of a prompt is sent; OpenAI's reasoning models reject some of them with a 400.
    `switches` are fields of the request that some compatible servers need.
    """

    own_fields = frozenset({"model", "messages", "stream", "stream_options"})

    def __init__(self, base_url: str, switches: Switches = USUAL) -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._switches = switches
        host = f".{urlsplit(base_url).hostname}"
        self._is_openai = host.endswith(_OWN_HOSTS)
        limit = "max_completion_tokens" if self._is_openai else "max_tokens"
        self.options = {**_OPTIONS, "max_tokens": Field(switches.max_tokens_name or limit)}

    def request(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """Build a chat completion that streams and reports its usage."""
        messages = [_message(turn) for turn in prompt.turns]
        if prompt.system:
            messages.insert(0, {"role": "system", "content": prompt.system})
        body: dict[str, Any] = {"model": prompt.model, "messages": messages, "stream": True}
        write_options(body, prompt, self.options)
        if self._switches.stream_options:
            body["stream_options"] = {"include_usage": True}
            if self._is_openai:  # turns off the random padding that hides the lengths of tokens
                body["stream_options"]["include_obfuscation"] = False
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream, application/json",  # also accepted, since errors are JSON
        }
        if credential:
            headers["Authorization"] = f"Bearer {credential}"
        return OutgoingRequest(self._url, headers, msgspec.json.encode(body))

    def interpreter(self, out: Assembler, model: str) -> Interpreter:
        """Return an interpreter for one response."""
        return OpenAIInterpreter(out, done_ends=self._switches.done_ends)

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """Return the error that the body states, else that of the status."""
        return unless_told_not_to_retry(super().error(status, body, headers), headers)

    def unfinished(self, finish: Finish) -> ProviderError:
        """DeepSeek ran out of resources, Zhipu lost a connection; other servers just broke off."""
        if finish.word.lower() in _BUSY:
            return ProviderOverloaded(provider_code=finish.word)
        return StreamBroken(provider_code=finish.word)


def _message(turn: Turn) -> dict[str, Any]:
    return {"role": turn.role.value, "content": turn.text}
