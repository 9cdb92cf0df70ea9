"""Measures what only Headrace does, on loopback; `compare.py` has all that its peers do, too.

    run.py disconnect       100 readers disconnect one by one: time until the upstream call closes
    run.py mass-disconnect  1,000 readers disconnect at once: the time, and what stays in use
    run.py metrics          GET /metrics while 2,000 answers are open: time and CPU
    run.py remote           answers of one server that are read at another, with a shared --storage

Server, upstream and readers share the machine's cores, so compare figures of the same machine only.
"""

import argparse
import asyncio
import resource
import statistics
import time
from collections.abc import Iterator

from processes import wait_until
from readers import Reader, ask, resume
from servers import BenchServer, started_servers
from upstream import text

# The connections that MongoDB's driver opens under load at most, and keeps open.
_DATABASE_CONNECTIONS = 33


async def disconnect(server: BenchServer, count: int) -> None:
    """Let readers of silent upstreams disconnect, one after the other."""
    for model in ("silent", "mute"):
        seconds = []
        for number in range(count):
            reader = await ask(server.port, model, f"{model}{number}")
            await reader.started.wait()
            await wait_until(lambda: server.upstream_stats()["open"] == 1)
            reader.disconnect()
            await reader.closed.wait()
            await wait_until(lambda: server.upstream_stats()["open"] == 0)
            closed = server.upstream_stats()["closed"]
            assert isinstance(closed, dict)
            assert reader.disconnected_at is not None
            seconds.append(closed[reader.tag] - reader.disconnected_at)
        median, worst = 1000 * statistics.median(seconds), 1000 * max(seconds)
        print(
            f"disconnect: {model} upstream closed after {median:.2f} ms (median of {count}), "
            f"{worst:.2f} ms at most"
        )


async def mass_disconnect(server: BenchServer, count: int) -> None:
    """Let `count` readers disconnect at once."""
    descriptors, memory = server.descriptors(), server.memory_kb()
    readers = await _open_readers(server, count, "paced-1000-500")
    await wait_until(lambda: server.upstream_stats()["open"] == count)
    began = time.monotonic()
    for reader in readers:
        reader.disconnect()
    await wait_until(lambda: server.upstream_stats()["open"] == 0)
    closed = server.upstream_stats()["closed"]
    assert isinstance(closed, dict)
    last = 1000 * (max(closed[reader.tag] for reader in readers) - began)
    await wait_until(lambda: server.descriptors() <= descriptors + _DATABASE_CONNECTIONS)
    print(
        f"mass-disconnect: {count} readers at once; the last upstream request closed "
        f"{last:.0f} ms later"
    )
    print(f"  descriptors before, after {descriptors}, {server.descriptors()}")
    print(f"  memory before, after      {memory}, {server.memory_kb()} KB")


async def metrics(server: BenchServer, count: int) -> None:
    """Read the metrics of a server with `count` open answers, a hundred times."""
    readers = await _open_readers(server, count, "silent")
    cpu, seconds, size = server.cpu_seconds(), [], 0
    for _ in range(100):
        began = time.monotonic()
        size = len(server.metrics())
        seconds.append(time.monotonic() - began)
    cpu = server.cpu_seconds() - cpu
    for reader in readers:
        reader.disconnect()
    print(f"metrics: {size} bytes with {count} answers open")
    print(
        f"  took                      {1000 * statistics.median(seconds):.1f} ms (median of 100), "
        f"{1000 * max(seconds):.1f} ms at most"
    )
    print(f"  CPU                       {10 * cpu:.1f} ms each, including that of the open answers")


async def remote(owner: BenchServer, other: BenchServer, count: int) -> None:
    """Read answers both at the server that generates them and, from their beginning, at another."""
    model = "paced-200-50"
    readers = await _open_readers(owner, count, model)
    await asyncio.sleep(2)  # so that a part is stored already, as when a reader reconnects
    cpu = owner.cpu_seconds(), other.cpu_seconds()
    began = time.monotonic()
    resumed = [await resume(other.port, reader.answer_id, reader.tag) for reader in readers]
    async with asyncio.timeout(60):
        for reader in (*readers, *resumed):
            await reader.closed.wait()
    took = time.monotonic() - began
    share = [
        100 * (server.cpu_seconds() - before) / took
        for server, before in zip((owner, other), cpu, strict=True)
    ]
    right = sum(reader.answer() == (text(reader.tag, 200), "complete") for reader in resumed)
    delays = sorted(
        1000 * delay for pair in zip(readers, resumed, strict=True) for delay in _delays(*pair)
    )
    firsts = sorted(1000 * (reader.first_token_seconds or 0) for reader in resumed)
    print(f"remote: {right} of {count} right and complete at the other server, {model}")
    print(
        f"  resumed, p50, p99         {firsts[count // 2]:.1f}, {firsts[count * 99 // 100]:.1f} ms"
    )
    print(
        f"  later than at the owner   {delays[len(delays) // 2]:.0f} ms (p50), "
        f"{delays[len(delays) * 99 // 100]:.0f} ms (p99)"
    )
    print(f"  CPU of owner, of other    {share[0]:.1f}, {share[1]:.1f} % of a core")


def _delays(first: Reader, second: Reader) -> Iterator[float]:
    """The seconds by which `second` received each position later than `first`.

    Positions of its first second are left out: they existed before it connected.
    """
    reached = dict(first.positions())
    for position, arrived in second.positions():
        if position in reached and arrived > second.requested_at + 1:
            yield arrived - reached[position]


async def _open_readers(server: BenchServer, count: int, model: str) -> list[Reader]:
    """Ask `count` questions, a hundred at a time, and return once each has received `start`."""
    connecting = asyncio.Semaphore(100)

    async def one(number: int) -> Reader:
        async with connecting:
            reader = await ask(server.port, model, f"{model}.{number}")
            await reader.started.wait()
            return reader

    async with asyncio.timeout(120):
        return await asyncio.gather(*(one(number) for number in range(count)))


async def main() -> None:
    """Run the benchmarks that are named, each on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["disconnect", "mass-disconnect"])
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--storage", help="a database's URL; a fresh SQLite file by default")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the server inherits it
    for name in options.names:
        async with started_servers(options.storage, 2 if name == "remote" else 1) as servers:
            server = servers[0]
            if name == "remote":
                await remote(server, servers[1], min(options.streams, 200))
            elif name == "metrics":
                await metrics(server, options.streams)
            elif name == "disconnect":
                await disconnect(server, 100)
            else:
                await mass_disconnect(server, 1000)


if __name__ == "__main__":
    asyncio.run(main())
