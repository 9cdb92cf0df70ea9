"""Right streams of Anthropic's Messages API, changed as its gateways change them."""

import json
from collections.abc import Iterator
from typing import Any

from tests.providers.mutated_framing import Event
from tests.providers.stream_mutations import CLASSES, WORDS, MutatedStream, Mutator


def mutated_message(dialect: str, seed: int, classes: tuple[int, ...] = CLASSES) -> MutatedStream:
    """The stream of a seed, changed in some of `classes`."""
    return _Mutator(dialect, seed, classes).result()


class _Mutator(Mutator):
    """Makes the stream of one seed. The events have no names, which the SDK alone needs."""

    has_choices = False  # there is one message

    def _events(self) -> Iterator[Event]:
        message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
        figures = {"input_tokens": 3, "output_tokens": 1}
        yield {"type": "message_start", "message": {**message, "usage": figures}}
        index = 0
        for kind, field, texts in (
            ("thinking", "thinking", self.thoughts),
            ("text", "text", self.said),
        ):
            if texts:
                yield from self._block(index, kind, field, texts)
                index += 1
        for call_id, name, arguments in self.calls:
            yield from self._call(index, call_id, name, arguments)
            index += 1

    def _block(self, index: int, kind: str, field: str, texts: list[str]) -> Iterator[Event]:
        texts = list(self._halved(texts))
        begun = ""
        if self.likes(3, "text at the start", 0.2):
            begun, *texts = texts
        opening = {"type": kind, field: begun}
        if begun or not self.likes(2, "no start", 0.1):
            yield {"type": "content_block_start", "index": index, "content_block": opening}
        for text in texts:
            yield _delta(index, f"{kind}_delta", field, text)
        if kind == "thinking":
            yield _delta(index, "signature_delta", "signature", self.chance.choice(("c2ln", "")))
        if not self.likes(2, "no stop", 0.2):
            yield {"type": "content_block_stop", "index": index}

    def _call(self, index: int, call_id: str, name: str, arguments: str) -> Iterator[Event]:
        opening: Event = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        pieces = ["", arguments]
        if self.likes(3, "input at the start", 0.2):
            opening["input"], pieces = json.loads(arguments), [""]
            # Written again, it has no blanks.
            place = [each[0] for each in self.calls].index(call_id)
            written = json.dumps(opening["input"], ensure_ascii=False, separators=(",", ":"))
            self.calls[place] = (call_id, name, written)
        elif self.chance.random() < 0.7:
            cut = self.chance.randrange(len(arguments))
            pieces = ["", arguments[:cut], arguments[cut:]]
        yield {"type": "content_block_start", "index": index, "content_block": opening}
        for piece in pieces:
            yield _delta(index, "input_json_delta", "partial_json", piece)
        if pieces == [""] or not self.likes(2, "no stop", 0.2):
            yield {"type": "content_block_stop", "index": index}

    def _mark(self, events: list[Event]) -> None:
        word = "tool_use" if self.calls else "end_turn"
        self.reason = "tool_calls" if self.calls else "stop"
        if self.likes(1, "another word"):
            word, self.reason = self.chance.choice(WORDS)
        mark: Event = {"type": "message_delta", "delta": {"stop_reason": word}}
        mark["usage"] = {"output_tokens": 5}
        stop: Event = {"type": "message_stop"}
        self.end = [mark, stop]
        if self.reason is None or not self.likes(2, "marks"):
            return
        match self.chance.choice(("early", "twice", "behind", "alone", "in halves")):
            case "early":
                events.insert(self.chance.randrange(1, len(events) + 1), mark)
                self.marks_mean_little = True
            case "twice":
                self.end = [mark, mark, stop]
            case "behind":
                self.end = [stop, mark]
            case "alone":
                self.end = [mark]
            case _:
                figures = {"type": "message_delta", "delta": {"stop_reason": None}}
                self.end = [{**figures, "usage": {"output_tokens": 4}}, mark, stop]

    def _odd(self, event: Event) -> Event:
        event = json.loads(json.dumps(event))
        chance = self.chance.random
        if chance() < 0.3:
            event |= {"id": self.chance.choice((None, 7, "x")), "request_id": "r", "usage": None}
        if "index" in event and chance() < 0.3:
            event["index"] = self.chance.choice((str(event["index"]), float(event["index"])))
        for name in ("delta", "content_block"):
            if isinstance(said := event.get(name), dict):
                for field in ("text", "thinking"):
                    said[field] = self._odd_text(said.get(field), parts=True)
                if chance() < 0.3:
                    said |= {"citations": None, "caller": {"type": "direct"}}
                if chance() < 0.1:
                    event[name] = [said]
        return event


def _delta(index: int, kind: str, field: str, value: Any) -> Event:
    delta = {"type": kind, field: value}
    return {"type": "content_block_delta", "index": index, "delta": delta}
