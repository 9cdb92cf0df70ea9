"""What a dialect is: the requests of one kind of provider, and what its responses mean.

A dialect is pure. It turns a `Prompt` into an `Outgoing` request, and makes an interpreter for each
response, which reads it into an `Assembler`; neither opens a socket or keeps a clock.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from model.prompt import Prompt
from providers.assembler import Assembler
from providers.error_parsing import error_from_status, error_in_body, retry_after
from providers.errors import ProviderError, StreamBroken
from providers.ndjson import LineParser
from providers.sink import Finish
from providers.sse import Event, EventParser


class Outgoing(msgspec.Struct, frozen=True):
    """A request ready to be sent by POST. The address may hold a token: it is never logged."""

    url: str
    headers: dict[str, str]
    body: bytes


class AccessToken(msgspec.Struct, frozen=True):
    """A short-lived credential and for how many seconds from now it is good."""

    text: str
    lifetime: float


class Interpreter(ABC):
    """Reads one response. It lives as long as that, and hands what it reads to an assembler.

    All of its methods raise ProviderError: what the provider says went wrong, or BadResponse for
    what cannot be read. What stood before an error in the same event was handed over.
    """

    framing: ClassVar[type[EventParser | LineParser]] = EventParser
    has_end_word: ClassVar[bool] = False  # behind the last event: else the body's end stands for it

    def __init__(self, out: Assembler) -> None:
        self._out = out

    @abstractmethod
    def event(self, event: Event) -> bool:
        """One event of the stream: whether the provider says with it that nothing follows."""

    @abstractmethod
    def whole(self, body: bytes) -> None:
        """A JSON body that came in place of a stream."""

    def stray_line(self, line: bytes) -> bool:
        """A line that is no event-stream field (a bare JSON error, a proxy's); likewise."""
        self._out.note_quirk("stray_line")
        return False

    def end(self, *, proper: bool) -> None:
        """All was read. `proper`: to an end that the provider said, and not to where it broke off.

        That is its word for it, or the body's own end where there is none.
        """
        if proper:
            self._out.confirm()

    def release(self) -> None:
        """Hand over what is held back: nothing will come that could complete or explain it."""
        self._out.release()


class Dialect(ABC):
    """The requests and responses of one kind of provider. An instance holds only settings.

    `credential` authenticates this server at the provider: a key, or a token fetched with one.
    """

    @abstractmethod
    def request(self, prompt: Prompt, credential: str | None) -> Outgoing:
        """The request that streams an answer to `prompt`."""

    @abstractmethod
    def interpreter(self, out: Assembler) -> Interpreter:
        """What reads one response with a status of success."""

    def error(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        """What a response of any other status means. `body` may be anything, or cut off."""
        wait = retry_after(headers)
        return error_in_body(body, status=status, wait=wait) or error_from_status(status, wait)

    def unfinished(self, finish: Finish) -> ProviderError:
        """What a finish mark of reason ERROR means."""
        return StreamBroken(provider_code=finish.word)


class AccessTokenDialect(Dialect):
    """A dialect whose credential is a token, fetched with a key pair and renewed."""

    @abstractmethod
    def access_token_request(self, api_key: str, secret_key: str) -> Outgoing:
        """The request that fetches a token."""

    @abstractmethod
    def token(self, status: int, body: bytes) -> AccessToken:
        """The token in the answer to `access_token_request`; raises ProviderError."""
