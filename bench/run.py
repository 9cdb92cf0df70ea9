"""Measures a server that it starts, on loopback: `make bench`, or one part of it by name.

    run.py streams     2,000 answers at once, each text checked: CPU, memory, time to first token
    run.py leaving     100 readers leave silent upstreams, one by one: until the upstream sees it
    run.py exodus      1,000 readers leave at once: what is left behind
    run.py scraping    /metrics while 2,000 answers are open: what it takes of the server's time
    run.py following   answers of one server read at another one, on a --storage that both share

Server, upstream and readers share the machine's cores: figures compare with their own kind only.
"""

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from readers import Reader, come_back, open_reader
from upstream import text

HERE = Path(__file__).parent
# A database's driver opens more connections under load, up to this many, and keeps them.
_DATABASE_CONNECTIONS = 33
_TICKS = os.sysconf("SC_CLK_TCK")


class Bench(msgspec.Struct):
    """What was started: the ports, and the server's process."""

    port: int
    upstream_port: int
    pid: int

    def stats(self) -> dict[str, object]:
        """What the upstream saw."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.upstream_port}/stats") as response:
            stats: dict[str, object] = msgspec.json.decode(response.read())
        return stats

    def metrics(self) -> bytes:
        """What the server tells Prometheus."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as response:
            metrics: bytes = response.read()
        return metrics

    def cpu_seconds(self) -> float:
        """What the server has used, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_kb(self) -> int:
        """What the server holds."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

    def descriptors(self) -> int:
        """How many files and sockets the server has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@asynccontextmanager
async def benched(storage: str | None, servers: int = 1) -> AsyncIterator[list[Bench]]:
    """An upstream and so many servers, started here and ended by their process ids."""
    with tempfile.TemporaryDirectory() as folder:
        started = [await _start(str(HERE / "upstream.py"))]
        try:
            upstream_port = int(await _line(started[0]))
            settings = _settings(folder, storage, upstream_port)
            benches = []
            for _ in range(servers):
                server = await _start(str(HERE.parent / "server.py"), "--config", settings)
                started.insert(0, server)
                port = int((await _line(server)).rpartition(":")[2])
                benches.append(Bench(port, upstream_port, server.pid))
            yield benches
        finally:
            for process in started:
                process.terminate()
                await process.wait()


def _settings(folder: str, storage: str | None, upstream_port: int) -> str:
    """The name of a settings file for a server whose only provider is our upstream."""
    file = Path(folder, "headrace.toml")
    file.write_text(
        f'port = 0\n[storage]\nurl = "{storage or f"sqlite:///{folder}/bench.db"}"\n'
        '[providers.bench]\ndialect = "openai"\nmodels = ["paced-100-20"]\n'
        f'base_url = "http://127.0.0.1:{upstream_port}/v1"\n'
        "[limits]\nanswers = 1_000_000\nanswers_per_user = 0\nquestions_per_minute = 0\n"
        "kept_bytes_per_user = 0\nrequests_per_user = 0\nstreams_per_user = 0\n"
    )
    return str(file)


async def streams(bench: Bench, count: int, model: str = "paced-100-20") -> None:
    """`count` answers at once, each with the right text."""
    idle_kb, cpu = bench.memory_kb(), bench.cpu_seconds()
    began = time.monotonic()
    readers = await _opened(bench, count, model)
    held_kb = bench.memory_kb()
    async with asyncio.timeout(300):
        for reader in readers:
            await reader.over.wait()
    took = time.monotonic() - began
    tokens = int(model.split("-")[1])
    right = sum(r.answer() == (text(r.tag, tokens), "complete") for r in readers)
    firsts = sorted(1000 * (r.first_token_seconds or 0) for r in readers)
    cpu = bench.cpu_seconds() - cpu
    print(f"streams: {right} of {count} right and complete, {model}, in {took:.1f} s")
    print(f"  CPU per token             {cpu / count / tokens * 1e6:.1f} µs")
    print(f"  memory per open stream    {(held_kb - idle_kb) / count:.1f} KB")
    print(
        f"  first token p50, p99      {firsts[count // 2]:.1f}, {firsts[count * 99 // 100]:.1f} ms"
    )


async def leaving(bench: Bench, count: int) -> None:
    """Readers leave silent upstreams, one after the other."""
    for model in ("silent", "mute"):
        seconds = []
        for number in range(count):
            reader = await open_reader(bench.port, model, f"{model}{number}")
            await reader.started.wait()
            await _until(lambda: bench.stats()["open"] == 1)
            reader.leave()
            await reader.over.wait()
            await _until(lambda: bench.stats()["open"] == 0)
            closed = bench.stats()["closed"]
            assert isinstance(closed, dict)
            assert reader.left_at is not None
            seconds.append(closed[reader.tag] - reader.left_at)
        median, worst = 1000 * statistics.median(seconds), 1000 * max(seconds)
        print(
            f"leaving: {model} upstream closed after {median:.2f} ms (median of {count}), "
            f"{worst:.2f} ms at most"
        )


async def exodus(bench: Bench, count: int) -> None:
    """Readers leave all at once."""
    descriptors, memory = bench.descriptors(), bench.memory_kb()
    readers = await _opened(bench, count, "paced-1000-500")
    await _until(lambda: bench.stats()["open"] == count)
    began = time.monotonic()
    for reader in readers:
        reader.leave()
    await _until(lambda: bench.stats()["open"] == 0)
    closed = bench.stats()["closed"]
    assert isinstance(closed, dict)
    last = 1000 * (max(closed[reader.tag] for reader in readers) - began)
    await _until(lambda: bench.descriptors() <= descriptors + _DATABASE_CONNECTIONS)
    print(
        f"exodus: {count} readers left at once; the last upstream request closed "
        f"{last:.0f} ms later"
    )
    print(f"  descriptors before, after {descriptors}, {bench.descriptors()}")
    print(f"  memory before, after      {memory}, {bench.memory_kb()} KB")


async def scraping(bench: Bench, count: int) -> None:
    """Scrapes of a server with `count` open answers, one after the other."""
    readers = await _opened(bench, count, "silent")
    cpu, seconds, size = bench.cpu_seconds(), [], 0
    for _ in range(100):
        began = time.monotonic()
        size = len(bench.metrics())
        seconds.append(time.monotonic() - began)
    cpu = bench.cpu_seconds() - cpu
    for reader in readers:
        reader.leave()
    print(f"scraping: {size} bytes with {count} answers open")
    print(
        f"  took                      {1000 * statistics.median(seconds):.1f} ms (median of 100), "
        f"{1000 * max(seconds):.1f} ms at most"
    )
    print(f"  CPU                       {10 * cpu:.1f} ms each, the open answers' own included")


async def following(owner: Bench, other: Bench, count: int) -> None:
    """Answers of one server, each read there and at another one from its beginning."""
    model = "paced-200-50"
    readers = await _opened(owner, count, model)
    await asyncio.sleep(2)  # some are in the store by then, as when a reader comes back
    cpu = owner.cpu_seconds(), other.cpu_seconds()
    began = time.monotonic()
    back = [await come_back(other.port, reader.answer_id, reader.tag) for reader in readers]
    async with asyncio.timeout(60):
        for reader in (*readers, *back):
            await reader.over.wait()
    took = time.monotonic() - began
    share = [
        100 * (bench.cpu_seconds() - before) / took
        for bench, before in zip((owner, other), cpu, strict=True)
    ]
    right = sum(reader.answer() == (text(reader.tag, 200), "complete") for reader in back)
    delays = sorted(
        1000 * delay for pair in zip(readers, back, strict=True) for delay in _delays(*pair)
    )
    firsts = sorted(1000 * (reader.first_token_seconds or 0) for reader in back)
    print(f"following: {right} of {count} right and complete at the other server, {model}")
    print(
        f"  resumed, p50, p99         {firsts[count // 2]:.1f}, {firsts[count * 99 // 100]:.1f} ms"
    )
    print(
        f"  later than at the owner   {delays[len(delays) // 2]:.0f} ms (p50), "
        f"{delays[len(delays) * 99 // 100]:.0f} ms (p99)"
    )
    print(f"  CPU of owner, of other    {share[0]:.1f}, {share[1]:.1f} % of a core")


def _delays(first: Reader, second: Reader) -> Iterator[float]:
    """By how many seconds `second` reached each of its positions later than `first`.

    Not those of the first second: they were there before it came.
    """
    reached = dict(first.positions())
    for position, arrived in second.positions():
        if position in reached and arrived > second.asked_at + 1:
            yield arrived - reached[position]


async def _opened(bench: Bench, count: int, model: str) -> list[Reader]:
    """That many readers, each of which has had its `start`; a hundred at a time connect."""
    gate = asyncio.Semaphore(100)

    async def one(number: int) -> Reader:
        async with gate:
            reader = await open_reader(bench.port, model, f"{model}.{number}")
            await reader.started.wait()
            return reader

    async with asyncio.timeout(120):
        return await asyncio.gather(*(one(number) for number in range(count)))


async def _until(holds: object) -> None:
    """Look every few milliseconds; half a minute is the end of patience."""
    assert callable(holds)
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 -- what is waited for is in other processes
            await asyncio.sleep(0.005)


async def _start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode().strip()


async def main() -> None:
    """The parts that were named, or all of them, each on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["streams", "leaving", "exodus"])
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--storage", help="a database's URL; a fresh SQLite file if not given")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the server inherits it
    for part in options.parts:
        async with benched(options.storage, 2 if part == "following" else 1) as (bench, *others):
            if part == "following":
                await following(bench, others[0], min(options.streams, 200))
            elif part == "streams":
                await streams(bench, options.streams)
            elif part == "scraping":
                await scraping(bench, options.streams)
            elif part == "leaving":
                await leaving(bench, 100)
            else:
                await exodus(bench, 1000)


if __name__ == "__main__":
    asyncio.run(main())
