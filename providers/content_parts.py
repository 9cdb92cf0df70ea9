"""Extracts the texts from a message's content, whichever shape a provider gives it."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from providers.lenient_json import MAX_DEPTH, written_number
from providers.sink import Kind


def texts_in(content: Any, depth: int = 0) -> Iterator[tuple[Kind, str]]:
    """Return the texts in a content, each with its kind.

    Parts have OpenAI's shape, DashScope's (`{"text": …}`) or Mistral's, whose reasoning is a part
    of type `thinking` that contains parts again; or they are plain strings. Parts of other types,
    such as pictures, are left out.
    """
    if isinstance(content, str):
        yield "text", content
    elif isinstance(content, list) and depth < MAX_DEPTH:
        for part in content:
            yield from texts_in(part, depth + 1)
    elif isinstance(content, dict) and depth < MAX_DEPTH:
        yield from _texts_of_part(content, depth + 1)
    elif (written := written_number(content)) is not None:
        yield "text", written


def _texts_of_part(part: dict[str, Any], depth: int) -> Iterator[tuple[Kind, str]]:
    kind = str(part.get("type", ""))
    for name in ("thinking", "reasoning", "reasoning_content"):
        if part.get(name) is not None or name in kind:
            inner = next((part[n] for n in (name, "text", "content") if part.get(n)), None)
            yield from (("reasoning", words) for _, words in texts_in(inner, depth))
            return
    if part.get("refusal") is not None:
        yield from (("refusal", words) for _, words in texts_in(part["refusal"], depth))
        return
    for name in ("text", "content", "value", "parts"):
        if part.get(name) is not None:
            yield from texts_in(part[name], depth)
            return


def argument_text(arguments: Any) -> str:
    """Return a tool call's arguments as text of JSON, also where a server sent the object
    itself.
    """
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    if (written := written_number(arguments)) is not None:
        return written
    try:
        return msgspec.json.encode(arguments).decode()
    except (
        UnicodeEncodeError,
        TypeError,
    ):  # half a surrogate pair in them is written as its escape
        return json.dumps(arguments)
