"""Feeds noise to the event-stream parser and to each dialect: `make fuzz`.

streams.py [RUNS]     so many inputs for each of them (1,000,000 unless told)

What a provider sends may be anything; nothing but a ProviderError may come of it, and where its
bytes are cut may make no difference. With atheris the inputs are led by coverage, without it they
are the recorded samples, changed at random. Either way an input that breaks the promise is printed,
and the exit status says so.
"""

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    import atheris
except ImportError:
    atheris = None

if atheris is None:
    from contextlib import nullcontext as instrumented
else:
    from atheris import instrument_imports as instrumented

with instrumented():
    from providers.dashscope import DashScope
    from providers.dialect import Delta, Dialect, Finish, Reasoning, Text, ToolCall, Usage
    from providers.errors import ProviderError
    from providers.openai import OpenAI
    from providers.qianfan import Qianfan
    from providers.qianfan_v1 import QianfanV1
    from providers.reading import Reading
    from providers.sse import EventParser

SAMPLES = Path(__file__).resolve().parent.parent / "tests" / "providers" / "samples"

# Longer ones find nothing that shorter ones do not, and take longer to try.
_MAX_BYTES = 2048

_DIALECTS: dict[str, Callable[[], Dialect]] = {
    "openai": OpenAI,
    "dashscope": lambda: DashScope(incremental_output=True),
    "dashscope-cumulative": lambda: DashScope(incremental_output=False),
    "qianfan": Qianfan,
    "qianfan-v1": lambda: QianfanV1(access_token="24.example"),
}
# What formats trip on.
_WORDS = (
    *(b"\n", b"\r", b"\n\n", b"data:", b"id:", b"[DONE]"),
    *(b"null", b"[", b"{", b'"', b"1e99", b"-1"),
    *(b"\\ud83d", b"\xf0\x9f", b"\xef\xbb\xbf", b"\0"),
)
TARGETS = ("sse", *_DIALECTS)


def events(pieces: list[bytes]) -> tuple[list[object], str | None]:
    """What the parser makes of a body in pieces, and the error that it ended with."""
    parser = EventParser()
    found: list[object] = []
    try:
        for piece in pieces:
            found += parser.feed(piece)
        found += parser.end()
    except ProviderError as error:
        return found, error.code
    return found, None


def answer(dialect: Dialect, pieces: list[bytes], status: int) -> tuple[object, ...]:
    """What a dialect makes of a body in pieces: texts joined, and the error that it ended with."""
    reading = Reading(dialect, status, "text/event-stream", {})
    texts = {Text: "", Reasoning: ""}
    others: list[object] = []

    def take(deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            if isinstance(delta, (Text, Reasoning)):
                texts[Text if isinstance(delta, Text) else Reasoning] += delta.text
            else:
                assert isinstance(delta, (ToolCall, Usage, Finish)), delta
                others.append(delta)

    code = None
    try:
        for piece in pieces:
            take(reading.feed(piece))
        take(reading.end())
    except ProviderError as error:
        code = error.code
    "".join(texts.values()).encode()  # whatever came: it can be stored and sent
    return texts[Text], texts[Reasoning], others, code


def check(target: str, data: bytes) -> None:
    """Raise unless `data` is taken, whole and in two pieces: its first bytes say where to cut."""
    if len(data) < 3:
        return
    place, status, body = int.from_bytes(data[:2], "big"), data[2], data[3:]
    cut = place % (len(body) + 1)
    pieces = [body[:cut], body[cut:]]
    if target == "sse":
        assert events([body]) == events(pieces)
        return
    dialect = _DIALECTS[target]()
    code = 429 if status % 8 == 0 else 200
    assert answer(dialect, [body], code) == answer(dialect, pieces, code)


def samples() -> list[bytes]:
    """The recorded bodies, as inputs."""
    files = sorted(SAMPLES.glob("*.sse")) + sorted(SAMPLES.glob("*.json"))
    return [b"\0\7\1" + file.read_bytes()[:_MAX_BYTES] for file in files]


def changed(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Some bytes of `data` changed, taken away, said again or exchanged for some of `other`."""
    body = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        begin = chance.randrange(len(body) + 1)
        end = min(len(body), begin + chance.choice((0, 1, 2, 8, 64)))
        elsewhere = chance.randrange(len(other))
        body[begin:end] = chance.choice(
            (
                b"",
                bytes((chance.randrange(256),)),
                bytes(body[begin:end]) * 2,
                other[elsewhere : elsewhere + chance.choice((1, 4, 32))],
                chance.choice(
                    (b"\n", b"\r", b"\n\n", b"data:", b"null", b"[", b"{", b'"', b"1e99")
                ),
                chance.choice((b"\\ud83d", b"\xf0\x9f", b"\xef\xbb\xbf", b"[DONE]", b"\0", b"-1")),
            )
        )
    return bytes(body[:_MAX_BYTES])


def at_random(target: str, runs: int) -> None:
    """Inputs without atheris. The seed is said, so that a run can be had again."""
    seed = int(os.environ.get("HEADRACE_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"{target}: {runs} inputs changed at random, HEADRACE_TEST_SEED={seed}", flush=True)
    chance = random.Random(seed)
    known = samples()
    for _ in range(runs):
        data = changed(chance.choice(known), chance.choice(known), chance)
        try:
            check(target, data)
        except Exception:
            print(f"{target}: {data!r}")
            raise


def led_by_coverage(target: str, runs: int, seeds: str) -> None:
    """Inputs of atheris, from those in the folder `seeds` on. It ends the process."""
    arguments = [sys.argv[0], f"-atheris_runs={runs}", f"-max_len={_MAX_BYTES}"]
    arguments += ["-verbosity=0", seeds]
    atheris.Setup(arguments, lambda data: check(target, data))
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """Each target in a process of its own: atheris ends the one that it runs in."""
    runs = int(arguments[0]) if arguments else 1_000_000
    if len(arguments) > 1:
        _, target, seeds = arguments
        if atheris is None:
            at_random(target, runs)
        else:
            led_by_coverage(target, runs, seeds)
        return 0
    failed = [target for target in TARGETS if not _passed(target, runs)]
    print(f"failed: {', '.join(failed)}" if failed else "nothing uncaught")
    return bool(failed)


def _passed(target: str, runs: int) -> bool:
    print(f"{target}: {runs} inputs", flush=True)
    with tempfile.TemporaryDirectory() as seeds:
        for number, sample in enumerate(samples()):
            Path(seeds, str(number)).write_bytes(sample)
        command = [sys.executable, __file__, str(runs), target, seeds]
        return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
