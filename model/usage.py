"""What an answer cost in tokens, and how that is known."""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

# No model reads or writes so many, and every store can hold the number.
_MAX_TOKENS = 2**31


class Grade(StrEnum):
    """How the figures of a usage are known."""

    MEASURED = "measured"  # the provider's last report
    RUNNING = "running"  # the provider's figures up to where the answer was cut off
    ESTIMATED = "estimated"  # this server's estimate, without the provider's figures


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How many tokens an answer took. Parts are 0, or left out, where the provider gave none."""

    # Neither `estimated` nor `running`: the figures were measured. `grade` is the word for it.
    input_tokens: Annotated[int, Meta(description="Tokens of the prompt.", examples=[412])]
    output_tokens: Annotated[
        int, Meta(description="Tokens that the model generated.", examples=[98])
    ]
    estimated: Annotated[
        bool, Meta(description="True if the provider gave no figures and these are estimates.")
    ] = False
    running: Annotated[
        bool, Meta(description="True if these are the provider's figures up to a cut-off.")
    ] = False
    cached_tokens: Annotated[
        int, Meta(description="Those of the input that were read from the provider's cache.")
    ] = 0
    cache_written_tokens: Annotated[
        int, Meta(description="Those of the input that were written to the provider's cache.")
    ] = 0
    reasoning_tokens: Annotated[
        int, Meta(description="Those of the output that the model spent on reasoning.")
    ] = 0

    def plausible(self) -> "Usage | None":
        """This usage if its counts are plausible; None if they are not.

        All zeros are not plausible: some servers send them with every event. Parts that exceed
        their sum are left out.
        """
        read, written = self.input_tokens, self.output_tokens
        if not (0 <= read < _MAX_TOKENS and 0 <= written < _MAX_TOKENS and (read or written)):
            return None
        if (
            0 <= self.cached_tokens <= read
            and 0 <= self.cache_written_tokens <= read
            and 0 <= self.reasoning_tokens <= written
        ):
            return self
        return Usage(read, written, self.estimated, self.running)

    @property
    def grade(self) -> Grade:
        """How the figures are known."""
        if self.estimated:
            return Grade.ESTIMATED
        return Grade.RUNNING if self.running else Grade.MEASURED
