"""The question of messages that do not end with one, as OpenAI's APIs take them, too.

Prompts are often a system message alone, or have an instruction behind the conversation. An app
whose user wants the rest of an answer sends messages that end with the answer. Models of most
providers are asked by a user's turn only, so that it is made of these.
"""

from typing import Final

from model.blocks import TextBlock, ToolCallBlock
from model.messages import Role
from model.prompt import Turn, text_turn

# What asks for the rest of an answer.
GO_ON: Final = "Go on exactly where your last message ends, without repeating any of it."


def add_question(turns: list[Turn], system: list[str], last: Role | None) -> None:
    """Add the question to turns that do not end with one, if the messages have it.

    `last` is who said the last message, None for a system. What a system says last is the question,
    and no longer a part of the system prompt.
    """
    if turns and turns[-1].role is Role.USER:
        return
    if last is None and system and system[-1].strip():
        turns.append(text_turn(Role.USER, system.pop()))
    elif last is Role.ASSISTANT and _is_begun_text(turns):
        turns.append(text_turn(Role.USER, GO_ON))


def _is_begun_text(turns: list[Turn]) -> bool:
    """Whether the last turn is text, and answers a user."""
    kinds = {type(block) for block in turns[-1].blocks} if turns else set()
    is_text = TextBlock in kinds and ToolCallBlock not in kinds
    return is_text and any(turn.role is Role.USER for turn in turns)
