"""What a dialect is: how one kind of provider is asked, and what its events mean.

A dialect is pure. It turns a `Prompt` into an `Outgoing` request, and what came back into deltas;
it opens no socket, keeps no clock, and holds nothing of a stream: `reading.py` does that.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import ClassVar, Literal

import msgspec

from providers.errors import ProviderError, StreamBroken
from providers.sse import Event


class Turn(msgspec.Struct, frozen=True):
    """One message of the history; `text` is never empty."""

    role: Literal["user", "assistant"]
    text: str


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: turns oldest first, the last one the user's. Unset knobs are not sent."""

    model: str
    turns: tuple[Turn, ...]
    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()


class Outgoing(msgspec.Struct, frozen=True):
    """A request ready to be sent by POST. The address may hold a token: it is never logged."""

    url: str
    headers: dict[str, str]
    body: bytes


class FinishReason(StrEnum):
    """Why the provider stopped, in one spelling for all of them."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"  # a well-formed end that says the answer is not whole


# Deltas hold strings and numbers only, so the garbage collector need not look at them (gc=False):
# there is one per token.


class Text(msgspec.Struct, frozen=True, gc=False):
    """More of the answer."""

    text: str


class Refusal(Text, frozen=True, gc=False):
    """More of the answer, in which the model declines. Readers see it as text."""


class Reasoning(msgspec.Struct, frozen=True, gc=False):
    """More of what the model thinks before it answers."""

    text: str


class TextSoFar(msgspec.Struct, frozen=True, gc=False):
    """The answer from its beginning (cumulative modes); `reading.py` takes what is new of it."""

    text: str


class ReasoningSoFar(msgspec.Struct, frozen=True, gc=False):
    """The reasoning from its beginning (cumulative modes)."""

    text: str


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """A piece of a tool call. Those of one call share `index`; an empty id or name adds nothing."""

    index: int
    id: str
    name: str
    arguments: str


class ToolCallSoFar(ToolCall, frozen=True, gc=False):
    """A tool call whose arguments are repeated from their beginning (cumulative modes)."""


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens so far, the last one wins: never summed."""

    input_tokens: int
    output_tokens: int


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The provider's finish mark: the one thing that makes an answer complete."""

    reason: FinishReason
    word: str  # as the provider spelled it


Delta = (
    Text | Reasoning | TextSoFar | ReasoningSoFar | ToolCall | Usage | Finish
)  # Refusal is a Text, ToolCallSoFar a ToolCall


class Credential(msgspec.Struct, frozen=True):
    """A short-lived token and for how many seconds from now it is good."""

    token: str
    lifetime: float


class Dialect(ABC):
    """How one kind of provider speaks. An instance serves all streams and holds only settings."""

    default_base_url: ClassVar[str]
    needs_credential: bool = False  # a short-lived token, fetched by `credential_request`

    @abstractmethod
    def request(self, prompt: Prompt, credential: str | None = None) -> Outgoing:
        """The request that streams an answer to `prompt`."""

    @abstractmethod
    def deltas(self, event: Event) -> Iterator[Delta]:
        """What one event of the stream says; raises ProviderError where it says an error.

        An iterator, so that what stood before an error in the same event is not lost.
        """

    @abstractmethod
    def whole(self, body: bytes) -> Iterator[Delta]:
        """What a JSON body says that came in place of a stream; raises what error it says."""

    @abstractmethod
    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """What a response that is not 200 means. `body` may be anything, or cut off."""

    def unfinished(self, finish: Finish) -> ProviderError:
        """What a finish mark of reason ERROR means."""
        return StreamBroken(provider_code=finish.word)

    def ends_stream(self, event: Event) -> bool:
        """Whether nothing of interest comes after this event (`[DONE]`)."""
        return False

    def stray_line(self, line: bytes) -> Iterator[Delta]:
        """What a line that is no event-stream field says (a bare JSON error, an HTML page)."""
        yield from ()

    def credential_request(self) -> Outgoing:
        """The request that fetches a token; only where `needs_credential`."""
        raise NotImplementedError

    def credential(self, status: int, body: bytes) -> Credential:
        """The token in the answer to `credential_request`; raises ProviderError."""
        raise NotImplementedError
