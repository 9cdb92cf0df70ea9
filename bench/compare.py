"""Compares Headrace with other gateways on the same work, on loopback: `make bench`.

    compare.py [TARGET ...] [--scenarios saturated,readers]    some targets, some scenarios
    compare.py --charts                                        what the charts are drawn from
    compare.py --install tensorzero litellm                    installs peers, each by itself
    compare.py --render                                        tables and charts of what is there

The gateway has one core, the upstream and this client another. Every text that arrives is checked
against the upstream's. Figures are medians of `--repeat` runs; a run is done again when others used
more than `--noise` percent of the gateway's core. What a target fails at has no figure. They are
kept in bench/out/results.json, and shown by bench/RESULTS.md and bench/charts/.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import processes
import report
import trustme
from scenarios import (
    FRESH,
    HEADRACE_ONLY,
    SCENARIOS,
    Bench,
    Figures,
    open_streams,
    readers,
    trickle,
)
from targets import HERE, PEERS, TARGETS, Target, running

sys.path.insert(0, str(HERE.parent))
from tests.mongod import replica_set

_RESULTS = HERE / "out" / "results.json"
_GATEWAY_CORE, _CLIENT_CORE = 0, 1
_ATTEMPTS = 3

# The name of a chart, what it measures, and at which numbers of streams.
_SWEEPS: dict[str, tuple[Callable[[Bench, int], Awaitable[Figures]], tuple[int, ...]]] = {
    "cpu": (trickle, (10, 30, 100, 300, 1000)),
    "memory": (open_streams, (250, 500, 1000, 2000, 4000)),
    "burst": (readers, (50, 100, 200, 500, 1000)),
}


async def compare(
    target: Target, names: list[str], repeat: int, noise: float
) -> dict[str, Figures]:
    """The figures of a target by scenario."""
    runs: dict[str, list[Figures]] = {name: [] for name in names}
    for _ in range(repeat):
        together = [name for name in names if name not in FRESH]
        for group in (together, *([name] for name in names if name in FRESH)):
            if not group:
                continue
            async with _bench(target) as bench:
                await bench.warm()
                for name in group:
                    try:
                        figures = await _quiet(bench, SCENARIOS[name], noise)
                    except* (TimeoutError, OSError) as errors:
                        print(f"  {name}: {errors.exceptions[0]!r}", flush=True)
                    else:
                        runs[name].append(figures)
                        print(f"  {name}: {_line(figures)}", flush=True)
    return {name: _median(figures) for name, figures in runs.items() if figures}


def _median(runs: list[Figures]) -> Figures:
    """The median of each figure, of the runs that have it."""
    figures = dict.fromkeys(figure for run in runs for figure in run)
    return {
        figure: statistics.median(run[figure] for run in runs if figure in run)
        for figure in figures
    }


async def sweep(target: Target) -> dict[str, dict[str, Figures]]:
    """What the charts show of a target, each point measured at a process of its own."""
    charts: dict[str, dict[str, Figures]] = {}
    for name, (scenario, counts) in _SWEEPS.items():
        charts[name] = {}
        for count in counts:
            async with _bench(target) as bench:
                await bench.warm()
                try:
                    figures = _known(await scenario(bench, count))
                except* (TimeoutError, OSError) as errors:
                    print(f"  {name}, {count}: {errors.exceptions[0]!r}", flush=True)
                else:
                    charts[name][str(count)] = figures
                    print(f"  {name}, {count}: {_line(figures)}", flush=True)
    return charts


async def _quiet(
    bench: Bench, scenario: Callable[[Bench], Awaitable[Figures]], noise: float
) -> Figures:
    """Run a scenario; again, if others used the core meanwhile. Returns the quietest run."""
    best: Figures = {}
    for _ in range(_ATTEMPTS):
        began, busy = time.monotonic(), processes.core_busy_seconds(_GATEWAY_CORE)
        cpu = processes.cpu_seconds(bench.gateway.pid)
        figures = _known(await scenario(bench))
        others = processes.core_busy_seconds(_GATEWAY_CORE) - busy
        others -= processes.cpu_seconds(bench.gateway.pid) - cpu
        figures["others_percent"] = max(0, 100 * others / (time.monotonic() - began))
        if not best or figures["others_percent"] < best["others_percent"]:
            best = figures
        if best["others_percent"] <= noise:
            break
    return best


def _known(figures: Figures) -> Figures:
    """The figures without those that there are none of, which JSON has no word for."""
    return {name: value for name, value in figures.items() if not math.isnan(value)}


@asynccontextmanager
async def _bench(target: Target) -> AsyncIterator[Bench]:
    """A fresh upstream and a fresh gateway, with a store of its own if it has one."""
    with tempfile.TemporaryDirectory() as name, _store(target, Path(name)) as store:
        folder = Path(name)
        certificate = [_certificate(folder)] if target.is_tls else []
        upstream = await processes.start(
            sys.executable,
            str(HERE / "upstream.py"),
            *certificate,
            core=_CLIENT_CORE,
            folder=folder,
        )
        try:
            assert upstream.stdout is not None
            plain_port = asked_port = int(await upstream.stdout.readline())
            if target.is_tls:
                asked_port = int(await upstream.stdout.readline())
            async with running(
                target, folder, upstream_port=asked_port, store=store, core=_GATEWAY_CORE
            ) as gateway:
                yield Bench(gateway, plain_port)
        finally:
            await processes.stop(upstream)


def _certificate(folder: Path) -> str:
    """The file of a certificate for the upstream with its key; its authority's is `ca.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    path = folder / "upstream.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    return str(path)


@contextmanager
def _store(target: Target, folder: Path) -> Iterator[str]:
    """The URL of an empty store. MongoDB runs on the client's core, and its CPU is not counted."""
    if target.store == "mongodb":
        with replica_set(folder) as servers:
            yield servers.url("bench")
    else:
        yield f"sqlite:///{folder}/bench.db"


def _line(figures: Figures) -> str:
    return ", ".join(f"{name} {value:,.2f}" for name, value in figures.items())


def _install(names: list[str]) -> None:
    for target in TARGETS:
        if target.name in names and target.packages:
            folder = PEERS / target.name
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            pip = folder / "bin" / "pip"
            subprocess.run([pip, "install", "--quiet", *target.packages], check=True)


async def main() -> None:
    """Measure what the command line names, and write down what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", default=[target.name for target in TARGETS])
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--noise", type=float, default=15)
    parser.add_argument("--charts", action="store_true")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--render", action="store_true")
    options = parser.parse_args()
    if options.install:
        return _install(options.targets)
    results: dict[str, Any] = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    for target in TARGETS:
        if options.render or target.name not in options.targets:
            continue
        if options.charts and target.scenarios:
            continue
        if not target.is_installed:
            print(f"{target.name} is not installed: left out")
            continue
        print(target.name, flush=True)
        measured = results.setdefault("targets", {}).setdefault(target.name, {})
        if options.charts:
            measured["charts"] = await sweep(target)
        else:
            wanted = [name for name in SCENARIOS if name in options.scenarios.split(",")]
            if not target.store:
                wanted = [name for name in wanted if name not in HEADRACE_ONLY]
            if target.scenarios:
                wanted = [name for name in wanted if name in target.scenarios]
            measured.update(await compare(target, wanted, options.repeat, options.noise))
        results["machine"] = _machine()
        _RESULTS.parent.mkdir(exist_ok=True)
        _RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    report.write(results, HERE)
    print(report.tables(results))


def _machine() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    os.sched_setaffinity(0, {_CLIENT_CORE})
    _, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))  # gateways inherit it
    asyncio.run(main())
