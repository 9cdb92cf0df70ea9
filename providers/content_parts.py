"""The texts in a message's content, whichever way a provider gives them."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from providers.lenient_json import MAX_DEPTH, written_number
from providers.sink import Kind


def texts_in(content: Any, depth: int = 0) -> Iterator[tuple[Kind, str]]:
    """What a content says, whichever way it is given.

    Parts are OpenAI's, DashScope's (`{"text": …}`), Mistral's, whose reasoning is a part of kind
    `thinking` that holds parts again, or plain values. Parts of other kinds, such as pictures, are
    not for reading.
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
    """A call's arguments as the text of JSON that they mostly come as."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    if (written := written_number(arguments)) is not None:
        return written
    try:
        return msgspec.json.encode(arguments).decode()
    except (UnicodeEncodeError, TypeError):  # half a character in them, which stands as its escape
        return json.dumps(arguments)
