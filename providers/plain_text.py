"""The fast path for OpenAI's dialect: events that add text to the answer and say nothing else.

Nearly all events of a stream are such. The decoder itself recognizes them: of every field that the
interpreter reads besides the text it accepts only null, and so fails for all other events, which
are left to the interpreter. One call reads all such events of a read, whose texts are joined, where
the interpreter takes five calls for each of them.
"""

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from providers.sse import Event, StrayLine


class _PlainDelta(msgspec.Struct, gc=False):
    content: str
    reasoning_content: None = None
    reasoning: None = None
    reasoning_details: None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None


class _PlainChoice(msgspec.Struct, gc=False):
    delta: _PlainDelta
    index: int | None = None
    message: None = None
    text: None = None
    finish_reason: None = None
    error: None = None
    usage: None = None
    flag: Literal[0] | None = None  # sent by Qianfan: others may forbid to show the text


class _PlainChunk(msgspec.Struct, gc=False):
    choices: tuple[_PlainChoice]
    usage: None = None
    error: None = None
    base_resp: None = None


_decode: Final = msgspec.json.Decoder(_PlainChunk).decode


def plain_texts(events: Iterable[Event | StrayLine], index: int, max_chars: int) -> list[str]:
    """Return the texts of the first events, as far as they are plain text.

    They are texts of the choice `index`, of `max_chars` characters each at most.
    """
    texts = []
    try:
        for event in events:
            if type(event) is not Event or event.type != "message":
                break
            choice = _decode(event.data).choices[0]
            text = choice.delta.content
            if len(text) > max_chars or (choice.index or 0) != index:
                break
            texts.append(text)
    except (ValueError, RecursionError):  # the event says something else, or is malformed
        pass
    return texts
