"""Right streams of OpenAI's Responses API, changed as servers and gateways change them.

It does for this API what `stream_mutations.py` does for the others, with the same classes: an event
stream that says everything four times can lose much of it without losing a word.
"""

import json
import random
from typing import Any

from tests.openai_responses_stream import ResponsesStream
from tests.providers.mutated_framing import DONE, Event, Framing, RawJson
from tests.providers.stream_mutations import CLASSES, NUMBERS, PIECES, MutatedStream

# How an answer may end, and its finish reason; None: it is not whole.
_ENDINGS: tuple[tuple[dict[str, Any], str | None], ...] = (
    ({"status": "completed"}, "stop"),
    ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
    ({"status": "incomplete", "incomplete_details": {"reason": "max_messages"}}, "length"),
    (
        {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
        "content_filter",
    ),
    ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, None),
    ({"status": "incomplete", "incomplete_details": None}, None),
    ({"status": "failed", "error": {"code": "server_error", "message": "x"}}, None),
    ({"status": "failed", "error": None}, None),
    ({"status": "cancelled"}, None),
)

# What an event stream may lack, since the rest says it too: the ends of the events' types.
_REDUNDANT = (
    (".delta",),
    (".done",),
    (".added",),
    (".delta", ".added"),
    (".done", ".added"),
    ("_text.done", "arguments.done", "part.done"),
    (".delta", ".done", ".added"),
    (".delta", ".done", ".added", ".created", ".in_progress"),
)


def mutated_response(dialect: str, seed: int, classes: tuple[int, ...] = CLASSES) -> MutatedStream:
    """The stream of a seed, changed in some of `classes`."""
    return _ResponseMutator(dialect, seed, classes).result()


