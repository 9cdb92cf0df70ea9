"""Which Claude thinks how, and what the Messages API demands of thinking in a tool loop.

To the API all answers of a tool loop are one. The demands are those of its error messages, which
many users report; newer versions may drop thinking themselves instead of refusing the request.
"""

import re
from typing import Any, Final

# Blocks of thinking, shown or hidden.
THINKING: Final = ("thinking", "redacted_thinking")

# `claude-sonnet-4-5-20250929`, `claude-3-7-sonnet-latest`, `anthropic.claude-opus-5`.
_VERSION: Final = re.compile(r"claude-(?:[a-z]+-)*(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_ADAPTIVE_SINCE: Final = (4, 6)


def is_adaptive(model: str) -> bool:
    """Whether a model thinks by an effort rather than within a budget."""
    return (_version(model) or (0, 0)) >= _ADAPTIVE_SINCE


def settle_thinking(body: dict[str, Any]) -> None:
    """Make the tool loop that a request goes on with agree with whether the model thinks.

    If Claude thinks within a budget, the loop has to begin with thinking. Where another model began
    it, there is none, and the request is made without thinking. If Claude does not think, there
    must be no thinking in the loop. Other models, of gateways, check neither.
    """
    version = _version(body["model"])
    loop = _answers_of_loop(body["messages"])
    if version is None or not loop:
        return
    mode = body.get("thinking", {}).get("type")
    if mode == "enabled" and loop[0]["content"][0]["type"] not in THINKING:
        mode = "disabled"
        body["thinking"] = {"type": mode}
    # What later models do by default differs, and those that think need their thinking back.
    if mode == "disabled" or (mode is None and version < _ADAPTIVE_SINCE):
        for answer in loop:
            answer["content"] = [b for b in answer["content"] if b["type"] not in THINKING]


def _version(model: str) -> tuple[int, int] | None:
    """The version of a Claude; None for other models, and for names without a version."""
    found = _VERSION.search(model.lower())
    return None if found is None else (int(found[1]), int(found[2] or 0))


def _answers_of_loop(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers since the last question without results of tools, oldest first."""
    found: list[dict[str, Any]] = []
    for message in reversed(messages):
        if message["role"] == "assistant":
            found.append(message)
        elif message["content"][0]["type"] != "tool_result":
            break
    return found[::-1]
