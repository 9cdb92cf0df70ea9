"""What an answer cost in tokens, and how that is known."""

from enum import StrEnum

import msgspec

# No model reads or writes so many, and every store can hold the number.
_MAX_TOKENS = 2**31


class Grade(StrEnum):
    """How the figures of a usage are known."""

    MEASURED = "measured"  # the provider's last word
    RUNNING = "running"  # the provider's figures up to where the answer was cut
    ESTIMATED = "estimated"  # ours


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Tokens of an answer. The parts are contained in the two sums; 0 where nobody told them.

    Neither `estimated` nor `running`: the figures were measured. `grade` is the word for it.
    """

    input_tokens: int
    output_tokens: int
    estimated: bool = False
    running: bool = False
    cached_tokens: int = 0  # of the input: read from the provider's cache
    cache_written_tokens: int = 0  # of the input: written to it
    reasoning_tokens: int = 0  # of the output

    def meant(self) -> "Usage | None":
        """These as counts of tokens that somebody can have meant; None if they are none.

        Zeros are none: some servers send them with every event, and nothing costs nothing. A part
        that is more than its whole is left out.
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
