"""What is measured of each gateway. A scenario returns figures by name; NaN where there is none.

`saturated`   100 at a time, 200 tokens without a pause: CPU per token at full load
`readers`     500 streams within half a second, a token every 20 ms: CPU, first token, gaps
`trickle`     100 streams, a token every 40 ms: the cost of tokens that come one by one
`latency`     one stream at a time: what the gateway adds to the upstream's first token
`open`        2,000 open streams that receive a token every 5 s: memory of each
`disconnect`  60 clients leave at once: until the upstream's connection is closed
`question`    Headrace alone: CPU of a question with its answer of one token; half of them continue
              a conversation, one in fifty is refused
`scale`       Headrace alone: 10,000 open streams that receive a token every 5 s; fewer where a
              process may have fewer than 20,200 descriptors, two for each stream
"""

import asyncio
import json
import re
import resource
import statistics
import time
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import processes
from load import Client, Connection, Outcome, outcome_of, percentile
from processes import wait_until
from targets import OPENAI, Gateway, Target
from upstream import tokens_of

Figures = dict[str, float]

# What a gateway opens besides two sockets for each stream, with room.
_OTHER_DESCRIPTORS = 200


@dataclass(frozen=True)
class Bench:
    """A running upstream and the gateway that is measured."""

    gateway: Gateway
    upstream_port: int

    def upstream_stats(self, path: str = "/stats") -> dict[str, object]:
        """What the upstream has open, and when it was closed."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.upstream_port}{path}") as response:
            stats: dict[str, object] = json.loads(response.read())
        return stats

    async def warm(self) -> None:
        """Ask thirty questions, so that imports, pools and caches are not measured."""
        await Client(self.gateway).ask("paced-50-20", 30, at_a_time=5, most_seconds=30)

    async def asked(
        self, model: str, count: int, *, at_a_time: int, ramp: float, most_seconds: float
    ) -> tuple[Outcome, Figures]:
        """Ask, and measure the CPU that a token took."""
        client = Client(self.gateway)
        cpu = processes.cpu_seconds(self.gateway.pid)
        seconds = await client.ask(
            model, count, at_a_time=at_a_time, ramp=ramp, most_seconds=most_seconds
        )
        cpu = processes.cpu_seconds(self.gateway.pid) - cpu
        outcome = outcome_of(client.streams, client.dialect, partial(expected, model))
        return outcome, {
            "cpu_us_per_token": 1e6 * cpu / outcome.tokens if outcome.tokens else float("nan"),
            "cpu_share": cpu / seconds,
            "first_token_ms_p50": percentile(outcome.first_token_ms, 50),
            "first_token_ms_p99": percentile(outcome.first_token_ms, 99),
            "gap_ms_p99": percentile(outcome.gaps_ms, 99),
            **_checked(outcome),
        }


def expected(model: str, tag: str) -> list[str]:
    """The tokens of an answer of `paced-<tokens>-…`."""
    return tokens_of(tag, int(model.split("-")[1]))


def _checked(outcome: Outcome) -> Figures:
    return {
        "right": outcome.right,
        "cut": outcome.cut,
        "wrong": outcome.wrong,
        "errors": sum(outcome.errors.values()),
    }


async def saturated(bench: Bench) -> Figures:
    """Measure the CPU of a token at full load."""
    _, figures = await bench.asked("paced-200-0", 400, at_a_time=100, ramp=0, most_seconds=15)
    return figures


async def readers(bench: Bench, count: int = 500) -> Figures:
    """Measure `count` people who ask within half a second and read at 50 tokens a second."""
    _, figures = await bench.asked(
        "paced-100-20", count, at_a_time=count, ramp=0.5, most_seconds=20
    )
    return figures


async def trickle(bench: Bench, count: int = 100) -> Figures:
    """Measure tokens that come one by one, 25 a second for each of `count` readers."""
    _, figures = await bench.asked(
        "paced-150-40", count, at_a_time=count, ramp=0.5, most_seconds=30
    )
    return figures


async def latency(bench: Bench) -> Figures:
    """Measure first tokens of one stream at a time, in turn at the upstream and at the gateway."""
    upstream = Gateway(Target("upstream", OPENAI), bench.upstream_port, 0, "bench")
    clients = Client(upstream), Client(bench.gateway)
    for _ in range(100):
        for client in clients:
            await client.ask("paced-5-0", 1, at_a_time=1, most_seconds=10)
    first, outcomes = [], []
    for client in clients:
        outcome = outcome_of(client.streams, client.dialect, partial(expected, "paced-5-0"))
        outcomes.append(outcome)
        first.append(outcome.first_token_ms)
    return {
        "added_ms_p50": percentile(first[1], 50) - percentile(first[0], 50),
        "added_ms_p99": percentile(first[1], 99) - percentile(first[0], 99),
        **_checked(outcomes[1]),
    }


async def open_streams(bench: Bench, count: int = 2000) -> Figures:
    """Measure the memory of streams that are open, and get a token now and then."""
    idle = processes.memory_kb(bench.gateway.pid)
    client, connections = await _opened(bench, "paced-20-5000", count)
    held = processes.memory_kb(bench.gateway.pid)
    opened = sum(bool(stream.token_times(client.dialect)) for stream in client.streams)
    for connection in connections:
        connection.transport.abort()
    with suppress(TimeoutError):
        await wait_until(lambda: bench.upstream_stats()["open"] == 0)
    return {
        "kb_per_stream": (held - idle) / opened if opened else float("nan"),
        "idle_mb": idle / 1024,
        "opened": opened,
    }


async def scale(bench: Bench, most: int = 10_000) -> Figures:
    """Hold `count` streams for twenty seconds on one core, and check all that was received."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(most, (descriptors - _OTHER_DESCRIPTORS) // 2)
    idle = processes.memory_kb(bench.gateway.pid)
    began = time.monotonic()
    client, connections = await _opened(bench, "paced-20-5000", count)
    opened = time.monotonic() - began
    cpu = processes.cpu_seconds(bench.gateway.pid)
    await asyncio.sleep(20)
    cpu = processes.cpu_seconds(bench.gateway.pid) - cpu
    held = processes.memory_kb(bench.gateway.pid)
    for connection in connections:
        if connection.stream is not None:
            connection.stream.cut = True
        connection.transport.abort()
    outcome = outcome_of(client.streams, client.dialect, partial(expected, "paced-20-5000"))
    return {
        "streams": count,
        "kb_per_stream": (held - idle) / count,
        "opening_seconds": opened,
        "cpu_share": cpu / 20,
        # Tokens are 5,000 ms apart, so this much more is late.
        "gap_ms_p99": percentile(outcome.gaps_ms, 99) - 5000,
        **_checked(outcome),
    }


