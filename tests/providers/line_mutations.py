"""Right streams of Ollama's lines, changed by a seed as servers and gateways change them.

What `stream_mutations.py` is for event streams. The numbers of the classes are the same; there are
no choices here (4) and no `[DONE]` that would end an answer (7).
"""

import json
import random
from typing import Any

from tests.providers.stream_mutations import CLASSES, PIECES, WORDS, MutatedStream

Line = dict[str, Any]

# What means nothing, between two lines.
_NOISE = (b"", b"  ", b"OK", b"<!-- proxy -->", b": hi", b"event: message", b"data:", b"data: ping")


def mutated_lines(dialect: str, seed: int, classes: tuple[int, ...] = CLASSES) -> MutatedStream:
    """The stream of a seed, changed in some of `classes`."""
    return _Mutator(dialect, seed, classes).result()


class _Mutator:
    def __init__(self, dialect: str, seed: int, classes: tuple[int, ...]) -> None:
        self.chance = random.Random(f"{dialect} {seed}")
        self.dialect = dialect
        self.classes = tuple(each for each in classes if self.chance.random() < 0.6) or classes
        self.did: list[str] = []
        self.marks_mean_little = False  # what is cut off after one could not be told from an end

    def likes(self, number: int, what: str, chance: float = 0.5) -> bool:
        """Whether to do something of a class; noted if so."""
        if number not in self.classes or self.chance.random() >= chance:
            return False
        self.did.append(f"{number}:{what}")
        return True

    def result(self) -> MutatedStream:
        chance = self.chance
        thoughts = [chance.choice(PIECES) for _ in range(chance.randrange(5))]
        said = [chance.choice(PIECES) for _ in range(chance.randrange(1, 12))]
        calls = self._calls()
        lines = [_piece(thinking=part) for text in thoughts for part in self._halves(text)]
        lines += [_piece(content=part) for text in said for part in self._halves(text)]
        lines += self._lines_of(calls)
        reason = self._mark(lines)
        if calls and reason == "stop":
            reason = "tool_calls"
        if self.likes(3, "fields"):
            lines = [self._odd(line) for line in lines]
        may_remove = not self.marks_mean_little
        is_truncated = may_remove and chance.random() < 0.1
        broken_line = chance.randrange(self.pieces) if is_truncated else -1
        status = 200
        if self.likes(6, "another status of success"):
            status = chance.choice((201, 202, 203, 206))
        body = self._framed(lines, broken_line)
        whole: bool | None = reason is not None and not is_truncated
        broken = False
        if not is_truncated and may_remove and chance.random() < 0.25:
            self.did.append("cut")
            body = body[: chance.randrange(len(body))]
            broken = chance.random() < 0.5
            whole = None if whole else False
        text, reasoning = "".join(said), "".join(thoughts)
        expected = [(each["id"], each["function"]["name"], _arguments(each)) for each in calls]
        return MutatedStream(
            self.dialect,
            body,
            text,
            reasoning,
            expected,
            whole,
            reason or "",
            status,
            broken,
            did=self.did,
        )

    def _calls(self) -> list[Line]:
        chance = self.chance
        count = chance.choice((1, 1, 2, 3)) if chance.random() < 0.3 else 0
        same_index = chance.random() < 0.5
        return [
            {
                "id": f"call_{number}",
                "function": {
                    "index": 0 if same_index else number,
                    "name": chance.choice(("weather", "time")),
                    "arguments": chance.choice(({}, {"x": chance.choice(PIECES)})),
                },
            }
            for number in range(count)
        ]

    def _lines_of(self, calls: list[Line]) -> list[Line]:
        if self.chance.random() < 0.5:
            return [_piece(tool_calls=[call]) for call in calls]
        return [_piece(tool_calls=calls)] if calls else []

    def _halves(self, text: str) -> list[str]:
        """The text, now and then with its character cut in two, as UTF-16 has it."""
        if len(text) == 1 and ord(text) > 0xFFFF and self.chance.random() < 0.5:
            high, low = divmod(ord(text) - 0x10000, 0x400)
            return [chr(0xD800 + high), chr(0xDC00 + low)]
        return [text]

    def _mark(self, lines: list[Line]) -> str | None:
        """Add the last line; return the reason that is in it, None if it is an error."""
        word, reason = "stop", "stop"
        if self.likes(1, "another word"):
            word, reason = self.chance.choice(WORDS)
        self.pieces = len(lines)
        last = _piece() | {"done": True, "done_reason": word}
        last |= {"prompt_eval_count": 3, "eval_count": 5, "total_duration": 10**9}
        if reason is None or not self.likes(2, "marks"):
            lines.append(last)
            return reason
        match self.chance.choice(("early", "moved", "twice", "with the last piece")):
            case "early":
                for line in lines:
                    line |= {"done": self.chance.random() < 0.5, "done_reason": word}
                lines.append(last)
                self.marks_mean_little = True
            case "moved" if "tool_calls" not in lines[-1]["message"]:
                lines.insert(len(lines) - 1, last)
                self.marks_mean_little = True
            case "twice":
                lines += [last, last]
            case _:
                lines[-1] |= {name: value for name, value in last.items() if name != "message"}
                self.pieces -= 1
                self.marks_mean_little = self.pieces == 0
        return reason

    def _odd(self, line: Line) -> Line:
        chance = self.chance
        line = json.loads(json.dumps(line))
        if chance.random() < 0.3:
            line["model"] = chance.choice((None, 7, ["m"]))
            line["created_at"] = chance.choice((None, 1_790_000_000, "now"))
        if chance.random() < 0.3:
            line |= {"logprobs": [], "context": [1, 2, 3], "remote_host": "https://ollama.com:443"}
        if line["done"]:
            line["done"] = chance.choice((True, 1, "true"))
        elif chance.random() < 0.3:
            del line["done"]
        if "done_reason" in line and chance.random() < 0.2:
            line["done_reason"] = [line["done_reason"]]
        if "eval_count" in line and chance.random() < 0.3:
            line["eval_count"] = chance.choice(("5", 5.0, None))
        message = line["message"]
        if chance.random() < 0.3:
            message |= {"images": None, "role": chance.choice((None, "model")), "tool_name": ""}
        for name in ("content", "thinking"):
            if message.get(name) and chance.random() < 0.2:
                text = message[name]
                message[name] = chance.choice(([{"type": "text", "text": text}], [text]))
        if not message["content"] and chance.random() < 0.3:
            message["content"] = None
        if chance.random() < 0.1:
            line["message"] = [message]
        return line

    def _framed(self, lines: list[Line], broken_line: int) -> bytes:
        chance = self.chance
        is_loose = self.likes(5, "framing")
        end = chance.choice((b"\n", b"\r\n", b"\n\n")) if is_loose else b"\n"
        name = chance.choice((b"", b"", b"data: ", b"data:", b" ")) if is_loose else b""
        framed = [b"\xef\xbb\xbf"] if is_loose and chance.random() < 0.1 else []
        place = 0
        while place < len(lines):
            data = _encoded(lines[place], chance)
            if place == broken_line:
                data = data[: chance.randrange(3, len(data) - 1)]
            elif is_loose:
                following = place + 1
                may_gather = following < len(lines) and following != broken_line
                match chance.randrange(12):
                    case 0 if may_gather:
                        other = _encoded(lines[following], chance)
                        data = chance.choice((data + other, b"[%b,%b]" % (data, other)))
                        place = following
                    case 1:
                        data = b"[%b]" % data
                    case 2 if place and not name.strip():  # a body that begins so would be no JSON
                        data = json.dumps(data.decode()).encode()
            framed.append(name + data + end)
            if is_loose and chance.random() < 0.3:
                framed.append(chance.choice(_NOISE) + end)
            place += 1
        body = b"".join(framed)
        return body.rstrip() if is_loose and chance.random() < 0.3 else body


def _piece(content: str = "", **fields: Any) -> Line:
    message = {"role": "assistant", "content": content, **fields}
    return {"model": "m", "created_at": "2026-11-22T10:00:00Z", "message": message, "done": False}


def _arguments(call: Line) -> str:
    return json.dumps(call["function"]["arguments"], ensure_ascii=False, separators=(",", ":"))


def _encoded(line: Line, chance: random.Random) -> bytes:
    text = json.dumps(line)
    if chance.random() < 0.5 and "\\ud" not in text:
        text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    return text.encode()
