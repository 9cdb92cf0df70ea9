"""Ollama's own API: the request, its options, and the size of the context that it asks for.

`ollama_messages.py` makes the messages, and `ollama_interpreter.py` reads the responses.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from model.prompt import NamedTool, Prompt, ReasoningEffort, ResponseFormat, Tool, ToolChoice
from providers.assembler import Assembler
from providers.dialect import Dialect, Interpreter, OutgoingRequest
from providers.errors import (
    ProviderError,
    ProviderOverloaded,
    StreamBroken,
    UnsupportedOption,
)
from providers.ollama_interpreter import IDLE_REASONS, OllamaInterpreter, without_quotation
from providers.ollama_messages import Message, messages_of
from providers.openai_options import always_parallel, parameters_of, up_to_high
from providers.options import Field, write_options
from providers.sink import Finish

# Bytes of JSON per token of a prompt. Models have 3.2 to 3.9 letters of English or German per token
# (measured with Gemma) and at most one token per Chinese character, which has three bytes.
_BYTES_PER_TOKEN: Final = 3

# Tokens of an image. The server itself counts 768, but newer models take more for a large one.
_IMAGE_TOKENS: Final = 2048

# Tokens of an answer whose question sets no limit; the whole context that Ollama has by default on
# machines with less than 24 GB of graphics memory.
_ANSWER_TOKENS: Final = 4096

# Options with which a model is loaded. If one changes, it is loaded again.
_OF_LOADING: Final = (
    *("num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "use_mmap", "use_mlock"),
    *("numa", "low_vram", "f16_kv", "logits_all", "vocab_only", "embedding_only"),
)


class ContextSize:
    """Chooses `num_ctx`, the tokens of prompt and answer together for which there is memory.

    Ollama's own default is as little as 4,096, and it cuts longer prompts at their beginning
    without saying so. Memory is taken for all of it in advance, and the model is loaded again
    whenever the number changes, which takes seconds and waits for all running answers. So the
    number follows the prompt, but only in steps, each twice the one before: a conversation that
    grows from the `least` size to the `most`, 8 times as long, meets three loads. With both equal
    there are none.

    Where `most` is not enough, the server refuses the prompt. With `most` 0 no size is sent.
    """

    def __init__(self, least: int = 8192, most: int = 65_536) -> None:
        self._least = least
        self._most = most

    def for_prompt(self, tokens: int) -> int | None:
        """Return the smallest size for so many tokens of prompt and answer; None to send none."""
        if not self._most:
            return None
        size = self._least
        while size < tokens:
            size *= 2
        return min(size, self._most)


def _think(effort: ReasoningEffort) -> bool | str:
    if effort == "none":
        return False
    return "low" if effort == "minimal" else up_to_high(effort)  # the least that there is


def _format(wanted: ResponseFormat) -> object:
    return "json" if wanted.schema is None else wanted.schema


def _tools(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    return [{"type": "function", "function": _function(tool)} for tool in tools]


def _function(tool: Tool) -> dict[str, Any]:
    if tool.strict:
        raise UnsupportedOption("tools.strict")
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = parameters_of(tool)
    return function


def _tool_choice(choice: ToolChoice) -> None:
    """The API has no such field: the model chooses. With "none" `request` sends no tools."""
    if isinstance(choice, NamedTool) or choice == "required":
        raise UnsupportedOption("tool_choice")


_OPTIONS: Final = {
    "temperature": Field("options.temperature"),
    "top_p": Field("options.top_p"),
    "top_k": Field("options.top_k"),
    "max_tokens": Field("options.num_predict"),
    "stop": Field("options.stop", list),
    "seed": Field("options.seed"),
    "presence_penalty": Field("options.presence_penalty"),
    "frequency_penalty": Field("options.frequency_penalty"),
    "reasoning_effort": Field("think", _think),
    "response_format": Field("format", _format),
    "tools": Field("tools", _tools),
    "tool_choice": Field("tools", _tool_choice),
    "parallel_tool_calls": Field("tools", always_parallel),
}


class Ollama(Dialect):
    """Chats through Ollama's own API. `base_url` is everything before `/api/chat`.

    keep_alive: for how long the server keeps the model in memory, as a number of seconds or as the
    server writes times; None: as the server is set.
    """

    options = _OPTIONS
    # What keeps a model in memory, or loads it otherwise, is the operator's to choose.
    parts = frozenset(("image",))
    own_fields = frozenset(
        {"model", "messages", "stream", "keep_alive", "truncate", "shift"}
        | {f"options.{name}" for name in _OF_LOADING}
    )

    def __init__(
        self,
        base_url: str,
        *,
        context_size: ContextSize | None = None,
        keep_alive: str | None = None,
    ) -> None:
        self._url = base_url.rstrip("/") + "/api/chat"
        self._context_size = context_size or ContextSize()
        self._keep_alive = keep_alive

    def request(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """Build a chat that streams.

        A prompt that does not fit the context is refused rather than cut (`truncate`), and an
        answer that reaches its end stops rather than forgets the question (`shift`). Servers that
        do not know these two fields ignore them.
        """
        turns = messages_of(prompt)
        sent = msgspec.json.encode(turns)
        options: dict[str, Any] = {}
        body: dict[str, Any] = {
            "model": prompt.model,
            "messages": msgspec.Raw(sent),
            "stream": True,
            "truncate": False,
            "shift": False,
            "options": options,
        }
        write_options(body, prompt, self.options, self.own_fields)
        if prompt.tool_choice == "none":
            body.pop("tools", None)
        tokens = _prompt_tokens(turns, len(sent), body) + (prompt.max_tokens or _ANSWER_TOKENS)
        if (size := self._context_size.for_prompt(tokens)) is not None:
            options["num_ctx"] = size
        if self._keep_alive is not None:
            body["keep_alive"] = _seconds_or_text(self._keep_alive)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/x-ndjson, application/json",
        }
        if credential:
            headers["Authorization"] = f"Bearer {credential}"
        return OutgoingRequest(self._url, headers, msgspec.json.encode(body))

    def interpreter(self, out: Assembler, model: str) -> Interpreter:
        """Return an interpreter for one response."""
        return OllamaInterpreter(out)

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """Return the error that the body states, else that of the status."""
        return without_quotation(super().error(status, body, headers))

    def unfinished(self, finish: Finish) -> ProviderError:
        """The model was loaded and not asked; any other reason is an answer that broke off."""
        if finish.word in IDLE_REASONS:
            return ProviderOverloaded(provider_code=finish.word)
        return StreamBroken(provider_code=finish.word)


def _prompt_tokens(turns: list[Message], sent: int, body: Mapping[str, Any]) -> int:
    """Return how many tokens the prompt may have: `turns`, which are `sent` bytes of JSON, and the
    tools in `body`.
    """
    images = [image for turn in turns for image in turn.get("images", ())]
    sent -= sum(map(len, images))
    if "tools" in body:
        sent += len(msgspec.json.encode(body["tools"]))
    return -(-sent // _BYTES_PER_TOKEN) + len(images) * _IMAGE_TOKENS


def _seconds_or_text(text: str) -> int | str:
    return int(text) if text.removeprefix("-").isdecimal() else text
