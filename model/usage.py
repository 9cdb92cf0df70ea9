"""What an answer cost in tokens, and how that is known."""

from enum import StrEnum

import msgspec


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

    @property
    def grade(self) -> Grade:
        """How the figures are known."""
        if self.estimated:
            return Grade.ESTIMATED
        return Grade.RUNNING if self.running else Grade.MEASURED
