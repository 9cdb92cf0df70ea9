"""The interface of a dialect, which makes the requests of one kind of provider and reads its
responses.

A dialect is pure. It turns a `Prompt` into an `OutgoingRequest`, and makes an interpreter for each
response, which passes what it reads to an `Assembler`; neither opens a socket or uses a clock.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from model.prompt import Prompt
from providers.assembler import Assembler
from providers.error_parsing import error_from_status, error_in_body, retry_after
from providers.errors import ProviderError, StreamBroken
from providers.ndjson import LineParser
from providers.options import OptionTable, write_options
from providers.sink import Finish
from providers.sse import Event, EventParser, StrayLine


class OutgoingRequest(msgspec.Struct, frozen=True):
    """A request that is ready to be sent by POST.

    The URL may contain a token, so it is never logged.
    """

    url: str
    headers: dict[str, str]
    body: bytes


class AccessToken(msgspec.Struct, frozen=True):
    """A short-lived credential, and for how many seconds from now it is valid."""

    text: str
    lifetime: float


class Interpreter(ABC):
    """Reads one response and passes what it reads to an assembler.

    A new one is made for each response.

    All of its methods raise ProviderError: the provider's own error, or BadResponse for what cannot
    be read. What precedes an error in the same event is passed on before.
    """

    # How the body is cut into events: as SSE, or for Ollama's own API as lines of JSON.
    framing: ClassVar[type[EventParser | LineParser]] = EventParser
    # Whether an event of its own, such as `[DONE]`, ends the stream. If not, the body's end does.
    has_end_word: ClassVar[bool] = False

    def __init__(self, out: Assembler) -> None:
        self._out = out

    def plain_texts(self, events: Sequence[Event | StrayLine]) -> int:
        """Read the first events, as many as are text of the answer and nothing else; return how
        many were read.

        A fast path, which passes their text on in one piece. `event` is called for the others.
        """
        return 0

    @abstractmethod
    def event(self, event: Event) -> bool:
        """Read one event of the stream; returns whether it says that nothing follows."""

    @abstractmethod
    def json_body(self, body: bytes) -> None:
        """Read a JSON body that came in place of a stream."""

    def stray_line(self, line: bytes) -> bool:
        """Read a line that is no field of an event stream, such as a bare JSON error or a
        proxy's message.

        Returns whether it says that nothing follows.
        """
        self._out.note_quirk("stray_line")
        return False

    def end(self, *, proper: bool) -> None:
        """Nothing follows. `proper`: the response came to an end rather than being cut off.

        A proper end is the provider's end word or, in a dialect without one, the end of the body.
        """
        if proper:
            self._out.confirm()

    def release(self) -> None:
        """Pass on what is held back, since nothing will come that could complete or explain it."""
        self._out.release()


class Dialect(ABC):
    """Makes the requests and reads the responses of one kind of provider.

    An instance holds only settings. `options` tells how the options of a prompt are spelled,
    `own_fields` the paths of the request's other fields, which no `extra` may write, and `parts`
    which images and files the API has a form for, by `input_kind`. `takes_chat_fields` says that it
    is OpenAI's chat completions, so that fields which only clients know may go on to it.
    `openai_fields` are fields of OpenAI's own that its request has, by their paths in Responses.

    `credential` authenticates this server at the provider: a key, or a token fetched with one.
    """

    options: OptionTable
    own_fields: ClassVar[frozenset[str]]
    takes_chat_fields: ClassVar[bool] = False
    openai_fields: ClassVar[Mapping[str, str]] = {}
    parts: frozenset[str] = frozenset(("image", "image_url", "file", "file_url"))

    def check(self, prompt: Prompt) -> None:
        """Raises UnsupportedOption for the first option that the API cannot express."""
        write_options({}, prompt, self.options, self.own_fields)

    @abstractmethod
    def request(self, prompt: Prompt, credential: str | None) -> OutgoingRequest:
        """Build the request that streams an answer to `prompt`.

        Raises UnsupportedOption for what the API cannot express.
        """

    @abstractmethod
    def interpreter(self, out: Assembler, model: str) -> Interpreter:
        """Return an interpreter for one response of `model` with a status of success."""

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """Return the error that a response with any other status means.

        `body` may be anything, or cut off.
        """
        wait = retry_after(headers)
        return error_in_body(body, status=status, wait=wait) or error_from_status(status, wait)

    def unfinished(self, finish: Finish) -> ProviderError:
        """Return the error that a finish mark with reason ERROR means."""
        return StreamBroken(provider_code=finish.word)


class AccessTokenDialect(Dialect):
    """A dialect whose credential is a token, which is fetched with a key pair and renewed."""

    @abstractmethod
    def access_token_request(self, api_key: str, secret_key: str) -> OutgoingRequest:
        """Build the request that fetches a token."""

    @abstractmethod
    def token(self, status: int, body: bytes) -> AccessToken:
        """Return the token in the response to `access_token_request`. Raises ProviderError."""
