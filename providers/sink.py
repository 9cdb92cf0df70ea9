"""What takes an answer as it is read, in terms that are the same for all dialects."""

from typing import Literal, Protocol

import msgspec

from model.blocks import ProviderData
from model.messages import Attempt, FinishReason
from model.usage import Usage

Kind = Literal["text", "refusal", "reasoning"]  # of a text


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The provider's finish mark: the one thing that makes an answer complete."""

    reason: FinishReason
    word: str  # as the provider spelled it


class Sink(Protocol):
    """Takes an answer as it grows. Texts are never empty and hold no half of a character.

    Called from the socket's callback: none of it blocks. What it raises ends the request.
    """

    def text(self, text: str) -> None:
        """More of the answer."""

    def refusal(self, text: str) -> None:
        """More of an answer in which the model declines."""

    def reasoning(self, text: str) -> None:
        """More of the model's reasoning."""

    def tool_call(self, call_id: str, name: str) -> None:
        """A tool call opens; either may be empty, if the provider never gave it."""

    def arguments(self, text: str) -> None:
        """More arguments of the tool call that was opened last, if nothing came after it."""

    def data(self, data: ProviderData) -> None:
        """Data that the provider wants back with the reasoning or tool call that came last."""

    def usage(self, usage: Usage) -> None:
        """Tokens so far; the last one counts, nothing is summed."""

    def finish(self, finish: Finish | None) -> None:
        """The provider's finish mark; None takes the last one back, because more came after it."""

    def written(self, kind: Kind) -> str:
        """All text of a kind so far, for providers that repeat the whole text."""

    def attempt_ended(self, attempt: Attempt) -> None:
        """A request for this answer has ended."""
