"""An estimate of tokens, for answers whose provider sent no figures: cut off, it seldom does."""

import storage.base as kept
from providers.dialect import Prompt

# English runs at about four letters to a token and Chinese at about three quarters of a token to a
# character. As UTF-8 both are close to four bytes: one figure does for any mixture.
_BYTES_PER_TOKEN = 4


def estimate(prompt: Prompt, blocks: tuple[kept.Block, ...]) -> kept.Usage:
    """What `prompt` and its answer so far cost, marked as an estimate."""
    asked = sum(_tokens(turn.text) for turn in prompt.turns) + _tokens(prompt.system or "")
    return kept.Usage(asked, estimate_output(blocks), estimated=True)


def estimate_output(blocks: tuple[kept.Block, ...]) -> int:
    """How many tokens `blocks` took, about."""
    return sum(_tokens(_text(block)) for block in blocks)


def _text(block: kept.Block) -> str:
    return block.arguments if isinstance(block, kept.ToolCallBlock) else block.text


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)
