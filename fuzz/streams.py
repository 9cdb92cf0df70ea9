"""Feeds noise to the framings and to each dialect: `make fuzz`.

streams.py [RUNS [TARGET…]]     so many inputs for each of them (1,000,000 unless told)

What a provider sends may be anything; nothing but a ProviderError may come of it, what comes can be
appended to an answer as it is, and where the bytes are cut makes no difference. With atheris the
inputs are led by coverage, without it they are the recorded samples, changed at random. Either way
an input that breaks the promise is printed, and the exit status says so.
"""

import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    import atheris
except ImportError:
    atheris = None

if atheris is None:
    from contextlib import nullcontext as instrumented
else:
    from functools import partial

    instrumented = partial(atheris.instrument_imports, include=["providers"])

import msgspec

with instrumented():
    from model.blocks import ProviderData
    from model.usage import Usage
    from providers.anthropic import Anthropic
    from providers.dashscope import DashScope
    from providers.dialect import Dialect
    from providers.errors import ProviderError
    from providers.gemini import Gemini
    from providers.ndjson import LineParser
    from providers.ollama import Ollama
    from providers.openai import OpenAI
    from providers.openai_responses import OpenAIResponses
    from providers.qianfan import Qianfan
    from providers.qianfan_v1 import QianfanV1
    from providers.quirks import QuirkLog
    from providers.response_reader import ResponseReader
    from providers.sink import Finish, Kind
    from providers.sse import EventParser

SAMPLES = Path(__file__).resolve().parent.parent / "tests" / "providers" / "samples"

# As long as the longest sample. Longer ones find nothing that these do not, and take longer to try.
_MAX_BYTES = 4096

# An input's first bytes: two say where the body is cut, one how, and what status and type it has.
_HEAD_BYTES = 3
_STATUSES = (200, 200, 200, 200, 400, 401, 429, 503)
_TYPES = ("text/event-stream", "application/json", "text/html; charset=utf-8", "")

_URL = "https://localhost"
_V1 = QianfanV1(_URL)

_DIALECTS: dict[str, Dialect] = {
    "openai": OpenAI(_URL),
    "openai-responses": OpenAIResponses(_URL),
    "dashscope": DashScope(_URL),
    "dashscope-cumulative": DashScope(_URL, incremental_output=False),
    "qianfan": Qianfan(_URL),
    "qianfan-v1": _V1,
    "anthropic": Anthropic(_URL, version="2023-06-01", prompt_cache=False),
    "ollama": Ollama(_URL),
    "gemini": Gemini(_URL),
}
_FRAMINGS: dict[str, type[EventParser | LineParser]] = {"sse": EventParser, "ndjson": LineParser}
TARGETS = (*_FRAMINGS, "qianfan-v1-token", *_DIALECTS)

# What formats trip on, as bytes and as values.
_WORDS = (
    *(b"\n", b"\r", b"\n\n", b"data:", b"data: ", b"event:", b"id:", b"[DONE]"),
    *(b"null", b"[", b"{", b'"', b"1e99", b"-1", b"NaN"),
    *(b"\\ud83d", b"\\ude00", b"\xf0\x9f", b"\xef\xbb\xbf", b"\0"),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**70, 0.5, 1e300, float("nan")),
    *("", "null", "\ud83d", "\ude00", "😀", "{}", '{"a":1}', "x" * 70),
    *([], {}, [{}], {"a": "\ud83d"}, [None]),
)
# Words that the dialects read: the names and short texts in the samples.
_NAMES = re.compile(rb'"(\w{2,32})"')


def events(
    framing: type[EventParser | LineParser], pieces: Iterable[bytes]
) -> tuple[list[object], str | None]:
    """What a framing makes of a body in pieces, and the error that it ended with."""
    parser = framing()
    found: list[object] = []
    try:
        for piece in pieces:
            found += parser.feed(piece)
        found += parser.end()
    except ProviderError as error:
        return found, error.code
    return found, None


