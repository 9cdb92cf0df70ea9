"""The framing of a stream of events, as loose as providers and gateways were seen to send it."""

import json
import random
from collections.abc import Callable
from typing import Any

Event = dict[str, Any]

DONE: Event = {"[DONE]": True}


class RawJson(str):
    """JSON that stands in an event as it is written."""


class Framing:
    """Writes events as the body of a response.

    broken_event: the number of the event that is cut off in its middle, or -1.
    loose: line ends, field names and what stands between events are as no standard has them.
    """

    def __init__(self, chance: random.Random, broken_event: int, *, loose: bool) -> None:
        self._chance = chance
        self._broken_event = broken_event
        self._loose = loose

    def framed(self, events: list[Event]) -> bytes:
        """The body."""
        loose = self._loose
        chance = self._chance
        end = chance.choice((b"\n", b"\r\n", b"\r")) if loose else b"\n"
        blank = b"" if loose and chance.random() < 0.2 else end
        name = chance.choice((b"data:", b"data: ", b" data: ", b"data : ", b"Data: ", b"data:  "))
        name = name if loose else b"data: "
        framed = [b"\xef\xbb\xbf"] if loose and chance.random() < 0.1 else []
        place = 0
        while place < len(events):
            data = _encoded(events[place], chance)
            if place == self._broken_event:
                data = data[: chance.randrange(3, len(data) - 1)]
            elif loose and data != b"[DONE]":
                behind = events[place + 1] if place + 1 < len(events) else None
                data, taken = self._gathered(data, behind, place)
                place += taken
            framed.append(name + data + end + blank)
            if loose:  # not ahead of the first: what begins with a tag is a page
                framed += self._between(end, bare=not blank)
            place += 1
        body = b"".join(framed)
        return body[: -len(blank)] if loose and blank and chance.random() < 0.2 else body

    def _gathered(self, data: bytes, behind: Event | None, place: int) -> tuple[bytes, int]:
        """An event with the next one in it, in a list, or encoded twice; how many it took."""
        kind = self._chance.randrange(12)
        if kind == 0 and behind not in (None, DONE) and place + 1 != self._broken_event:
            other = _encoded(behind, self._chance)
            return self._chance.choice((data + other, b"[%b,%b]" % (data, other))), 1
        if kind == 1:
            return b"[%b]" % data, 0
        if kind == 2:
            return json.dumps(data.decode()).encode(), 0
        return data, 0

    def _between(self, end: bytes, *, bare: bool) -> list[bytes]:
        """What means nothing, between two events."""
        if self._chance.random() < 0.6:
            return []
        lines = [b": hi", b":", b"retry: 10", b"id: 7", b" : hi"]
        if not bare:  # else they would belong to the event whose end is not marked
            lines += [b"data: ping" + end, b"data: 2024-04-27 01:35:43.68" + end, b"data:" + end]
            lines += [b"event: ping" + end, b"<!-- proxy -->", b"OK", b"event: chunk"]
            lines += [b'data: {"type":"ping"}' + end]
        return [self._chance.choice(lines) + end]


def _encoded(event: Event, chance: random.Random) -> bytes:
    if event == DONE:
        return b"[DONE]"
    held: list[str] = []

    def hold(value: Any) -> Any:
        if isinstance(value, RawJson):
            held.append(value)
            return f"\0raw{len(held) - 1}\0"
        if isinstance(value, dict):
            return {name: hold(each) for name, each in value.items()}
        return [hold(each) for each in value] if isinstance(value, list) else value

    marked: Callable[[int], str] = lambda n: json.dumps(f"\0raw{n}\0")  # noqa: E731
    text = json.dumps(hold(event), ensure_ascii=True)
    for number, raw in enumerate(held):
        text = text.replace(marked(number), raw)
    if chance.random() < 0.5 and "\\ud" not in text:
        text = json.dumps(json.loads(text), ensure_ascii=False) if not held else text
    return text.encode()
