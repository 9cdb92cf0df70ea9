"""Estimates tokens, for answers whose provider sent no figures, as most do when they are cut
off.
"""

import msgspec

from model.blocks import Block, text_in
from model.prompt import Prompt
from model.usage import Usage

# UTF-8 bytes per token. English has about four letters per token, and Chinese about three quarters
# of a token per character: in bytes both are close to four, so one figure fits any mixture.
_BYTES_PER_TOKEN = 4


def estimate(prompt: Prompt, blocks: tuple[Block, ...]) -> Usage:
    """The estimated usage of `prompt` and its answer so far."""
    asked = sum(_tokens(text_in(block)) for turn in prompt.turns for block in turn.blocks)
    asked += _tokens(prompt.system or "")
    if prompt.tools:
        asked += _tokens(msgspec.json.encode(prompt.tools).decode())
    return Usage(asked, estimate_output(blocks), estimated=True)


def estimate_output(blocks: tuple[Block, ...]) -> int:
    """The approximate number of tokens in `blocks`."""
    return sum(_tokens(text_in(block)) for block in blocks)


def _tokens(text: str) -> int:
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)