class _Answer:
    """A sink that holds what comes to what an answer takes."""

    def __init__(self) -> None:
        self.written_: list[tuple[str, str]] = []  # one for each block, as an answer has them
        self.counted: Usage | None = None
        self.mark: Finish | None = None

    def text(self, text: str) -> None:
        self._say("text", text)

    def refusal(self, text: str) -> None:
        self._say("text", text)

    def reasoning(self, text: str) -> None:
        self._say("reasoning", text)

    def tool_call(self, call_id: str, name: str) -> None:
        f"{call_id}{name}".encode()
        self.written_.append(("call", f"{call_id} {name} "))

    def arguments(self, text: str) -> None:
        assert self.written_[-1][0] == "call", self.written_
        self._say("call", text)

    def data(self, data: ProviderData) -> None:
        self.written_.append(("data", data.dialect))

    def usage(self, usage: Usage) -> None:
        self.counted = usage

    def finish(self, finish: Finish | None) -> None:
        self.mark = finish

    def written(self, kind: Kind) -> str:
        wanted = "reasoning" if kind == "reasoning" else "text"
        return "".join(text for each, text in self.written_ if each == wanted)

    def attempt_ended(self, attempt: object) -> None:
        raise AssertionError(attempt)

    def _say(self, kind: str, text: str) -> None:
        assert text
        text.encode()  # it can be stored and sent
        if self.written_ and self.written_[-1][0] == kind:
            self.written_[-1] = kind, self.written_[-1][1] + text
        else:
            self.written_.append((kind, text))


def answer(
    dialect: Dialect, pieces: Iterable[bytes], status: int, content_type: str, retry_after: str
) -> tuple[object, ...]:
    """What a dialect makes of a body in pieces: texts joined, and the error that it ended with."""
    sink = _Answer()
    headers = {"Retry-After": retry_after}
    reader = ResponseReader(
        dialect, status, content_type, headers, sink, QuirkLog("fuzzed"), model="m"
    )
    failure = None
    try:
        for piece in pieces:
            reader.feed(piece)
        reader.end()
    except ProviderError as error:
        failure = error.code, error.provider_code, error.reason, error.retry_after
    if failure is not None:
        _, word, _, wait = failure
        f"{word}".encode()
        assert wait is None or wait >= 0
    else:
        assert sink.mark is not None
    return sink.written_, sink.counted, sink.mark, failure


