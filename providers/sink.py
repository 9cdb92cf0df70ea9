"""The interface that takes an answer as it is read, the same for all dialects."""

from typing import Literal, Protocol

import msgspec

from model.blocks import ProviderData
from model.messages import Attempt, FinishReason
from model.usage import Usage

Kind = Literal["text", "refusal", "reasoning"]  # of a text


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The provider's finish mark: without it, no answer is complete."""

    reason: FinishReason
    word: str  # as the provider spelled it


class Sink(Protocol):
    """Takes an answer as it grows. Texts are never empty and never cut a character in two.

    The methods are called from the socket's callback, so none of them blocks. An exception of
    theirs ends the request.
    """

    def text(self, text: str) -> None:
        """A piece of text."""

    def refusal(self, text: str) -> None:
        """A piece of text with which the model declines."""

    def reasoning(self, text: str) -> None:
        """A piece of the model's reasoning."""

    def tool_call(self, call_id: str, name: str) -> None:
        """A tool call opens; id and name are empty if the provider never sends them."""

    def arguments(self, text: str) -> None:
        """A piece of the arguments of the last tool call; nothing else has come after it."""

    def data(self, data: ProviderData) -> None:
        """Data that the provider has to receive back with the last reasoning or tool call."""

    def usage(self, usage: Usage) -> None:
        """The tokens so far; the last figures count, and nothing is summed."""

    def finish(self, finish: Finish | None) -> None:
        """The provider's finish mark; None withdraws the last one, because more came after it."""

    def written(self, kind: Kind) -> str:
        """Return all text of a kind so far, for providers that repeat the whole text."""

    def deliver(self) -> None:
        """What was handed over so far may go to readers: called once for each read of the socket,
        which may bring many tokens.
        """

    def attempt_ended(self, attempt: Attempt) -> None:
        """A request for this answer has ended."""
