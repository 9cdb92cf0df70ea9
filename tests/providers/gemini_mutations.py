"""Right streams of Gemini's API, changed as its gateways change them."""

import json
from collections.abc import Iterator
from typing import Any

from tests.providers.mutated_framing import Event
from tests.providers.stream_mutations import WORDS, MutatedStream, Mutator


class GeminiMutator(Mutator):
    """Makes the stream of one seed."""

    def _events(self) -> Iterator[Event]:
        for kind, texts in (("thought", self.thoughts), ("text", self.said)):
            held: list[Event] = []
            for text in self._halved(texts):
                part: Event = {"text": text} if kind == "text" else {"text": text, "thought": True}
                if self.chance.random() < 0.1:
                    part["thoughtSignature"] = "c2ln"
                held.append(part)
                if self.chance.random() < 0.7:
                    yield _said(*held)
                    held = []
            if held:
                yield _said(*held)
        if self.calls:
            yield from self._calls()
        if self.chance.random() < 0.3:
            yield _said({"text": "", "thoughtSignature": "c2ln"})

    def _calls(self) -> Iterator[Event]:
        parts = []
        for place, (call_id, name, arguments) in enumerate(self.calls):
            args = json.loads(arguments)
            # Written again, they have no blanks.
            written = json.dumps(args, ensure_ascii=False, separators=(",", ":"))
            self.calls[place] = (call_id, name, written)
            part: Event = {"functionCall": {"id": call_id, "name": name, "args": args}}
            parts.append(part | ({"thoughtSignature": "c2ln"} if place == 0 else {}))
        if self.chance.random() < 0.5:
            yield _said(*parts)
        else:
            yield from map(_said, parts)

    def _beside_others(self, events: list[Event]) -> list[Event]:
        """Our candidate under another index, with other candidates beside it."""
        self.ours = self.chance.choice((0, 1, 3))
        for event in events:
            event["candidates"][0]["index"] = self.ours
        begin = next((n for n, each in enumerate(events) if _has_text(each)), None)
        if begin is None:
            return events
        for _ in range(self.chance.randrange(3)):
            other = _said({"text": "not ours"})
            other["candidates"][0]["index"] = self.ours + 7
            if self.chance.random() < 0.3:
                other["candidates"][0]["finishReason"] = "MAX_TOKENS"
            place = self.chance.randrange(begin + 1, len(events) + 1)
            if self.chance.random() < 0.5 or place == len(events):
                events.insert(place, other)
            else:  # in the same event
                events[place]["candidates"] += other["candidates"]
        return events

    def _mark(self, events: list[Event]) -> None:
        word, self.reason = "STOP", "stop"
        if self.likes(1, "another word"):
            word, self.reason = self.chance.choice(WORDS)
        if self.calls and self.reason == "stop":
            self.reason = "tool_calls"
        mark: Event = {"candidates": [{"index": self.ours, "finishReason": word}]}
        if self.chance.random() < 0.5:
            mark["candidates"][0]["content"] = {"parts": [{"text": ""}], "role": "model"}
        figures = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 5}}
        self.end: list[Event] = [{**mark, **figures}]
        if self.reason is None or not self.likes(2, "marks"):
            return
        own = [each for each in events if each["candidates"][0].get("index") == self.ours]
        match self.chance.choice(("early", "twice", "usage behind", "with the last part")):
            case "early":
                for event in own:
                    if self.chance.random() < 0.5:
                        event["candidates"][0]["finishReason"] = word
                self.marks_mean_little = True
            case "twice":
                self.end = [mark, {**mark, **figures}]
            case "usage behind":
                self.end = [mark, figures]
            case _ if own[-1] is events[-1]:
                events[-1]["candidates"][0]["finishReason"] = word
                self.end = [figures]
            case _:
                pass

    def _odd(self, event: Event) -> Event:
        event = json.loads(json.dumps(event))
        chance = self.chance.random
        if chance() < 0.3:
            event |= {"responseId": self.chance.choice((None, 7, "x")), "modelVersion": [1]}
        if chance() < 0.2:
            event["promptFeedback"] = self.chance.choice((None, {}, {"blockReason": None}))
        candidates = event.get("candidates", [])
        for candidate in candidates:
            self._odd_candidate(candidate)
        if len(candidates) == 1 and chance() < 0.2:
            event["candidates"] = self.chance.choice((candidates[0], [None, *candidates]))
        return event

    def _odd_candidate(self, candidate: Event) -> None:
        chance = self.chance.random
        if chance() < 0.3:
            index = candidate["index"]
            candidate["index"] = self.chance.choice((str(index), float(index), index))
            if index == 0:
                candidate["index"] = self.chance.choice(("0", None, 0.0))
        if "finishReason" not in candidate and chance() < 0.5:
            candidate["finishReason"] = self.chance.choice(("", None, "FINISH_REASON_UNSPECIFIED"))
        content = candidate.get("content")
        if content is None:
            return
        for part in content["parts"]:
            if "text" in part:
                part["text"] = self._odd_text(part["text"], parts=False)
                if chance() < 0.3:
                    part["functionCall"] = None
                if "thought" not in part and chance() < 0.3:
                    part["thought"] = self.chance.choice((False, None))
        if len(content["parts"]) == 1 and chance() < 0.2:
            content["parts"] = self.chance.choice((content["parts"][0], [None, *content["parts"]]))
        if chance() < 0.2:
            candidate["content"] = [content]


def _said(*parts: Event) -> Event:
    return {"candidates": [{"index": 0, "content": {"parts": list(parts), "role": "model"}}]}


def _has_text(event: Event) -> bool:
    content: dict[str, Any] = event["candidates"][0]["content"]
    return any(part.get("text") and not part.get("thought") for part in content["parts"])


def mutated_candidates(dialect: str, seed: int, classes: tuple[int, ...]) -> MutatedStream:
    """The stream of a seed, changed in some of `classes`."""
    return GeminiMutator(dialect, seed, classes).result()
