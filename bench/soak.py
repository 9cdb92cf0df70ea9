"""Uses a server for a long time, as people do, and looks for wrong texts and for what is left over.

    soak.py --minutes 30                       with a fresh SQLite file
    soak.py --minutes 30 --storage mongodb://…
    soak.py --rounds 3 --turns 2 --users 30    by number: what the test in the suite does
    soak.py --streams 10000                    short answers only, over kept connections

In each round the users of `soak_users.py` do something each, several times. When all of them have
left, nothing may be in use, and the server must hold no more than after the first rounds: tasks,
handles, objects of any class (`counted_server.py`), descriptors, threads, memory. Exits with 1 if
something was wrong. The seed that it prints, given to --seed, draws the same behaviours again.
"""

import argparse
import asyncio
import json
import os
import random
import re
import resource
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import msgspec
from load import Client, outcome_of
from servers import BenchServer, started_servers
from soak_users import User, Wrong
from targets import HEADRACE, Gateway, Target
from upstream import tokens_of

_SERVER = Path(__file__).with_name("counted_server.py")
# Streams at a time where they are short, and tokens of each.
_AT_A_TIME = 100
_SHORT = 4
# After so many rounds caches and pools are as full as they get.
_WARM_ROUNDS = 2
# Objects of one class, descriptors and threads that may be more than then: what belongs to timers
# and to the store's own threads comes and goes. A leak has one for each of thousands of answers.
_SPARE = 40
# KB of memory, beside a tenth: the C library keeps what a burst has taken.
_SPARE_KB = 16_384
# Gauges of /metrics that are 0 when nobody uses the server.
_IN_USE = (
    "headrace_live_answers",
    "headrace_readers",
    "headrace_connections",
    "headrace_followed_answers",
    "headrace_unsent_bytes",
    "headrace_late_endings",
    'headrace_upstream_connections{state="in_use"}',
)
_RESTING = 'headrace_upstream_connections{state="resting"}'
_QUIET_SECONDS = 30
# What the server looks at in turn, such as its clients' connections, it may hold for so long.
_SETTLING_SECONDS = 30
# Streams that are not through by then have stalled.
_MOST_SECONDS = 600


class Sample(msgspec.Struct):
    """What the server holds between two rounds."""

    uses: int
    memory_kb: int
    descriptors: int
    threads: int
    resting: int  # idle connections to the upstream, of which the server keeps some
    objects: dict[str, int]

    def count(self, name: str) -> int:
        """How many objects there are of the classes of this name."""
        return sum(n for cls, n in self.objects.items() if cls.rpartition(".")[2] == name)


