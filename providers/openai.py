"""OpenAI's chat completions: the request, and what errors and finish marks mean.

Most other providers speak this dialect too, each a little differently; `openai_interpreter.py`
reads their responses.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import msgspec

from model.prompt import Prompt
from presets import USUAL, InputKind, Switches
from providers.assembler import Assembler
from providers.dialect import Dialect, Interpreter, OutgoingRequest
from providers.error_parsing import unless_told_not_to_retry
from providers.errors import ProviderError, ProviderOverloaded, StreamBroken
from providers.openai_interpreter import OpenAIInterpreter
from providers.openai_messages import messages_of
from providers.openai_servers import SERVERS, server_at
from providers.options import Field, write_options
from providers.sink import Finish

_BUSY: Final = ("insufficient_system_resource", "network_error")  # of DeepSeek and Zhipu


class OpenAI(Dialect):
    """Chat completions. `base_url` is everything before `/chat/completions`, as in the SDK.

    `server` names the kind of server in `openai_servers.py`, which tells what it can be asked; None
    finds it by its host. Of what a server knows everything is sent; some of its models may reject
    some of it with a 400. `parts` is what it takes besides text, if somebody knows better than the
    table. `switches` are fields of the request that some servers need.
    """

    takes_chat_fields = True
    openai_fields: ClassVar = {"text.verbosity": "verbosity", "service_tier": "service_tier"}
    # `max_tokens` has two names, and with `n` there would be answers that nobody reads.
    own_fields = frozenset(
        {
            *("model", "messages", "stream", "stream_options"),
            *("max_tokens", "max_completion_tokens", "n", "models"),
        }
    )

    def __init__(
        self,
        base_url: str,
        switches: Switches = USUAL,
        *,
        server: str | None = None,
        parts: frozenset[InputKind] | None = None,
    ) -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._switches = switches
        self._server = server_at(base_url) if server is None else SERVERS[server]
        if parts is not None:
            self._server = self._server._replace(parts=parts)
        self.options = self._server.options
        self.parts = self._server.parts
        if switches.max_tokens_name is not None:
            self.options = {**self.options, "max_tokens": Field(switches.max_tokens_name)}

    def request(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """Build a chat completion that streams and reports its usage."""
        body: dict[str, Any] = {
            "model": prompt.model,
            "messages": messages_of(prompt, self._server),
            "stream": True,
        }
        write_options(body, prompt, self.options)
        for name, value in self._server.fields.items():
            body.setdefault(name, value)
        if self._switches.stream_options:
            body["stream_options"] = {"include_usage": True}
            if self._server.pads_tokens:  # with random text, which hides the lengths of tokens
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
