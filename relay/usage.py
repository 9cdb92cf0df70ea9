"""An estimate of tokens, for answers whose provider sent no figures: cut off, it seldom does."""

from model.blocks import Block, text_in
from model.prompt import Prompt
from model.usage import Usage

# English runs at about four letters to a token and Chinese at about three quarters of a token to a
# character. As UTF-8 both are close to four bytes: one figure does for any mixture.
_BYTES_PER_TOKEN = 4


def estimate(prompt: Prompt, blocks: tuple[Block, ...]) -> Usage:
    """What `prompt` and its answer so far cost, marked as an estimate."""
    asked = sum(_tokens(text_in(block)) for turn in prompt.turns for block in turn.blocks)
    asked += _tokens(prompt.system or "")
    return Usage(asked, estimate_output(blocks), estimated=True)


def estimate_output(blocks: tuple[Block, ...]) -> int:
    """How many tokens `blocks` took, about."""
    return sum(_tokens(text_in(block)) for block in blocks)


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)
