"""Right streams, changed by a seed as providers and gateways change them.

`mutated_stream` makes a stream that is right, and changes it as was seen: by the classes of
`reported/cases.py`, one or several at a time. What removes nothing must end complete, with the
exact text; what removes something must not pass for a whole answer. It knows nothing of what is
tested, so that any version of that can be held against the same seeds.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.providers.mutated_framing import DONE, Event, Framing, RawJson

DIALECTS = ("openai", "qianfan", "dashscope", "dashscope-cumulative", "qianfan-v1")

# By the number of the class in `reported/`; 7 is of servers that send no mark but `[DONE]`.
CLASSES = (1, 2, 3, 4, 5, 6, 7)

PIECES = (
    *("Hel", "lo", " ", "\n", "\n\n", "你好", "，世界", "😀", "👩‍🚀", "é", "\u2028", "\x85"),
    *("6", "0", "1.50", "-2", "true", "false", "null", "{", "}", "[]", '{"a":1}', '"', "\\", "\\n"),
    *("data: ", "data: {}", "[DONE]", "event: error", ": hi", "stop", "error", "<html>", "id:1"),
    *("longer than what a model usually says at once, as gateways that gather send it. ",),
)
NUMBERS = frozenset(("6", "0", "-2", "1.50", "true", "false"))  # as JSON spells them, too

# Finish words, and what each means: a reason, or that the answer is not whole.
WORDS = (
    *(("stop", "stop"), ("STOP", "stop"), ("eos", "stop"), ("end_turn", "stop")),
    *(("banana", "stop"), ("length", "length"), ("MAX_TOKENS", "length")),
    *(("max-length-reached", "length"), ("SAFETY", "content_filter")),
    *(("PROHIBITED_CONTENT", "content_filter"), ("guardrail_intervened", "content_filter")),
    *(("Filtered", "content_filter"), ("error", None), ("error_finish", None)),
    *(("SystemError", None), ("MALFORMED_FUNCTION_CALL", None), ("Engine-Error", None)),
)


@dataclass
class MutatedStream:
    """A response, and what is right for it."""

    dialect: str
    body: bytes
    text: str
    reasoning: str
    calls: list[tuple[str, str, str]]  # id, name, arguments
    whole: bool | None  # complete, not complete; None: complete only with all of the text
    reason: str = "stop"
    status: int = 200
    broken: bool = False  # the connection, not only the body
    done_ends: bool = False  # the switch of that name is set
    did: list[str] = field(default_factory=list)  # what was done to it


def mutated_stream(dialect: str, seed: int, classes: tuple[int, ...] = CLASSES) -> MutatedStream:
    """The stream of a seed, changed in some of `classes`."""
    return Mutator(dialect, seed, classes).result()


def pieces(body: bytes, seed: int) -> list[bytes]:
    """`body` as a socket might bring it."""
    chance = random.Random(seed)
    if chance.random() < 0.1:
        return [body[place : place + 1] for place in range(len(body))]
    places = sorted(chance.randrange(len(body) + 1) for _ in range(chance.choice((0, 1, 4, 16))))
    bounds = [0, *places, len(body)]
    return [body[start:stop] for start, stop in pairwise(bounds)]


class Mutator:
    """Makes the stream of one seed.

    Itself it knows the shapes of OpenAI's, DashScope's and Qianfan's APIs; subclasses have others.
    """

    has_choices = True
    has_thoughts = True
    has_calls = True

    def __init__(self, dialect: str, seed: int, classes: tuple[int, ...]) -> None:
        self.chance = random.Random(f"{dialect} {seed}")
        self.dialect = dialect
        self.shape = {"qianfan": "openai", "dashscope-cumulative": "dashscope"}.get(
            dialect, dialect
        )
        self.classes = tuple(each for each in classes if self.chance.random() < 0.6) or classes
        self.has_done = self.shape == "openai"
        if dialect == "qianfan-v1":
            self.has_choices = self.has_thoughts = False
        if dialect in ("qianfan-v1", "dashscope-cumulative"):
            self.has_calls = False
        self.did: list[str] = []
        self.status = 200
        self.reason: str | None = "stop"
        self.done_ends = False
        self.marks_mean_little = False  # what is cut off after one could not be told from an end
        self.broken_event = -1
        self.ours = 0  # the number of our choice

    def likes(self, number: int, what: str, chance: float = 0.5) -> bool:
        """Whether to do something of a class; noted if so."""
        if number not in self.classes or self.chance.random() >= chance:
            return False
        self.did.append(f"{number}:{what}")
        return True

    def result(self) -> MutatedStream:
        self._speak()
        events = list(self._events())
        if self.has_choices and self.likes(4, "other choices", 0.4):
            events = self._beside_others(events)
        self._mark(events)
        if self.likes(3, "fields"):
            events = [self._odd(event) for event in events]
        may_remove = not self.marks_mean_little
        is_truncated = may_remove and self.chance.random() < 0.1
        if is_truncated:
            self._truncate(events)
        body = self._framed(events)
        whole: bool | None = self.reason is not None and not is_truncated
        broken = False
        if not is_truncated and may_remove and self.chance.random() < 0.25:
            self.did.append("cut")
            body = body[: self.chance.randrange(len(body))]
            broken = self.chance.random() < 0.5
            whole = None if whole else False
        return MutatedStream(
            self.dialect,
            body,
            self.text,
            self.reasoning,
            self.calls,
            whole,
            self.reason or "",
            self.status,
            broken,
            self.done_ends,
            self.did,
        )

    # What is said

    def _speak(self) -> None:
        chance = self.chance
        self.thoughts = self._said(chance.randrange(5)) if self.has_thoughts else []
        self.said = self._said(chance.randrange(1, 12))
        self.text, self.reasoning = "".join(self.said), "".join(self.thoughts)
        self.calls: list[tuple[str, str, str]] = []
        if chance.random() < 0.3 and self.has_calls:
            for number in range(chance.choice((1, 1, 2))):
                arguments = json.dumps({"x": chance.choice(PIECES)}, ensure_ascii=False)
                self.calls.append((f"call_{number}", chance.choice(("weather", "time")), arguments))

    def _said(self, count: int) -> list[str]:
        return [self.chance.choice(PIECES) for _ in range(count)]

    def _halved(self, texts: list[str]) -> Iterator[str]:
        """The same texts, now and then with a character cut in two, as UTF-16 has it."""
        for text in texts:
            if len(text) == 1 and ord(text) > 0xFFFF and self.chance.random() < 0.5:
                high, low = divmod(ord(text) - 0x10000, 0x400)
                yield chr(0xD800 + high)
                yield chr(0xDC00 + low)
            else:
                yield text

    # As events

    def _events(self) -> Iterator[Event]:
        so_far = ""
        for kind, texts in (("reasoning", self.thoughts), ("text", self.said)):
            so_far = ""
            for text in self._halved(texts):
                so_far += text
                cumulative = self.dialect == "dashscope-cumulative"
                yield self._event(kind, so_far if cumulative else text)
        for number, (call_id, name, arguments) in enumerate(self.calls):
            yield from self._call_events(number, call_id, name, arguments)

    def _event(self, kind: str, text: str) -> Event:
        match self.shape, kind:
            case "openai", "text":
                return _choices(delta={"content": text})
            case "openai", _:
                return _choices(delta={"reasoning_content": text})
            case "dashscope", "text":
                return {"output": _choices(message={"content": text})}
            case "dashscope", _:
                return {"output": _choices(message={"content": "", "reasoning_content": text})}
            case _:
                return {"result": text, "is_end": False, "finish_reason": "normal"}

    def _call_events(self, number: int, call_id: str, name: str, arguments: str) -> Iterator[Event]:
        cut = self.chance.randrange(len(arguments))
        new_ids = self.likes(4, "an id for each piece", 0.4)
        repeats = self.chance.random() < 0.3
        parts = (("", name), (arguments[:cut], name), (arguments[cut:], name))
        for place, (part, named) in enumerate(parts):
            piece: Event = {"index": number, "type": "function"}
            piece["id"] = call_id if place == 0 or repeats else None
            if new_ids and place:
                piece["id"] = f"{call_id}_{place}"
            piece["function"] = {"name": named if place == 0 or repeats else "", "arguments": part}
            if self.shape == "openai":
                yield _choices(delta={"tool_calls": [piece]})
            else:
                yield {"output": _choices(message={"content": "", "tool_calls": [piece]})}

    # 4: choices

    def _beside_others(self, events: list[Event]) -> list[Event]:
        """Our choice under another index, with other choices beside it."""
        ours = self.chance.choice((0, 1, 3))
        thoughts = self.chance.choice((0, ours))
        for event in events:
            for choice in _choices_of(event):
                choice["index"] = ours if _is_text(choice) else thoughts
        if any("tool_calls" in json.dumps(event) for event in events):
            for event in events:
                _choices_of(event)[0]["index"] = ours
        self.ours = ours
        begin = next((n for n, each in enumerate(events) if _is_text(_choices_of(each)[0])), None)
        if begin is None:
            return events
        for _ in range(self.chance.randrange(3)):
            other = self._event("text", "not ours")
            _choices_of(other)[0]["index"] = ours + 7
            if self.chance.random() < 0.3:
                _choices_of(other)[0]["finish_reason"] = "length"
            events.insert(self.chance.randrange(begin + 1, len(events) + 1), other)
        return events

    # 1, 2, 7: marks

    def _mark(self, events: list[Event]) -> None:
        word = "tool_calls" if self.calls else "stop"
        self.reason = word
        if self.likes(1, "another word"):
            word, self.reason = self.chance.choice(WORDS)
        if self.has_done and self.likes(7, "only [DONE]", 0.3):
            self.reason, self.done_ends = "stop", True
            self.end = [DONE]
            return
        ours = self.ours
        mark = self._marked(self._event("text", ""), word, ours)
        if self.dialect == "dashscope-cumulative":
            mark = self._marked(self._event("text", self.text), word, ours)
        end = [mark]
        usage = self._usage()
        if self.shape == "openai":
            end.append(usage)
        else:
            mark |= usage
        if self.has_done:
            end.append(DONE)
        if self.reason is not None and self.likes(2, "marks"):
            end = self._marks_elsewhere(events, end, word, ours)
        if self.shape == "openai" and self.dialect == "openai" and self.likes(4, "said again", 0.2):
            end.insert(0, self._said_again(ours))
        self.end = end

    def _marks_elsewhere(
        self, events: list[Event], end: list[Event], word: str, ours: int
    ) -> list[Event]:
        mark, *behind = end
        own = [n for n, each in enumerate(events) if not _is_others(each, ours)]
        match self.chance.choice(("early", "moved", "twice", "late", "behind", "with text")):
            case "early":
                for place in own:
                    if self.chance.random() < 0.5:
                        events[place] = self._marked(events[place], word, None)
                self.marks_mean_little = True
            case "moved" if len(own) > 1:
                events.insert(own[-1], mark)
                self.marks_mean_little = True
                end = behind
            case "twice":
                end = [mark, mark, *behind]
            case "late" if len(behind) > 1:
                end = [*behind[:-1], mark, behind[-1]]
            case "behind" if self.has_done:
                end = [*behind, mark]
            case "with text" if own and own[-1] == len(events) - 1:
                events[-1] = self._marked(events[-1], word, None)
                end = behind
        return end

    def _marked(self, event: Event, word: str, index: int | None) -> Event:
        event = json.loads(json.dumps(event))
        if self.shape == "qianfan-v1":
            return event | {"is_end": True, "finish_reason": word}
        choice = _choices_of(event)[0]
        choice["finish_reason"] = word
        if index is not None:
            choice["index"] = index
        return event

    def _usage(self) -> Event:
        if self.shape == "openai":
            return {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}
        if self.shape == "dashscope":
            return {"usage": {"input_tokens": 3, "output_tokens": 5}}
        return {"usage": {"prompt_tokens": 3, "completion_tokens": 5}}

    def _said_again(self, ours: int) -> Event:
        message: Event = {"role": "assistant", "content": self.text}
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        choice = {"index": ours, "message": message, "finish_reason": None}
        return {"object": "chat.completion", "choices": [choice]}

    # 3: fields

    def _odd(self, event: Event) -> Event:
        event = json.loads(json.dumps(event))
        if event == DONE:
            return event
        chance = self.chance.random
        if chance() < 0.3:
            event |= {"id": self.chance.choice((None, 7, "x")), "created": "now", "object": [1]}
        for choice in _choices_of(event):
            self._odd_choice(choice)
        holder = event.get("output", event)
        if holder.get("choices") and len(holder["choices"]) == 1 and chance() < 0.2:
            holder["choices"] = self.chance.choice(
                (holder["choices"][0], [None, *holder["choices"]])
            )
        if "result" in event:
            event["result"] = self._odd_text(event["result"], parts=False)
            event["is_end"] = self.chance.choice((event["is_end"], int(event["is_end"])))
        if "output" in event and chance() < 0.2:
            event["output"] = [event["output"]]
        return event

    def _odd_choice(self, choice: Event) -> None:
        chance = self.chance.random
        if "index" in choice and chance() < 0.3:
            if choice["index"] == 0:
                choice["index"] = self.chance.choice(("0", None, 0.0))
            else:
                choice["index"] = str(choice["index"])
        word = choice.get("finish_reason")
        if word is None and chance() < 0.5:
            choice["finish_reason"] = self.chance.choice(("", "null", None))
            if chance() < 0.5:
                del choice["finish_reason"]
        elif word is not None and chance() < 0.2:
            choice["finish_reason"] = [word]
        for name in ("delta", "message"):
            if isinstance(said := choice.get(name), dict):
                said["content"] = self._odd_text(said.get("content"), parts=True)
                if chance() < 0.3:
                    said |= {"role": self.chance.choice((None, 3)), "audio": {}, "refusal": None}
                for call in said.get("tool_calls") or []:
                    call["index"] = self.chance.choice((call["index"], str(call["index"])))
                if chance() < 0.1:
                    choice[name] = [said]

    def _odd_text(self, text: Any, *, parts: bool) -> Any:
        if not isinstance(text, str) or not text:
            return text
        kind = self.chance.randrange(8)
        if kind == 0 and text in NUMBERS:
            return RawJson(text)
        if kind == 1 and parts:
            return self.chance.choice(
                ([{"type": "text", "text": text}], [text], {"type": "text", "text": text})
            )
        return text

    # What is taken away

    def _truncate(self, events: list[Event]) -> None:
        """Break one event off in its middle."""
        self.did.append("truncated")
        self.broken_event = self.chance.randrange(len(events))

    # 5: framing

    def _framed(self, events: list[Event]) -> bytes:
        if self.likes(6, "another status of success"):
            self.status = self.chance.choice((201, 202, 203, 206))
        framing = Framing(self.chance, self.broken_event, loose=self.likes(5, "framing"))
        return framing.framed([*events, *self.end])


def _choices(**said: Any) -> Event:
    return {"choices": [{"index": 0, **said, "finish_reason": None}]}


def _choices_of(event: Event) -> list[Event]:
    choices: list[Event] = event.get("output", event).get("choices", [])
    return choices


def _is_text(choice: Event) -> bool:
    said = choice.get("delta") or choice.get("message") or {}
    return bool(said.get("content"))


def _is_others(event: Event, ours: int) -> bool:
    return any(choice.get("index", 0) == ours + 7 for choice in _choices_of(event))