def check(target: str, data: bytes) -> None:
    """Raise unless `data` is taken, and is the same whole and in pieces."""
    if len(data) < _HEAD_BYTES:
        return
    place, how, body = int.from_bytes(data[:2], "big"), data[2], data[_HEAD_BYTES:]
    pieces = _pieces(body, place, evenly=how >= 128)
    if target in _FRAMINGS:
        framing = _FRAMINGS[target]
        assert events(framing, [body]) == events(framing, pieces)
        return
    status = _STATUSES[how % len(_STATUSES)]
    if target == "qianfan-v1-token":
        try:
            token = _V1.token(status, body)
        except ProviderError:
            return
        assert token.text, token
        return
    content_type = _TYPES[how // len(_STATUSES) % len(_TYPES)]
    said = status, content_type, body[:32].decode("latin-1")
    dialect = _DIALECTS[target]
    assert answer(dialect, [body], *said) == answer(dialect, pieces, *said)


def _pieces(body: bytes, place: int, *, evenly: bool) -> list[bytes]:
    """`body` cut in two at `place`, or into many of the same few bytes."""
    if evenly:
        size = place % 64 + 1
        return [body[start : start + size] for start in range(0, len(body), size)]
    cut = place % (len(body) + 1)
    return [body[:cut], body[cut:]]


def samples() -> list[bytes]:
    """The recorded bodies, as inputs."""
    recorded = [file for kind in ("sse", "ndjson", "json") for file in SAMPLES.glob(f"*.{kind}")]
    bodies = [file.read_bytes() for file in sorted(recorded) if file.name != "expected.json"]
    return [b"\0\7\0" + body for body in bodies if len(body) <= _MAX_BYTES]


def changed(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """`data` with something else in it: bytes, or values of its JSON."""
    head, body = data[:_HEAD_BYTES], data[_HEAD_BYTES:]
    for _ in range(chance.choice((1, 1, 2, 4))):
        change = _with_other_value if chance.random() < 0.5 else _with_other_bytes
        body = change(body, other, chance)
    if chance.random() < 0.25:
        head = chance.randbytes(_HEAD_BYTES)
    return (head + body)[:_MAX_BYTES]


def _with_other_bytes(body: bytes, other: bytes, chance: random.Random) -> bytes:
    begin = chance.randrange(len(body) + 1)
    end = min(len(body), begin + chance.choice((0, 1, 2, 8, 64)))
    elsewhere = chance.randrange(len(other) + 1)
    new = chance.choice(
        (
            b"",
            chance.randbytes(1),
            body[begin:end] * 2,
            other[elsewhere : elsewhere + chance.choice((1, 4, 32))],
            chance.choice(_WORDS),
        )
    )
    return body[:begin] + new + body[end:]


def _with_other_value(body: bytes, other: bytes, chance: random.Random) -> bytes:
    """One value in one of the body's JSON texts exchanged, taken away or said under another name.

    Bytes changed at random are rarely JSON any more; what a dialect reads of it comes after that.
    """
    begin, end, value = _json_in(body, chance.randrange(len(body) + 1))
    places = list(_places(value))
    if not places:
        return body
    holder, name = chance.choice(places)
    theirs = list(_places(_json_in(other, chance.randrange(len(other) + 1))[2]))
    match chance.randrange(4):
        case 0 if theirs:
            their_holder, their_name = chance.choice(theirs)
            holder[name] = their_holder[their_name]
        case 1 if isinstance(holder, dict):
            names = [n for h, n in (*places, *theirs) if isinstance(h, dict)]
            holder[chance.choice(names)] = holder.pop(name)
        case 2 if isinstance(holder, list):
            holder.append(holder[name])
        case _:
            holder[name] = chance.choice(_VALUES)
    text = json.dumps(value, ensure_ascii=chance.random() < 0.5)
    return body[:begin] + text.encode("utf-8", "surrogatepass") + body[end:]


def _json_in(body: bytes, place: int) -> tuple[int, int, Any]:
    """The JSON of the line that `place` is in, and where it stands; None if there is none."""
    begin = max(body.rfind(b"\n", 0, place), body.rfind(b"\r", 0, place)) + 1
    end = min(found if (found := body.find(c, place)) >= 0 else len(body) for c in (b"\n", b"\r"))
    if body.startswith(b"data:", begin):
        begin += 5
    try:
        return begin, end, msgspec.json.decode(body[begin:end])
    except (ValueError, RecursionError):
        return begin, end, None


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place that holds a value: an object and a name, or a list and a number."""
    pairs = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for name, inner in pairs:
        yield value, name
        yield from _places(inner)


def tried(target: str, data: bytes) -> None:
    """`check`, which says by what input it failed."""
    try:
        check(target, data)
    except Exception:
        print(f"{target}: {data!r}", flush=True)
        raise


def at_random(target: str, runs: int) -> None:
    """Inputs without atheris. The seed is said, so that a run can be had again."""
    seed = int(os.environ.get("HEADRACE_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"{target}: {runs} inputs changed at random, HEADRACE_TEST_SEED={seed}", flush=True)
    chance = random.Random(seed)
    known = samples()
    for _ in range(runs):
        tried(target, changed(chance.choice(known), chance.choice(known), chance))


def led_by_coverage(target: str, runs: int, folder: Path) -> None:
    """Inputs of atheris, from the samples on. It ends the process.

    Half of the changes are its own, which learn from coverage; half are ours, which know JSON.
    """
    known = samples()
    seeds = folder / "seeds"
    seeds.mkdir()
    for number, sample in enumerate(known):
        (seeds / str(number)).write_bytes(sample)
    words = {*_WORDS, *(name for sample in known for name in _NAMES.findall(sample))}
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in sorted(words))
    (folder / "words").write_text("".join(f'"{word}"\n' for word in escaped))

    def another(data: bytes, max_bytes: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < 0.5:
            mutated: bytes = atheris.Mutate(data, max_bytes)
            return mutated
        return changed(data, chance.choice(known), chance)[:max_bytes]

    arguments = [sys.argv[0], f"-runs={runs}", f"-max_len={_MAX_BYTES}", "-mutate_depth=2"]
    arguments += [f"-dict={folder / 'words'}", f"-artifact_prefix={folder}/", str(seeds)]
    atheris.Setup(arguments, lambda data: tried(target, data), custom_mutator=another)
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """Each target in a process of its own: atheris ends the one that it runs in."""
    if arguments[:1] == ["--only"]:
        _, target, runs, folder = arguments
        if atheris is None:
            at_random(target, int(runs))
        else:
            led_by_coverage(target, int(runs), Path(folder))
        return 0
    runs = arguments[0] if arguments else "1000000"
    failed = [target for target in arguments[1:] or TARGETS if not _passed(target, runs)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing uncaught")
    return bool(failed)


def _passed(target: str, runs: str) -> bool:
    print(f"{target}: {runs} inputs", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--only", target, runs, folder]
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    # libFuzzer says each step that it takes; of a good run its last word is enough.
    words = done.stderr.splitlines()
    print(
        "\n".join([line for line in words if "\tDONE " in line] if not done.returncode else words)
    )
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