class Soak:
    """Users at a server, and what was found."""

    def __init__(self, server: BenchServer, users: int, turns: int, seed: int) -> None:
        self._server = server
        self._chance = random.Random(seed)
        self._users = users
        self._turns = turns
        self._rounds = 0
        self._refused = 0
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.samples: list[Sample] = []

    async def round(self) -> None:
        """Let each user do some things, and look at what the server holds when all have left."""
        self._rounds += 1
        async with asyncio.TaskGroup() as group:
            for number in range(self._users):
                chance = random.Random(self._chance.random())
                user = User(self._server.port, chance, f"s{self._rounds}.{number}")
                group.create_task(self._use(user, chance))
        await self._look()

    async def short_streams(self, count: int) -> None:
        """Ask `count` questions over kept connections, and look at what the server holds then."""
        self._rounds += 1
        client = Client(
            Gateway(Target("headrace", HEADRACE), self._server.port, self._server.pid, "none")
        )
        await client.ask(
            f"paced-{_SHORT}-0", count, at_a_time=_AT_A_TIME, most_seconds=_MOST_SECONDS
        )
        outcome = outcome_of(client.streams, client.dialect, lambda tag: tokens_of(tag, _SHORT))
        self.done["short stream"] += outcome.right
        if outcome.right < count:
            self.wrong.append(f"short streams: {outcome.right} right of {count}, {outcome.errors}")
        await self._look()

    async def _look(self) -> None:
        await self._quiet()
        self.samples.append(await self._sample())

    async def _use(self, user: User, chance: random.Random) -> None:
        for _ in range(self._turns):
            name = chance.choice(list(user.behaviours))
            try:
                await user.behaviours[name]()
                self.done[name] += 1
            except (Wrong, OSError, TimeoutError, IndexError, KeyError, ValueError) as error:
                self.wrong.append(f"{name}: {error!r}")
        self._refused += user.refused

    async def _quiet(self) -> None:
        """Wait until nothing is in use; note what still is after half a minute."""
        until = time.monotonic() + _QUIET_SECONDS
        while in_use := await asyncio.to_thread(self._in_use):
            if time.monotonic() > until:
                self.wrong.append(f"still in use: {in_use}")
                return
            await asyncio.sleep(0.1)
        await asyncio.to_thread(self._reset_upstream)

    def _in_use(self) -> dict[str, float]:
        gauges = self._gauges()
        gauges["headrace_connections"] -= 1  # the one that has just read the metrics
        in_use = {name: gauges[name] for name in _IN_USE if gauges[name]}
        if is_open := self._server.upstream_stats()["open"]:
            assert isinstance(is_open, int)
            in_use["requests at the upstream"] = is_open
        return in_use

    def _gauges(self) -> dict[str, float]:
        lines = self._server.metrics().decode().splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
        }

    def _reset_upstream(self) -> None:
        url = f"http://127.0.0.1:{self._server.upstream_port}/reset"
        urllib.request.urlopen(url).close()

    async def _sample(self) -> Sample:
        server = self._server
        assert server.process.stdin is not None
        assert server.process.stdout is not None
        server.process.stdin.write(b"\n")
        async with asyncio.timeout(60):
            objects = json.loads(await server.process.stdout.readline())
        return Sample(
            uses=self.done.total(),
            memory_kb=server.memory_kb(),
            descriptors=server.descriptors(),
            threads=len(os.listdir(f"/proc/{server.pid}/task")),
            resting=int((await asyncio.to_thread(self._gauges))[_RESTING]),
            objects=objects,
        )

    async def look_for_leaks(self) -> None:
        """Hold what the server holds now against what it held after the first rounds."""
        until = time.monotonic() + _SETTLING_SECONDS
        while (left := self._left_over()) and time.monotonic() < until:
            await asyncio.sleep(1)
            self.samples[-1] = await self._sample()
        self.wrong += left
        log = self._server.log.read_text()
        if failures := re.findall(r"(?m)^.*(?:Traceback|ERROR).*$", log):
            self.wrong.append(f"logged {len(failures)} errors: {failures[:3]}")

    def _left_over(self) -> list[str]:
        first, last = self.samples[min(_WARM_ROUNDS, len(self.samples)) - 1], self.samples[-1]
        spare = _SPARE + max(0, last.resting - first.resting)
        counts = [("descriptors", first.descriptors, last.descriptors)]
        counts.append(("threads", first.threads, last.threads))
        counts += [(cls, first.objects.get(cls, 0), n) for cls, n in last.objects.items()]
        left = [
            f"left over: {now} {name}, {before} before"
            for name, before, now in counts
            if now > before + spare
        ]
        if last.memory_kb > first.memory_kb * 1.1 + _SPARE_KB:
            left.append(f"left over: {last.memory_kb} KB, {first.memory_kb} before")
        return left

    def report(self) -> None:
        """Print what was done, what the server holds, and what was wrong."""
        done = ", ".join(f"{name} {count}" for name, count in sorted(self.done.items()))
        print(f"soak: {self.done.total()} uses in {self._rounds} rounds: {done}")
        print(f"  asked to come again later: {self._refused}")
        print("  uses  memory KB  descriptors  threads  resting  tasks  handles  objects")
        step = max(1, len(self.samples) // 12)
        for sample in {
            id(each): each for each in self.samples[::step] + self.samples[-1:]
        }.values():
            print(
                f"{sample.uses:6} {sample.memory_kb:10} {sample.descriptors:12} "
                f"{sample.threads:8} {sample.resting:8} {sample.count('Task'):6} "
                f"{sample.count('Handle') + sample.count('TimerHandle'):8} "
                f"{sum(sample.objects.values()):8}"
            )
        for words in self.wrong[:50]:
            print(f"  WRONG {words}")
        if self.wrong:
            # That answers fail is what some of the upstreams are there for.
            warnings = re.findall(
                r"(?m)^.*WARNING(?!.*answer ended).*$", self._server.log.read_text()
            )
            print(*warnings[-10:], sep="\n")
        print(f"soak: {len(self.wrong)} wrong")


async def main() -> bool:
    """Run a soak. Returns whether everything was right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rounds", type=int, help="so many, however long they take")
    parser.add_argument("--streams", type=int, help="short answers, so many")
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--turns", type=int, default=5, help="of each user in a round")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--storage", help="a database's URL; a fresh SQLite file by default")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the server inherits it
    print(f"soak: seed {options.seed}", flush=True)
    async with started_servers(options.storage, program=_SERVER) as (server,):
        soak = Soak(server, options.users, options.turns, options.seed)
        until = time.monotonic() + 60 * options.minutes
        if options.streams:
            for count in (*[options.streams // 10] * _WARM_ROUNDS, options.streams):
                await soak.short_streams(count)
        elif options.rounds:
            for _ in range(options.rounds):
                await soak.round()
        else:
            while time.monotonic() < until:
                await soak.round()
        await soak.look_for_leaks()
        soak.report()
        return not soak.wrong


if __name__ == "__main__":
    sys.exit(not asyncio.run(main()))