async def _opened(bench: Bench, model: str, count: int) -> tuple[Client, list[Connection]]:
    """Ask `count` questions, a hundred at a time, and wait until each has had its first token."""
    client = Client(bench.gateway)
    connections: list[Connection] = []
    asking = asyncio.Semaphore(100)

    async def ask() -> None:
        async with asking:
            connection = await client.connect(lambda _: None)
            connections.append(connection)
            stream, request = client.new_stream(model)
            connection.send(stream, request)
            with suppress(TimeoutError):
                await wait_until(
                    lambda: bool(stream.error) or bool(stream.token_times(client.dialect))
                )

    await asyncio.gather(*(ask() for _ in range(count)))
    await asyncio.sleep(1)
    return client, connections


async def disconnect(bench: Bench) -> Figures:
    """Measure how soon the upstream is closed after sixty clients have left at once."""
    client, connections = Client(bench.gateway), []
    kinds: dict[str, str] = {}
    bench.upstream_stats("/reset")
    for model in ("paced-400-50", "silent", "mute"):
        for _ in range(20):
            connection = await client.connect(lambda _: None)
            stream, request = client.new_stream(model)
            kinds[stream.tag] = model
            connection.send(stream, request)
            connections.append(connection)
    with suppress(TimeoutError):
        await wait_until(lambda: bench.upstream_stats()["open"] == len(connections))
    await asyncio.sleep(0.5)
    left_at = time.monotonic()
    for connection in connections:
        connection.transport.abort()
    with suppress(TimeoutError):
        await wait_until(lambda: bench.upstream_stats()["open"] == 0, seconds=8)
    closed = bench.upstream_stats()["closed"]
    assert isinstance(closed, dict)
    figures: Figures = {}
    for model, name in (("paced-400-50", "streaming"), ("silent", "silent"), ("mute", "no_head")):
        times = [1000 * (at - left_at) for tag, at in closed.items() if kinds.get(tag) == model]
        figures[f"{name}_closed"] = len(times) / 20
        figures[f"{name}_ms_p50"] = statistics.median(times) if times else float("nan")
    return figures


async def question(bench: Bench, count: int = 1000) -> Figures:
    """Measure a question's CPU: authenticated, stored, answered by one token, stored again."""
    gateway = bench.gateway
    left, refused, answered = count, 0, 0
    cpu = processes.cpu_seconds(gateway.pid)

    async def person() -> None:
        nonlocal left, refused, answered
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        conversation = None
        while left > 0:
            left -= 1
            model = "nobody/nothing" if left % 50 == 0 else "bench/paced-1-0"
            fields = {"model": model, "content": f"bench q{left}"}
            path = "/api/v1/chat"
            if conversation is not None:
                path = f"/api/v1/conversations/{conversation}/messages"
            body = json.dumps(fields).encode()
            writer.write(
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n"
                f"Authorization: Bearer {gateway.api_key}\r\nContent-Type: application/json\r\n"
                f"Accept: text/event-stream\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                assert length is not None
                await reader.readexactly(int(length[1]))
                refused += 1
                continue
            response = await reader.readuntil(b"\r\n0\r\n\r\n")
            answered += b"event: end" in response and b'"complete"' in response
            found = re.search(rb'"conversation_id":"([^"]+)"', response)
            conversation = found[1].decode() if found and conversation is None else None
        writer.close()

    async with asyncio.timeout(60):
        await asyncio.gather(*(person() for _ in range(50)))
    cpu = processes.cpu_seconds(gateway.pid) - cpu
    return {"cpu_ms": 1000 * cpu / count, "answered": answered, "refused": refused}


# In this order. The last ones want a process that nothing was asked of before.
SCENARIOS: dict[str, Callable[[Bench], Awaitable[Figures]]] = {
    "saturated": saturated,
    "readers": readers,
    "trickle": trickle,
    "latency": latency,
    "disconnect": disconnect,
    "question": question,
    "open": open_streams,
    "scale": scale,
}
FRESH = {"open", "scale"}
HEADRACE_ONLY = {"question", "scale"}