class _ResponseMutator:
    def __init__(self, dialect: str, seed: int, classes: tuple[int, ...]) -> None:
        self.chance = random.Random(f"{dialect} {seed}")
        self.dialect = dialect
        self.classes = tuple(each for each in classes if self.chance.random() < 0.6) or classes
        self.did: list[str] = []
        self.reason: str | None = "stop"
        self.needs_output = False  # nothing but the last event has the text
        self.needs_indexes = False  # no id tells which item an event belongs to

    def likes(self, number: int, what: str, chance: float = 0.5) -> bool:
        """Whether to do something of a class; noted if so."""
        if number not in self.classes or self.chance.random() >= chance:
            return False
        self.did.append(f"{number}:{what}")
        return True

    def result(self) -> MutatedStream:
        events, last = self._spoken()
        end = self._ended(last)
        if self.likes(4, "items", 0.7):
            events = self._with_fewer_events(events)
        if self.likes(2, "marks"):
            end = self._marked(end)
        if self.likes(3, "fields"):
            events = [self._odd(event) for event in events]
        broken_event = -1
        if events and self.chance.random() < 0.1:
            self.did.append("truncated")
            broken_event = self.chance.randrange(len(events))
        status = 200
        if self.likes(6, "another status of success"):
            status = self.chance.choice((201, 202, 203, 206))
        framing = Framing(self.chance, broken_event, loose=self.likes(5, "framing"))
        body = framing.framed([*events, *end])
        whole: bool | None = self.reason is not None and broken_event < 0
        broken = False
        if broken_event < 0 and self.chance.random() < 0.25:
            self.did.append("cut")
            body = body[: self.chance.randrange(len(body))]
            broken = self.chance.random() < 0.5
            whole = None if whole else False
        return MutatedStream(
            dialect=self.dialect,
            body=body,
            text=self.text,
            reasoning=self.reasoning,
            calls=self.calls,
            whole=whole,
            reason=self.reason or "",
            status=status,
            broken=broken,
            did=self.did,
        )

    # What is said

    def _spoken(self) -> tuple[list[Event], Event]:
        """The events of an answer, and the one that completes it."""
        chance, stream = self.chance, ResponsesStream()
        body = b""
        thoughts = ["".join(self._pieces(2)) for _ in range(chance.randrange(3))]
        self.reasoning = "\n\n".join(thoughts)
        if thoughts and chance.random() < 0.3:
            self.reasoning = "".join(thoughts)
            body += stream.reasoning_text(*thoughts)
        elif thoughts:
            body += stream.reasoning(*thoughts)
        self.text = ""
        for _ in range(chance.randrange(1, 4)):
            said = self._pieces(4)
            self.text += "".join(said)
            body += stream.text(*said)
            if chance.random() < 0.3:
                body += stream.reasoning()  # without a summary
        self.calls = []
        for number in range(chance.choice((0, 0, 1, 2))):
            arguments = json.dumps({"x": chance.choice(PIECES)}, ensure_ascii=False)
            cut = chance.randrange(len(arguments))
            self.calls.append((f"call_{number}", chance.choice(("weather", "time")), arguments))
            body += stream.call(*self.calls[-1][:2], arguments[:cut], arguments[cut:])
        body += stream.complete()
        *events, last = (_decoded(event) for event in body.split(b"\n\n") if event)
        return self._halved(events), last

    def _pieces(self, most: int) -> list[str]:
        return [self.chance.choice(PIECES) for _ in range(self.chance.randrange(1, most + 1))]

    def _halved(self, events: list[Event]) -> list[Event]:
        """The same events, now and then with a character cut in two, as UTF-16 has it."""
        halved = []
        for event in events:
            text = event.get("delta", "")
            is_text = event["type"].endswith("text.delta")
            if is_text and len(text) == 1 and ord(text) > 0xFFFF and self.chance.random() < 0.5:
                high, low = divmod(ord(text) - 0x10000, 0x400)
                halved += [{**event, "delta": chr(0xD800 + high)}]
                halved += [{**event, "delta": chr(0xDC00 + low)}]
            else:
                halved.append(event)
        return halved

    # 1, 2: how it ends

    def _ended(self, last: Event) -> list[Event]:
        if self.calls:
            self.reason = "tool_calls"
        if not self.likes(1, "another ending"):
            return [last]
        if self.chance.random() < 0.2:
            self.reason = None
            return [{"type": "error", "code": "server_error", "message": "x", "param": None}]
        ending, reason = self.chance.choice(_ENDINGS)
        self.reason = "tool_calls" if self.calls and reason == "stop" else reason
        response = {**last["response"], **ending}
        return [{**last, "type": f"response.{ending['status']}", "response": response}]

    def _marked(self, end: list[Event]) -> list[Event]:
        [last] = end
        match self.chance.choice(("done", "twice", "error", "bare", "unknown", "no output")):
            case "done":
                return [last, DONE]
            case "twice":
                return [last, last]
            case "error" if self.reason is not None:
                return [last, {"type": "error", "code": "server_error", "message": "x"}]
            case "bare" if "response" in last:  # the response without an event around it
                return [last["response"]]
            case "unknown":
                return [last, {"type": "response.audio.done"}, {"type": "ping"}, DONE]
            case "no output" if "response" in last and not self.needs_output:
                response = {**last["response"], "output": self.chance.choice((None, []))}
                return [{**last, "response": response}]
        return end

    # 4: items

    def _with_fewer_events(self, events: list[Event]) -> list[Event]:
        chance = self.chance
        match chance.choice(("redundant", "ids", "indexes", "twice", "interleaved", "hosted")):
            case "redundant":
                ends = chance.choice(_REDUNDANT)
                self.needs_output = ".done" in ends
                return [event for event in events if not event["type"].endswith(ends)]
            case "ids":  # another one in every event
                self.needs_indexes = True
                return [self._with_another_id(event) for event in events]
            case "indexes":
                names = ("output_index", "content_index")
                return [
                    {name: event[name] for name in event if name not in names}
                    if event.get("content_index", 0) == 0
                    else event
                    for event in events
                ]
            case "twice":
                doubled = []
                for event in events:
                    doubled += [event] * (1 + (event["type"].endswith(".done")))
                return doubled
            case "interleaved":
                return self._interleaved(events)
        place = chance.randrange(len(events) + 1)
        hosted = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
        added = {"type": "response.output_item.added", "output_index": 90, "item": hosted}
        done = {**added, "type": "response.output_item.done"}
        return [*events[:place], added, done, *events[place:]]

    def _with_another_id(self, event: Event) -> Event:
        event = json.loads(json.dumps(event))
        made_up = f"id_{self.chance.randrange(10**9)}"
        if "item_id" in event:
            event["item_id"] = made_up
        if "item" in event:
            event["item"]["id"] = made_up
        return event

    def _interleaved(self, events: list[Event]) -> list[Event]:
        """The events of two calls in turns."""
        if len(self.calls) < 2:
            return events
        places = sorted({each["output_index"] for each in events if "output_index" in each})[-2:]
        one, two = ([e for e in events if e.get("output_index") == place] for place in places)
        before = [event for event in events if event.get("output_index") not in places]
        mixed = [event for pair in zip(one, two, strict=False) for event in pair]
        shorter = min(len(one), len(two))
        return [*before, *mixed, *one[shorter:], *two[shorter:]]

    # 3: fields

    def _odd(self, event: Event) -> Event:
        chance = self.chance.random
        event = json.loads(json.dumps(event))
        if chance() < 0.3:
            event |= {"sequence_number": self.chance.choice((None, "7", 7.0)), "obfuscation": [1]}
        for name in ("output_index", "content_index", "summary_index"):
            if name in event and chance() < 0.3:
                event[name] = self.chance.choice((str(event[name]), float(event[name])))
        if event.get("content_index") in (0, "0") and chance() < 0.2:
            event["content_index"] = None
        has_both = "item_id" in event and "output_index" in event
        if has_both and not self.needs_indexes and chance() < 0.3:
            del event["output_index"]
        if event.get("delta") in NUMBERS and chance() < 0.3:
            event["delta"] = RawJson(event["delta"])
        for name in ("item", "part"):
            if name in event and chance() < 0.2:
                event[name] = [event[name]]
        if "response" in event and chance() < 0.3:
            event["response"] |= {"created_at": "now", "usage": None, "error": {}}
        return event


def _decoded(event: bytes) -> Event:
    _, _, data = event.partition(b"\ndata: ")
    decoded: Event = json.loads(data)
    return decoded
